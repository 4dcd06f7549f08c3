"""A ticket as its owner holds it."""

from __future__ import annotations

from nowserving.protocol.bell import Bell
from nowserving.protocol.status import NOT_ISSUED


class TicketHandle(Bell):
    """A ticket as its owner holds it: a number proves nothing, number *and* owner do.

    It is also the bell that is rung when the store has news of the ticket.

    Attributes:
        conversation_id: The conversation in whose line it is.
        owner: Who holds it, unique over all processes and all time.
        number: Its number, ``NOT_ISSUED`` until the store has said it.
        mark: The queue's own note of when it was known to wait; empty when that is to be doubted.
    """

    number = NOT_ISSUED
    mark = ""

    def __init__(self, conversation_id: str, owner: str) -> None:
        self.conversation_id = conversation_id
        self.owner = owner

    def doubt(self) -> None:
        """Forget that it was known to wait: the next look asks about it by name."""
        self.mark = ""

    def turn_out(self) -> None:
        """Wake its owner, whatever it waits for: the store is being closed; from any thread."""
        self.ring()

    def __repr__(self) -> str:
        return f"Place({self.conversation_id!r}, number={self.number}, owner={self.owner!r})"
