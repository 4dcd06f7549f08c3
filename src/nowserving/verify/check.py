"""Were turns exclusive, in order, and all there? Pure functions over what the workers recorded.

*Overlap*: a turn that began while an earlier one of its conversation was still at work.

*Out of order*: a turn that was overtaken, which shows in one of these ways.

* With the lock, the store's order is the fencing token's: a turn that began or ended after one
  with a higher token was overtaken. Ticket numbers must rise likewise, but may start again once
  a conversation stood idle. And what one worker asked for in a row must be served in that row.
* Without a lock there is only the order of arrival: a turn that began or ended after one which
  came later was overtaken.

*Lost*: a message that no finished turn answers for, because its own failed or its worker died, or
because it was superseded and nobody answered for it.

*Answered twice*: a message that more than one finished turn answers for.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nowserving.verify.turns import answered, by_conversation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from nowserving.verify.turns import TurnRecord, Worked


@dataclass(frozen=True)
class Findings:
    """The messages that prove a violation, as indexes of the trace.

    Attributes:
        overlaps: Began while another turn of the conversation was at work.
        out_of_order: Were overtaken.
        lost: Are answered by no finished turn.
        twice: Are answered by more than one.
    """

    overlaps: frozenset[int]
    out_of_order: frozenset[int]
    lost: frozenset[int]
    twice: frozenset[int] = frozenset()

    @property
    def violated(self) -> bool:
        """Whether anything was found."""
        return bool(self.overlaps or self.out_of_order or self.lost or self.twice)


def check(records: Sequence[TurnRecord], *, messages: int, locked: bool) -> Findings:
    """Check what the workers recorded.

    Args:
        records: At most one for each message, in any order.
        messages: How many messages there were; their indexes are 0 to ``messages - 1``.
        locked: Whether turns were taken under the lock.
    """
    overlaps: set[int] = set()
    out_of_order: set[int] = set()
    for turns in by_conversation(records).values():
        overlaps.update(turn.record.index for turn in overlapping(turns))
        overtaken = _overtaken_tickets(turns) if locked else _overtaken_arrivals(turns)
        out_of_order.update(turn.record.index for turn in overtaken)
    answers = Counter(index for index, _ in answered(records))
    return Findings(
        overlaps=frozenset(overlaps),
        out_of_order=frozenset(out_of_order),
        lost=frozenset(range(messages)) - answers.keys(),
        twice=frozenset(index for index, count in answers.items() if count > 1),
    )


def overlapping(turns: Sequence[Worked]) -> Iterator[Worked]:
    """Yield the turns that began before all earlier ones had ended.

    Args:
        turns: Of one conversation, in the order in which they began.
    """
    busy_until = None
    for turn in turns:
        if busy_until is not None and turn.entered < busy_until:
            yield turn
        busy_until = max(turn.left, busy_until or turn.left)


def _overtaken_arrivals(turns: Sequence[Worked]) -> Iterator[Worked]:
    for served in (turns, _as_ended(turns)):
        yield from _overtaken(served, lambda turn: turn.arrival)


def _overtaken_tickets(turns: Sequence[Worked]) -> Iterator[Worked]:
    for served in (turns, _as_ended(turns)):
        yield from _overtaken(served, _token)
    yield from _renumbered(turns)
    for own in _by_worker(turns):
        yield from _overtaken(own, lambda turn: turn.arrival)


def _overtaken(served: Iterable[Worked], rank: Callable[[Worked], Any]) -> Iterator[Worked]:
    """Yield the turns that were not served after all those of lower rank and before the others."""
    highest = None
    for turn in served:
        own = rank(turn)
        if highest is not None and own <= highest:
            yield turn
        else:
            highest = own


def _renumbered(turns: Iterable[Worked]) -> Iterator[Worked]:
    """Yield the turns whose number did not rise although the conversation was never idle.

    A store may forget an idle conversation and number from 0 again. Idle means: when this turn's
    message came, no turn before it was still at work.
    """
    highest = -1
    busy_until = 0
    for turn in turns:
        number = _number(turn)
        if number <= highest and turn.fired < busy_until:
            yield turn
        else:
            highest = number
        busy_until = max(busy_until, turn.left)


def _as_ended(turns: Iterable[Worked]) -> list[Worked]:
    return sorted(turns, key=lambda turn: turn.left)


def _by_worker(turns: Iterable[Worked]) -> Iterable[list[Worked]]:
    workers: defaultdict[int, list[Worked]] = defaultdict(list)
    for turn in turns:
        workers[turn.record.worker].append(turn)
    return workers.values()


def _token(turn: Worked) -> int:
    # A turn without a token proves no order at all: rank it below every real one.
    return -1 if turn.record.token is None else turn.record.token


def _number(turn: Worked) -> int:
    return -1 if turn.record.number is None else turn.record.number
