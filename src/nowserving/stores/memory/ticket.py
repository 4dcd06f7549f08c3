"""A ticket in memory: the place that its owner holds, and what the line keeps of it, in one."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from nowserving.protocol.handle import TicketHandle

if TYPE_CHECKING:
    from nowserving._host.identity import Owners
    from nowserving.protocol.status import Admission


class MemoryTicket(TicketHandle):
    """A place; once it is admitted, a ticket in a record.

    Attributes:
        admission: What its take asked for.
        expires: When it expires, on the queue's clock.
        served_at: When its turn began, None while it waits.
        message_id: The message it is for.
        interrupted: A newer message asks its holder to stop.
    """

    # Written when it is admitted.
    admission: Admission
    expires: float
    # Most tickets are of no message, and never interrupted: these are written where they change.
    served_at: float | None = None
    message_id: str | None = None
    interrupted = False

    def __init__(self, conversation_id: str, owners: Owners, owner: str | None = None) -> None:
        self.conversation_id = conversation_id
        self._owners = owners
        if owner is not None:
            self.owner = owner

    @cached_property
    def owner(self) -> str:  # type: ignore[override]  # drawn once, then an attribute like any
        """Who holds it. Drawn when somebody asks: most owners are never named."""
        return self._owners.draw()

    @property
    def lifetime(self) -> float:
        """Seconds it lives unless renewed."""
        return self.admission.lifetime

    @property
    def restarts(self) -> bool:
        """Whether being served gives it a whole lifetime anew."""
        return self.admission.claimed and not self.admission.renewed

    def extend(self, now: float, left: float) -> None:
        """Let it expire in ``left`` seconds; its lifetime grows with that."""
        self.expires = now + left
        if left > self.admission.lifetime:
            self.admission = replace(self.admission, lifetime=left)

    def take_over(self, issued: MemoryTicket) -> None:
        """Stand where a ticket stands that was issued earlier."""
        self.number = issued.number
        self.served_at = issued.served_at
        self.message_id = issued.message_id
        self.interrupted = issued.interrupted
