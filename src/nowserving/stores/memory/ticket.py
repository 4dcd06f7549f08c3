"""A ticket in memory: the handle that its owner holds, and what the line keeps of it, in one."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from nowserving.protocol.handle import TicketHandle

if TYPE_CHECKING:
    from nowserving._host.identity import Owners


class MemoryTicket(TicketHandle):
    """A handle; once it is admitted, a ticket in a record (see ``stores/_lines/storage.py``)."""

    # Written when it is admitted.
    expires: float
    lifetime: float
    # Most tickets are of no message, and never interrupted: these are written where they differ.
    served_at: float | None = None
    claimed = True
    renewed = False
    interrupted = False
    message_id: str | None = None
    removed = ""
    """Why somebody else has taken it out of its line; empty if nobody has."""

    def __init__(self, conversation_id: str, owners: Owners, owner: str | None = None) -> None:
        self.conversation_id = conversation_id
        self._owners = owners
        if owner is not None:
            self.owner = owner

    @cached_property
    def owner(self) -> str:  # type: ignore[override]  # drawn once, then an attribute like any
        """Who holds it. Drawn when somebody asks: most owners are never named."""
        return self._owners.draw()
