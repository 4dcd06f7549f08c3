"""A ticket in memory: the handle that its owner holds, and what the line keeps of it, in one."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from nowserving.protocol.handle import TicketHandle
from nowserving.protocol.status import NOT_ISSUED

if TYPE_CHECKING:
    from nowserving._host.identity import Owners
    from nowserving.lock import Superseded


class MemoryTicket(TicketHandle):
    """A handle; once it is admitted, a ticket in a record (see ``stores/_lines/storage.py``)."""

    line_version = ""  # nobody polls here
    # Written when it is admitted.
    expires: float
    lifetime: float
    served_at: float | None
    joined: float = 0.0
    # Most tickets are of no message and never interrupted: these are written where they differ.
    claimed = True
    renewed = False
    interrupted = False
    message_id: str | None = None
    remember_for: float | None = None
    answers: Superseded | None = None
    label: str | None = None
    absorbed_by = NOT_ISSUED
    removed = ""
    """Why somebody else has taken it out of its line; empty if nobody has."""

    def __init__(self, conversation_id: str, owners: Owners, owner: str | None = None) -> None:
        # As TicketHandle.__init__() does, but that the owner is drawn when it is asked for.
        self.wake = None
        self.conversation_id = conversation_id
        self.number = NOT_ISSUED
        self.served_at = None
        self._owners = owners
        if owner is not None:
            self.owner = owner

    @cached_property
    def owner(self) -> str:  # type: ignore[override]  # drawn once, then an attribute like any
        """Who holds it. Drawn when somebody asks: most owners are never named."""
        return self._owners.draw()
