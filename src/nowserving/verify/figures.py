"""How long, how fast, how many: the measurements of a run. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from nowserving.verify.turns import answered, by_conversation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from nowserving.verify.turns import TurnRecord, Worked

_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True)
class Spread:
    """The middle and the slow end of some durations.

    Attributes:
        count: How many durations there were.
        p50: Seconds that half of them did not exceed; None if there were none.
        p99: Seconds that 99 of 100 did not exceed; None if there were none.
    """

    count: int
    p50: float | None
    p99: float | None

    @classmethod
    def of(cls, durations: Iterable[int]) -> Spread:
        """Measure durations given in nanoseconds."""
        ranked = sorted(durations)
        return cls(len(ranked), percentile(ranked, 50), percentile(ranked, 99))


@dataclass(frozen=True)
class Figures:
    """What a run took.

    Attributes:
        seconds: From the first message's arrival to the end of the last turn.
        throughput: Finished turns a second.
        longest_line: The most messages that waited or worked at once in one conversation.
        turns: How many turns answered them.
        wait: From a message's arrival to its handler's start.
        answer: From a message's arrival to the start of the turn that answers for it.
        hand_off: From one handler's end to the start of the next, where the next was waiting.
    """

    seconds: float
    throughput: float
    longest_line: int
    turns: int
    wait: Spread
    answer: Spread
    hand_off: Spread


def measure(records: Sequence[TurnRecord]) -> Figures:
    """Measure a run from what its workers recorded."""
    conversations = by_conversation(records).values()
    gaps = (gap for conversation in conversations for gap in hand_offs(conversation))
    turns = [turn for conversation in conversations for turn in conversation]
    first = min((turn.fired for turn in turns), default=0)
    seconds = (max((turn.left for turn in turns), default=0) - first) / _NANOSECONDS
    finished = sum(record.finished for record in records)
    fired = {record.index: record.fired for record in records}
    return Figures(
        seconds=seconds,
        throughput=finished / seconds if seconds else 0.0,
        longest_line=max(map(longest_line, conversations), default=0),
        turns=finished,
        wait=Spread.of(turn.entered - turn.fired for turn in turns),
        answer=Spread.of(
            turn.entered - fired[index]
            for index, turn in answered(records)
            if turn.entered is not None and index in fired
        ),
        hand_off=Spread.of(gaps),
    )


def longest_line(turns: Sequence[Worked]) -> int:
    """Return the most turns of one conversation that waited or worked at one moment."""
    steps = [(turn.fired, 1) for turn in turns]
    steps += [(turn.left, -1) for turn in turns]
    steps.sort()  # who leaves at the moment of another's arrival did not stand in line with it
    length = longest = 0
    for _, step in steps:
        length += step
        longest = max(longest, length)
    return longest


def hand_offs(turns: Sequence[Worked]) -> Iterator[int]:
    """Yield the nanoseconds between a turn's end and the start of the next, which was waiting.

    Args:
        turns: Of one conversation, in the order in which they began.
    """
    for holder, successor in pairwise(turns):
        if successor.fired < holder.left <= successor.entered:
            yield successor.entered - holder.left


def percentile(ranked: Sequence[int], percent: int) -> float | None:
    """Return, in seconds, which of sorted nanoseconds ``percent`` of 100 do not exceed."""
    if not ranked:
        return None
    return ranked[max(0, math.ceil(len(ranked) * percent / 100) - 1)] / _NANOSECONDS
