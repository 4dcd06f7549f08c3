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
        line_version: The version of the line at which it was last known to wait; empty when that is
            no longer relied on.
        known_absorbed: Where the answer of an ``absorb`` was lost: the numbers that its holder was
            told of. The others are not handled in its turn, so they don't leave with it.
    """

    # Most turns never absorb, so it is written only where they do.
    known_absorbed: tuple[int, ...] | None = None

    def __init__(self, conversation_id: str, owner: str) -> None:
        super().__init__()
        self.conversation_id = conversation_id
        self.owner = owner
        self.number = NOT_ISSUED
        self.line_version = ""

    def clear_line_version(self) -> None:
        """Forget at which version it was known to wait: the next poll asks about it by name."""
        self.line_version = ""

    def turn_out(self) -> None:
        """Wake its owner, whatever it waits for: the store is being closed; from any thread."""
        self.ring()

    def __repr__(self) -> str:
        name, number, owner = self.conversation_id, self.number, self.owner
        return f"TicketHandle({name!r}, number={number}, owner={owner!r})"
