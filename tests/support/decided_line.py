"""One conversation as ``_lines`` decides it, over rows: the twin of ``lua_line.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from nowserving.protocol.status import (
    NOT_ISSUED,
    Departure,
    Line,
    LineUpdate,
    State,
    TicketStatus,
)
from nowserving.stores import _lines
from tests.support.line_rows import Rows, RowTicket
from tests.support.lua_line import LineState, Mail

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nowserving.protocol.status import Admission, IssuedTicket, Outcome
    from nowserving.stores._lines.storage import Handle
    from tests.support.line_rows import RowLine

T = TypeVar("T")

_NAME = "decided"


class DecidedLine:
    """A line in rows.

    Args:
        late: For how many seconds an attempt of a take can be late.
    """

    def __init__(self, late: float) -> None:
        self.now = 0.0
        self._tokens = _lines.Tokens(lambda: round(self.now * 1_000_000) * 1000)
        self._rows = Rows(self._tokens, late)
        self._mail: Mail = []
        self._late_until: dict[str, float] = {}

    def close(self) -> None:
        self._rows.close()

    @property
    def highest_token(self) -> int:
        return self._tokens.highest

    def forget(self) -> None:
        """Let the record expire; what is remembered of messages has its own time."""
        self._rows.forget_lines()

    # The verbs

    def take(self, owner: str, admission: Admission, *, repeated: bool) -> TicketStatus:
        ticket = RowTicket(owner=owner)
        with self._rows.step(_NAME, create=True) as line:
            assert line is not None
            answer = _lines.attempt_take(line, ticket, admission, self.now, repeated=repeated)
            return self._sent(line, answer)

    def redeem(self, issued: IssuedTicket, owner: str, admission: Admission) -> TicketStatus:
        ticket = RowTicket(owner=owner)
        with self._rows.step(_NAME) as line:
            if line is None:
                return TicketStatus(State.GONE, int(issued))
            answer = _lines.attempt_redeem(line, issued, ticket, admission, self.now)
            return self._sent(line, answer)

    def leave(self, handle: Handle, outcome: Outcome) -> Departure:
        with self._rows.step(_NAME, create=handle.number == NOT_ISSUED) as line:
            if line is None:
                return Departure(left=False, someone_waiting=False)
            return self._sent(line, _lines.attempt_leave(line, handle, outcome, self.now))

    def renew(self, handle: Handle, lifetime: float) -> TicketStatus:
        with self._rows.step(_NAME) as line:
            if line is None:
                return TicketStatus(State.GONE, handle.number)
            return self._sent(line, _lines.renew(line, handle, lifetime, self.now))

    def poll(self, handles: Sequence[Handle]) -> LineUpdate:
        with self._rows.step(_NAME) as line:
            if line is None:
                news = {h.owner: TicketStatus(State.GONE, h.number) for h in handles}
                return LineUpdate(0, 0.0, news)
            return self._sent(line, _lines.poll(line, handles, self.now))

    def line(self) -> Line | None:
        with self._rows.step(_NAME) as line:
            return None if line is None else self._sent(line, _lines.picture(line, self.now))

    def save(self, lefts: Mapping[int, float], seen_below: int) -> None:
        with self._rows.step(_NAME, create=True) as line:
            assert line is not None
            _lines.save(line, lefts, seen_below, RowTicket, self.now)
            self._sent(line, None)

    def delete(self) -> None:
        with self._rows.step(_NAME) as line:
            if line is not None:
                _lines.delete(line, self.now)
                self._sent(line, None)

    def finish(self, issued: IssuedTicket, nonce: str, *, keep: bool) -> bool:
        with self._rows.step(_NAME) as line:
            if line is None:
                return False
            answer = _lines.finish(line, issued, f"{nonce}~", self.now, keep=keep)
            return self._sent(line, answer)

    def _sent(self, line: RowLine, answer: T) -> T:
        # Tickets that are to be redeemed have no inbox; the owner of any other has.
        mail = [(t.owner, status) for t, status in line.mail if "." in t.owner]
        self._mail += mail
        return answer

    # What can be seen afterwards

    def mail(self) -> Mail:
        """Return what has been sent since this was asked last."""
        mail, self._mail = self._mail, []
        return mail

    def state(self) -> LineState | None:
        """Return the record, None if there is none."""
        with self._rows.step(_NAME) as line:
            if line is None:
                return None
            tickets = {ticket.number: ticket for ticket in line.between(0, line.next)}
            state = LineState(
                line.next,
                line.serving,
                line.token,
                line.predecessor,
                line.superseded_below,
                line.settles_until,
                line.burst_since if line.settles_until else 0.0,
                line.opened,
                tickets,
            )
            for message_id, until in self._rows.execute("SELECT message_id, until FROM done"):
                state.messages[message_id] = until
            for ticket in tickets.values():
                if ticket.message_id is not None and ticket.expires > self.now:
                    state.messages[ticket.message_id] = ticket.number
            for row in self._rows.execute("SELECT * FROM tombstones"):
                _, owner, number, why, until = row
                self._late_until[owner] = until
                if until > self.now:
                    state.tombstones[owner] = _lines.Tombstone(number, why)
            return state

    def is_past(self, owner: str) -> bool:
        """Return whether an attempt of this owner can't come any more: it would be too late."""
        return self._late_until.get(owner, self.now + 1) <= self.now
