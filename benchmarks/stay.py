"""What a worker notes of one turn, and what many of them show."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class Stay(NamedTuple):
    """One turn, on the monotonic clock that all processes of a machine share.

    Attributes:
        asked: The lock was asked for.
        entered: The body began.
        leaving: The body ended; the leave began.
        process: Which worker it was in.
    """

    asked: float
    entered: float
    leaving: float
    process: int


def in_order(stays: Iterable[Stay]) -> list[Stay]:
    """Return turns in the order in which their bodies began."""
    return sorted(stays, key=lambda stay: stay.entered)


def hand_offs(served: Sequence[Stay]) -> Iterator[float]:
    """Yield the seconds from a leave's begin to the next body's, for a next one that waited.

    Only from one process to another: handing over inside one process is another, easier thing.

    Args:
        served: The turns of one conversation in the order in which they were served.
    """
    for holder, successor in pairwise(served):
        waited = successor.asked < holder.leaving <= successor.entered
        if waited and successor.process != holder.process:
            yield successor.entered - holder.leaving


def overlaps(served: Sequence[Stay]) -> int:
    """Count the turns that began before an earlier one had ended."""
    count, busy_until = 0, 0.0
    for stay in served:
        count += stay.entered < busy_until
        busy_until = max(busy_until, stay.leaving)
    return count


def overtaken(served: Sequence[Stay], margin: float) -> int:
    """Count the turns before which somebody was served who had asked later.

    Args:
        served: The turns of one conversation in the order in which they were served.
        margin: Seconds by which the other must have asked later: two who ask at nearly the
            same moment in two processes may reach the store in either order.
    """
    count, latest = 0, 0.0
    for stay in served:
        count += stay.asked + margin < latest
        latest = max(latest, stay.asked)
    return count
