"""Turns in virtual time: what would have become of the same messages under other options.

A simulation by events, one conversation after the other. Who is served, refused or has to leave is
decided as in a store (``stores/memory/virtual.py``); what came when, and for how long it was worked
on, is what was recorded. The same input gives the same output. Not simulated are lifetimes: every
ticket is renewed, and nobody dies.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from nowserving.protocol.limits import LONGEST
from nowserving.protocol.status import Admission, State
from nowserving.stores.memory.virtual import VirtualLine
from nowserving.verify.turns import TurnRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from nowserving.protocol.status import Outcome, WhenBusy, WhenFull
    from nowserving.stores.memory.ticket import MemoryTicket

NANOSECONDS = 1_000_000_000

_BEGIN = 1.0
"""When the first message comes, on the virtual clock: 0 means "never" to a line."""

INTERRUPTED, REFUSED, GAVE_UP = "interrupted", "refused", "gave up"
"""What a record says of turns that did not go to their end."""


@dataclass(frozen=True)
class Arrival:
    """A message as it came.

    Attributes:
        index: Its place among all of them, 0 and up.
        conversation_id: Its conversation.
        at: Seconds since the first of all came.
        hold: Seconds that its turn takes.
        patience: Seconds after which it gives up if it is not served; None if it never does.
    """

    index: int
    conversation_id: str
    at: float
    hold: float
    patience: float | None = None


@dataclass(frozen=True)
class Rules:
    """How the messages ask for their turns: arguments of ``lock()``, described there."""

    when_busy: WhenBusy = "queue"
    max_waiting: int | None = None
    when_full: WhenFull = "reject"
    settle: float | None = None
    settle_max: float | None = None

    def admission(self) -> Admission:
        """Return what a line is asked."""
        return Admission(
            lifetime=LONGEST,
            renewed=True,
            when_busy=self.when_busy,
            max_waiting=self.max_waiting,
            when_full=self.when_full,
            settle=self.settle,
            settle_max=self.settle_max,
        )


def replay(arrivals: Iterable[Arrival], rules: Rules, handoff: float = 0.0) -> list[TurnRecord]:
    """Return what becomes of messages, as ``verify`` records it, in nanoseconds of virtual time.

    Args:
        arrivals: The messages, in the order in which they come.
        rules: How they ask for their turns.
        handoff: Seconds from the end of a turn to the begin of the next one, which waits.
    """
    lines: dict[str, list[Arrival]] = {}
    for arrival in arrivals:
        lines.setdefault(arrival.conversation_id, []).append(arrival)
    records = [
        record
        for those in lines.values()
        for record in _Conversation(those, rules.admission(), handoff).run()
    ]
    return sorted(records, key=lambda record: record.index)


class _Visit:
    """A message under way.

    Attributes:
        arrival: The message.
        ticket: Its ticket.
        begun: When its turn began; None until then.
        record: What has become of it; None until that is known.
    """

    def __init__(self, arrival: Arrival, ticket: MemoryTicket) -> None:
        self.arrival = arrival
        self.ticket = ticket
        self.begun: float | None = None
        self.answers: tuple[int, ...] = ()
        self.record: TurnRecord | None = None


class _Conversation:
    """One conversation, from its first message to its last turn."""

    def __init__(self, arrivals: list[Arrival], admission: Admission, handoff: float) -> None:
        self._arrivals = arrivals
        self._admission = admission
        self._handoff = handoff
        self._line = VirtualLine(arrivals[0].conversation_id)
        self._agenda: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = itertools.count()
        self._visits: dict[MemoryTicket, _Visit] = {}
        self._by_number: dict[int, _Visit] = {}
        self._settles_until = 0.0

    def run(self) -> list[TurnRecord]:
        """Play it to its end."""
        for arrival in self._arrivals:
            self._at(_BEGIN + arrival.at, partial(self._arrive, arrival))
        while self._agenda:
            moment, _, step = heappop(self._agenda)
            step(moment)
            self._deliver(moment)
            self._mind_settling()
        return [visit.record for visit in self._visits.values() if visit.record is not None]

    def _at(self, moment: float, step: Callable[[float], None]) -> None:
        heappush(self._agenda, (moment, next(self._order), step))

    # Steps

    def _arrive(self, arrival: Arrival, now: float) -> None:
        visit = _Visit(arrival, self._line.ticket())
        self._visits[visit.ticket] = visit
        status = self._line.take(visit.ticket, self._admission, now)
        if status.state is State.BUSY:
            self._over(visit, now, error=REFUSED)
            return
        self._by_number[visit.ticket.number] = visit
        if status.state is State.SERVED:
            self._begin(visit, now)
        elif arrival.patience is not None:
            self._at(now + arrival.patience, partial(self._give_up, visit))

    def _begin(self, visit: _Visit, now: float) -> None:
        visit.begun = now
        told = self._line.superseded(visit.ticket)
        visit.answers = tuple(
            self._by_number[number].arrival.index for number in told if isinstance(number, int)
        )
        self._at(now + visit.arrival.hold, partial(self._end, visit, "done", ""))

    def _end(self, visit: _Visit, outcome: Outcome, error: str, now: float) -> None:
        if visit.record is None:
            self._over(visit, now, error=error)
            self._line.leave(visit.ticket, outcome, now)

    def _give_up(self, visit: _Visit, now: float) -> None:
        if visit.record is None and visit.begun is None:
            self._over(visit, now, error=GAVE_UP)
            self._line.leave(visit.ticket, "abandoned", now)

    def _settled(self, now: float) -> None:
        self._line.move_on(now)

    # What follows from a step

    def _deliver(self, now: float) -> None:
        for ticket, status in self._line.mail():
            visit = self._visits[ticket]
            if visit.record is not None:
                continue
            if status.state is State.SUPERSEDED:
                self._over(visit, now, superseded=True)
            elif status.state is State.INTERRUPTED:
                self._end(visit, "interrupted", INTERRUPTED, now)
                self._deliver(now)
            elif status.state is State.SERVED and visit.begun is None:
                visit.begun = now  # it has the lock; its body begins when it is handed over
                self._at(now + self._handoff, partial(self._begin_if_it_may, visit))

    def _begin_if_it_may(self, visit: _Visit, now: float) -> None:
        if visit.record is None:
            self._begin(visit, now)

    def _mind_settling(self) -> None:
        until = self._line.settles_until
        if until > self._settles_until:
            self._settles_until = until
            self._at(until, self._settled)

    def _over(
        self, visit: _Visit, now: float, *, error: str = "", superseded: bool = False
    ) -> None:
        ran = visit.begun is not None
        visit.record = TurnRecord(
            index=visit.arrival.index,
            conversation_id=visit.arrival.conversation_id,
            worker=0,
            fired=_nanoseconds(visit.arrival.at),
            entered=_nanoseconds((visit.begun or 0.0) - _BEGIN) if ran else None,
            left=_nanoseconds(now - _BEGIN) if ran else None,
            number=visit.ticket.number,
            error=error or None,
            superseded=superseded,
            answers=visit.answers,
        )


def _nanoseconds(seconds: float) -> int:
    return round(seconds * NANOSECONDS)
