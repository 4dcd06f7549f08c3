"""What each verb does in a store that runs Python: give the decisions a line, and answer.

Both toys are this and a way to get here: a thread of the process, a server behind a socket.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from nowserving.lock import Superseded
from nowserving.protocol.status import (
    NOT_ISSUED,
    Absorption,
    Departure,
    IssuedTicket,
    LineUpdate,
    State,
    TicketStatus,
)
from nowserving.stores import _lines
from tests.toys.rows import RowTicket

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from nowserving.protocol.status import Admission, LinePicture, Outcome, PicturedTicket
    from tests.toys.rows import RowLine, Rows


class Shown(NamedTuple):
    """A ticket as its owner shows it: what travels of a handle."""

    number: int
    owner: str


class Verbs:
    """Carries verbs out, each a step; to be used on the thread of its rows.

    Args:
        rows: Where the lines are.
        now: The moment in seconds, by a clock that all who share these lines have.

    Attributes:
        mail: Who is to be told of what, once the steps are committed.
    """

    def __init__(self, rows: Rows, now: float) -> None:
        self.mail: list[tuple[str, TicketStatus]] = []
        self._rows = rows
        self._now = now

    def carry_out(self, verb: str, *args: Any) -> Any:
        """Carry out the verb of this name."""
        return getattr(self, verb)(*args)

    def take(
        self,
        name: str,
        owner: str,
        admission: Admission,
        repeated: bool = False,  # noqa: FBT001, FBT002 - as it travels
    ) -> TicketStatus:
        ticket, issued = RowTicket(owner=owner), admission.redeem
        with self._line(name, create=issued is None) as line:
            if line is None:
                return TicketStatus(State.GONE, NOT_ISSUED if issued is None else int(issued))
            if issued is not None:
                return _lines.attempt_redeem(line, issued, ticket, admission, self._now)
            return _lines.attempt_take(line, ticket, admission, self._now, repeated=repeated)

    def leave(
        self, name: str, ticket: Shown, outcome: Outcome, known: Collection[int] | None = None
    ) -> Departure:
        with self._line(name, create=ticket.number == NOT_ISSUED) as line:
            if line is None:
                return Departure(left=False, someone_waiting=False)
            return _lines.attempt_leave(line, ticket, outcome, self._now, known)

    def park(self, name: str, owner: str, ticket: Shown, lifetime: float) -> TicketStatus:
        issued, parked = IssuedTicket(ticket.number, ticket.owner), RowTicket(owner=ticket.owner)
        redeemer = Shown(ticket.number, owner)
        with self._line(name) as line:
            if line is None:
                return TicketStatus(State.GONE, ticket.number)
            return _lines.attempt_park(line, redeemer, issued, parked, lifetime, self._now)

    def absorb(self, name: str, ticket: Shown, most: int) -> Absorption:
        with self._line(name) as line:
            if line is None:
                return Absorption(TicketStatus(State.GONE, ticket.number))
            return _lines.absorb(line, ticket, most, self._now)

    def renew(self, name: str, ticket: Shown, lifetime: float) -> TicketStatus:
        with self._line(name) as line:
            if line is None:
                return TicketStatus(State.GONE, ticket.number)
            return _lines.renew(line, ticket, lifetime, self._now)

    def poll(self, name: str, tickets: Sequence[Shown]) -> LineUpdate:
        with self._line(name) as line:
            if line is None:
                news = {ticket.owner: TicketStatus(State.GONE, ticket.number) for ticket in tickets}
                return LineUpdate(serving=0, blocked_for=0.0, news=news)
            return _lines.poll(line, tickets, self._now)

    def superseded(self, name: str, ticket: Shown) -> list[Any]:
        with self._line(name) as line:
            found = Superseded() if line is None else _lines.superseded_by(line, ticket)
            return [found.count, *found]

    def line(self, name: str) -> LinePicture | None:
        with self._line(name) as line:
            return None if line is None else _lines.picture(line, self._now)

    def holder(self, name: str) -> PicturedTicket | None:
        with self._line(name) as line:
            return None if line is None else _lines.holder(line, self._now)

    def save(self, name: str, lefts: Sequence[tuple[int, float]], seen_below: int) -> None:
        with self._line(name, create=True) as line:
            if line is not None:
                _lines.save(line, dict(lefts), seen_below, RowTicket, self._now)

    def delete(self, name: str) -> None:
        with self._line(name) as line:
            if line is not None:
                _lines.delete(line, self._now)

    def finish(self, name: str, ticket: Shown, own_prefix: str, keep: bool) -> bool:  # noqa: FBT001
        issued = IssuedTicket(ticket.number, ticket.owner)
        with self._line(name) as line:
            return line is not None and _lines.finish(
                line, issued, own_prefix, self._now, keep=keep
            )

    def release(self, name: str, ticket: Shown, reason: str) -> bool:
        with self._line(name) as line:
            return line is not None and _lines.release(line, ticket, reason, self._now)

    def conversations(self) -> list[str]:
        return self._rows.names()

    @contextmanager
    def _line(self, name: str, *, create: bool = False) -> Iterator[RowLine | None]:
        with self._rows.step(name, create=create) as line:
            yield line
        if line is not None:
            self.mail += [(ticket.owner, news) for ticket, news in line.mail if ticket.owner]
