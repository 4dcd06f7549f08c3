"""A line from afar: how many wait in it, for how long, and who holds. Nothing is decided here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from nowserving.protocol.status import PicturedTicket
from nowserving.protocol.survey import NOBODY, LineSight, owner_name

if TYPE_CHECKING:
    from collections.abc import Iterable


class SeenTicket(Protocol):
    """What is looked at of a ticket; see ``storage.py``."""

    @property
    def number(self) -> int:
        """Its number."""
        ...

    @property
    def owner(self) -> str:
        """Who has it."""
        ...

    expires: float
    served_at: float | None
    joined: float
    claimed: bool
    message_id: str | None
    label: str | None


def sight(
    conversation_id: str, serving: int, tickets: Iterable[SeenTicket], now: float
) -> LineSight | None:
    """Return what is seen of a line, or of a part of it; None if no live ticket is there.

    Nobody is promoted: whoever is first behind a holder that has expired waits as yet.

    Args:
        conversation_id: The conversation.
        serving: The number that is served.
        tickets: Its tickets.
        now: The moment, by the clock of the tickets.
    """
    holder: PicturedTicket | None = None
    waiting, first = 0, now
    waiters: dict[str, int] | None = None
    for ticket in tickets:
        if ticket.expires <= now:
            continue
        if ticket.served_at is not None and ticket.number == serving:
            holder = _pictured(ticket, now - ticket.served_at, now)
            continue
        waiting += 1
        first = min(first, ticket.joined)
        name = owner_name(ticket.owner)
        waiters = {} if waiters is None else waiters
        waiters[name] = waiters.get(name, 0) + 1
    if holder is None and not waiting:
        return None
    waited = now - first if waiting else None
    return LineSight(conversation_id, holder, waiting, waited, waiters or NOBODY)


def _pictured(ticket: SeenTicket, served_for: float, now: float) -> PicturedTicket:
    return PicturedTicket(
        number=ticket.number,
        expires_in=ticket.expires - now,
        owner=ticket.owner,
        served_for=served_for,
        label=ticket.label,
        message_id=ticket.message_id,
        claimed=ticket.claimed,
    )
