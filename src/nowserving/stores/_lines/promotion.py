"""Who is served next: the first ticket in line that has not expired.

While a line settles (``settling.py``) nobody's turn begins, and its first ticket waits.

A verb that wants to know who is served has this decided first. So an expired ticket is walked past
by whoever comes by, and a ticket that becomes the first one is served in the same step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nowserving.stores._lines.departure import note_departure
from nowserving.stores._lines.status import restarts, status

if TYPE_CHECKING:
    from nowserving.stores._lines.storage import LineStorage, T


def promote(line: LineStorage[T], now: float) -> None:
    """Have the first live ticket served. Its owner is told, if it was not served before.

    If the line settles it is not served yet; whoever becomes the first one is told for how long.
    """
    if line.serving >= line.next:
        return
    head = line.ticket(line.serving)
    if head is None or head.expires <= now:
        if head is not None:
            line.remove(head)
            note_departure(line, head, "expired", now)
        head = line.next_live(now)
        if head is None:
            line.serving, line.settles_until = line.next, 0.0
            return
        line.serving = head.number
        if head.served_at is None and now < line.settles_until:
            line.mail.append((head, status(line, head, now)))
    if head.served_at is None and now >= line.settles_until:
        serve(line, head, now)
        line.mail.append((head, status(line, head, now)))


def serve(line: LineStorage[T], ticket: T, now: float) -> None:
    """Begin the turn of a ticket, with a new fencing token."""
    line.settles_until = 0.0
    line.token = line.tokens.draw(line.token)
    ticket.served_at = now
    if restarts(ticket):
        ticket.expires = now + ticket.lifetime
    line.put(ticket)
