"""What is asked while a ticket waits or is held: ``renew`` and ``poll``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nowserving.protocol.status import LineUpdate
from nowserving.stores._lines.promotion import promote
from nowserving.stores._lines.settling import waits_at_head
from nowserving.stores._lines.status import blocked_for, gone, own, status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nowserving.protocol.status import TicketStatus
    from nowserving.stores._lines.storage import Handle, LineStorage, T


def renew(line: LineStorage[T], handle: Handle, lifetime: float, now: float) -> TicketStatus:
    """Give a ticket this lifetime anew, with 0 nothing, and tell its status.

    A ticket that has expired is never brought back. One that is renewed for longer than it was
    issued for has that lifetime from then on.
    """
    promote(line, now)
    ticket = own(line, handle)
    if ticket is None or ticket.expires <= now:
        return gone(line, handle, now)
    if lifetime:
        ticket.expires = now + lifetime
        ticket.lifetime = max(ticket.lifetime, lifetime)
        line.put(ticket)
    return status(line, ticket, now)


def poll(line: LineStorage[T], handles: Sequence[Handle], now: float) -> LineUpdate:
    """Tell of some tickets those that do not merely wait, and when to ask again at the latest."""
    promote(line, now)
    news = {}
    for handle in handles:
        ticket = own(line, handle)
        if ticket is None or ticket.expires <= now:
            news[handle.owner] = gone(line, handle, now)
        elif ticket.served_at is not None:
            news[handle.owner] = status(line, ticket, now)
    last = max((handle.number for handle in handles), default=0)
    blocked = blocked_for(line, last, now)
    if waits_at_head(line):  # maybe one of these: they are told together
        blocked = min(blocked, line.settles_until - now)
    return LineUpdate(line.serving, blocked, news)
