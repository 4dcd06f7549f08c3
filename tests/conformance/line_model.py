"""A line as a few rules: no clock, no store, no waiting. Stores have to agree with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from nowserving.protocol.status import Outcome, WhenBusy, WhenFull


@dataclass
class ModelTicket:
    """One ticket in the line."""

    number: int
    owner: str
    claimed: bool
    message: str | None
    served: bool = False
    interrupted: bool = False
    absorbed_by: int | None = None
    answers: list[str | int] = field(default_factory=list)
    parked: bool = False


class Answer(NamedTuple):
    """What is compared of a status."""

    state: str
    number: int | None = None
    ahead: int = 0
    predecessor: str = "none"
    detail: str = ""


class LineModel:
    """A conversation's line.

    Args:
        knows_parked: Whether a store can tell of a parked ticket, which nobody has, why it is gone.
    """

    def __init__(self, *, knows_parked: bool = True) -> None:
        self._knows_parked = knows_parked
        self.next = 0
        self.tickets: list[ModelTicket] = []
        self.predecessor = "none"
        self.done: set[str] = set()
        self.superseded_below = 0
        self.settles = False  # and for ever: no time passes here
        self.opened = False
        self.is_known = False  # whether a ticket was ever issued
        self.absorber: int | None = None  # the holder that wants to know who waits
        self.taken = 0  # how many it has absorbed
        self.kept: list[str] = []  # what it has absorbed of those who have left
        self.removed: dict[str, str] = {}  # by owner why somebody else has taken the ticket out

    def take(
        self,
        owner: str,
        when_busy: WhenBusy,
        limit: int | None,
        when_full: WhenFull,
        message: str | None,
        *,
        claimed: bool,
        settle: bool,
    ) -> Answer:
        progress = self._progress(message)
        if progress:
            return Answer("DUPLICATE", detail=progress)
        supersedes = when_busy in {"latest", "interrupt"}
        answers: list[str | int] = []
        if self.tickets:
            waiting = [ticket for ticket in self.tickets if not ticket.served]
            full = limit is not None and len(waiting) >= limit
            drops = full and when_busy == "queue" and when_full == "drop_oldest"
            if when_busy == "reject" or (full and not supersedes and not drops) or limit == 0:
                head = self.tickets[0]
                holder = head.owner if head.claimed else ""
                return Answer("BUSY", ahead=self.next - head.number, detail=holder)
            if supersedes:
                superseded = self._to_supersede(waiting)
                answers = [each for ticket in superseded for each in _stands_for(ticket)]
                self._supersede(superseded)
                if not self._absorbs():
                    self.superseded_below = self.next
            elif drops:
                self._supersede(self._to_supersede(waiting)[:1])
            if when_busy == "interrupt" and self.tickets:
                self.tickets[0].interrupted = True
        if settle or supersedes or not self.tickets:
            self.settles = settle
        self.is_known = True
        ticket = ModelTicket(self.next, owner, claimed, message, answers=answers)
        self.tickets.append(ticket)
        self.next += 1
        self._serve()
        return self._answer(ticket)

    def _supersede(self, waiters: list[ModelTicket]) -> None:
        for waiter in waiters:
            self._drop(waiter, "abandoned")
            self._note(waiter, "superseded")
            if not self._absorbs():
                self.superseded_below = waiter.number + 1

    def _absorbs(self) -> bool:
        return bool(self.tickets) and self.absorber == self.tickets[0].number

    def _to_supersede(self, waiting: list[ModelTicket]) -> list[ModelTicket]:
        return [t for t in waiting if not self._absorbs() or t.absorbed_by != self.absorber]

    def absorb(self, number: int, owner: str, most: int) -> tuple[Answer, int, bool, list[int]]:
        answer = self.status(number, owner)
        if answer.state not in {"SERVED", "INTERRUPTED"}:
            return answer, 0, False, []
        if self.absorber != number:
            self.taken, self.kept = 0, []
        self.absorber, more, absorbed = number, False, []
        for ticket in self.tickets[1:]:
            if ticket.absorbed_by != number and ticket.claimed:
                if self.taken < most:
                    ticket.absorbed_by, self.taken = number, self.taken + 1
                else:
                    more = True
            if ticket.absorbed_by == number:
                absorbed.append(ticket.number)
        return answer, self.taken, more, absorbed

    def _end_absorbed(self, number: int) -> None:
        for ticket in list(self.tickets):
            if ticket.absorbed_by == number:
                self._drop(ticket, "done")
                self._note(ticket, f"absorbed:{number}")
        in_line = {ticket.message for ticket in self.tickets}
        self.done.update(message for message in self.kept if message not in in_line)
        self.absorber = None

    def redeem(self, number: int, secret: str, owner: str) -> Answer:
        ticket = self._find(number)
        noted = self.removed.get(secret, "") if secret else ""
        if ticket is None:
            superseded = "superseded" if number < self.superseded_below else ""
            return self._gone(number, noted or superseded)
        if ticket.claimed or secret not in {"", ticket.owner}:
            return self._gone(number, noted)
        ticket.claimed, ticket.owner, ticket.parked = True, owner, False
        if ticket.served:
            self.absorber = None
        return self._answer(ticket)

    def park(self, number: int, secret: str, owner: str) -> Answer:
        ticket = self._find(number)
        if ticket is None:
            return self._gone(number, self.why_gone(number, owner))
        if ticket.owner == owner:
            ticket.claimed, ticket.owner, ticket.parked = False, secret, True
            if ticket.served:
                self.absorber = None
        elif owner in self.removed:  # so the number is somebody else's by now
            return self._gone(number, self.removed[owner])
        elif ticket.claimed or secret not in {"", ticket.owner}:
            return Answer("GONE", number)
        return self._answer(ticket)

    def status(self, number: int, owner: str) -> Answer:
        ticket = self._find(number)
        if ticket is None or ticket.owner != owner:
            return self._gone(number, self.why_gone(number, owner))
        return self._answer(ticket)

    def superseded(self, number: int, owner: str) -> list[str | int]:
        ticket = self._find(number)
        return ticket.answers if ticket is not None and ticket.owner == owner else []

    def leave(self, number: int, owner: str, outcome: Outcome) -> tuple[bool, bool]:
        ticket = self._find(number)
        left = ticket is not None and ticket.owner == owner
        if ticket is not None and left:
            if self._absorbs() and ticket.absorbed_by == self.absorber and ticket.message:
                self.kept.append(ticket.message)
                outcome = "abandoned"  # what becomes of its message, its holder decides
            self._drop(ticket, outcome)
            if outcome == "done" and self.absorber == number:
                self._end_absorbed(number)
        self._serve()
        return left, bool(self.tickets)

    def finish(self, number: int, secret: str, *, keep: bool) -> bool:
        ticket = self._find(number)
        if ticket is not None and secret in {"", ticket.owner}:
            self._drop(ticket, "done")
            if ticket.claimed:
                self._note(ticket, "released")
        self._serve()
        if not self.tickets and self.is_known:
            self.opened = keep
        if not self.tickets and not keep:
            self._begin_anew()
        return bool(self.tickets)

    def delete(self) -> None:
        for ticket in list(self.tickets):
            self._drop(ticket, "released")
            if ticket.claimed:
                self._note(ticket, "released")
        self.opened = self.settles = False
        self._begin_anew()

    def release(self, number: int, owner: str, reason: str) -> bool | None:
        """Say whether it was there; None if it was released before, by whichever call."""
        ticket = self._find(number)
        if ticket is None or ticket.owner != owner:
            return None if self.removed.get(owner, "").startswith("released:") else False
        self._drop(ticket, "released")
        self._note(ticket, f"released:{reason}")
        self._serve()
        return True

    def line(self) -> list[tuple[int, str, bool]] | None:
        """Number, owner and whether it is served, for every ticket; None where there is no lock."""
        if not self.tickets and not self.opened:
            return None
        return [(ticket.number, ticket.owner, ticket.served) for ticket in self.tickets]

    def _find(self, number: int) -> ModelTicket | None:
        return next((ticket for ticket in self.tickets if ticket.number == number), None)

    def _progress(self, message: str | None) -> str:
        if message is None:
            return ""
        for ticket in self.tickets:
            if ticket.message == message:
                return "working" if ticket.served else "waiting"
        return "done" if message in self.done else ""

    def _serve(self) -> None:
        if not self.tickets:
            self.settles = False
        elif not self.settles:
            self.tickets[0].served = True

    def _begin_anew(self) -> None:
        self.next = self.superseded_below = 0
        self.absorber = None

    def _drop(self, ticket: ModelTicket, outcome: Outcome) -> None:
        self.tickets.remove(ticket)
        if ticket.served and outcome != "abandoned":
            self.predecessor = outcome
        if ticket.message is not None and outcome == "done":
            self.done.add(ticket.message)

    def _note(self, ticket: ModelTicket, why: str) -> None:
        if self._knows_parked or not ticket.parked:
            self.removed[ticket.owner] = why

    def _answer(self, ticket: ModelTicket) -> Answer:
        if ticket.served:
            state = "INTERRUPTED" if ticket.interrupted else "SERVED"
            return Answer(state, ticket.number, 0, self.predecessor)
        return Answer("WAITING", ticket.number, ticket.number - self.tickets[0].number)

    def why_gone(self, number: int, owner: str) -> str:
        """Say why an owner's ticket is not in line; whoever has left by himself does not ask."""
        if owner in self.removed:
            return self.removed[owner]
        if number < self.superseded_below:
            return "superseded"
        return "expired" if number < self.next else ""

    def _gone(self, number: int, why: str) -> Answer:
        state = {"superseded": "SUPERSEDED", "absorbed": "ABSORBED"}.get(
            why.partition(":")[0], "GONE"
        )
        return Answer(state, number, detail=why)


def _stands_for(ticket: ModelTicket) -> list[str | int]:
    return [*ticket.answers, ticket.number if ticket.message is None else ticket.message]
