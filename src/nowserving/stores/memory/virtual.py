"""A line in virtual time: what a store decides, by a clock that somebody else turns.

So what would have happened is worked out by the decisions that are taken in earnest
(``stores/_lines``). Nobody is woken: whoever turns the clock asks for the mail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nowserving._host.identity import Owners
from nowserving.stores import _lines
from nowserving.stores.memory.record import Record
from nowserving.stores.memory.ticket import MemoryTicket

if TYPE_CHECKING:
    from nowserving.lock import Superseded
    from nowserving.protocol.status import Admission, Outcome, TicketStatus


class VirtualLine:
    """One conversation's line. Moments are seconds, above 0, and never fall.

    Args:
        conversation_id: The conversation.
    """

    def __init__(self, conversation_id: str) -> None:
        self._conversation_id = conversation_id
        self._owners = Owners("")
        self._record = Record(_lines.Tokens(lambda: 0))

    @property
    def settles_until(self) -> float:
        """The moment at which a line that settles moves on by itself; 0 if it does not settle."""
        return self._record.settles_until

    def ticket(self) -> MemoryTicket:
        """Return a fresh ticket."""
        return MemoryTicket(self._conversation_id, self._owners)

    def take(self, ticket: MemoryTicket, admission: Admission, now: float) -> TicketStatus:
        """Join the line."""
        return _lines.take(self._record, ticket, admission, now)

    def leave(self, ticket: MemoryTicket, outcome: Outcome, now: float) -> None:
        """Give a ticket back; the next one is served."""
        _lines.leave(self._record, ticket, outcome, now)

    def move_on(self, now: float) -> None:
        """Have the first one served, if it may be."""
        _lines.promote(self._record, now)

    def superseded(self, ticket: MemoryTicket) -> Superseded:
        """Return the messages that had to leave for a ticket."""
        return _lines.superseded_by(self._record, ticket)

    def mail(self) -> list[tuple[MemoryTicket, TicketStatus]]:
        """Return who is to be told of what since this was asked last."""
        mail, self._record.mail = self._record.mail, []
        return mail
