"""A picture of a line: the reference's ``get_lock`` gives it, its ``save_lock`` takes it back.

A picture may be old when it is saved, and the line has moved on. So it is merged:

* Tickets that its store showed in it (below ``seen_below``) and that it lacks are taken out.
* Those that it has get the expiry that it says. A ticket that has gone or expired stays gone.
* Its own tickets, whose numbers were never issued, join the line; nobody has claimed them.
* Others that were issued meanwhile are left alone, and the next number never falls. There is one
  exception: own tickets that meet an empty line may have lower numbers, and begin it anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nowserving.protocol.status import LinePicture, PicturedTicket
from nowserving.stores._lines.absorption import is_absorbed
from nowserving.stores._lines.departure import note_dismissal
from nowserving.stores._lines.promotion import promote
from nowserving.stores._lines.removal import begin_anew

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nowserving.stores._lines.storage import LineStorage, T

_SHORTEST_KEPT = 1.0
"""Seconds for which a record is kept at least that a picture was saved to."""


def picture(line: LineStorage[T], now: float) -> LinePicture | None:
    """Return the line, None where the reference would say that there is no lock."""
    promote(line, now)
    tickets = tuple(
        _pictured(line, ticket, now)
        for ticket in line.between(line.serving, line.next - 1)
        if ticket.expires > now
    )
    return LinePicture(line.next, tickets) if tickets or line.opened else None


def holder(line: LineStorage[T], now: float) -> PicturedTicket | None:
    """Return the ticket that is served, None if none is."""
    promote(line, now)
    head = line.ticket(line.serving)
    return None if head is None or head.served_at is None else _pictured(line, head, now)


def _pictured(line: LineStorage[T], ticket: T, now: float) -> PicturedTicket:
    waits = ticket.served_at is None
    absorbed = waits and is_absorbed(line, ticket)
    return PicturedTicket(
        number=ticket.number,
        expires_in=ticket.expires - now,
        owner=ticket.owner,
        claimed=ticket.claimed,
        served_for=None if ticket.served_at is None else now - ticket.served_at,
        waited=now - ticket.joined if waits else None,
        label=ticket.label,
        message_id=ticket.message_id,
        absorbed=absorbed,
        settling=waits and not absorbed and now < line.settles_until,
    )


def save(
    line: LineStorage[T],
    lefts: Mapping[int, float],
    seen_below: int,
    make: Callable[[], T],
    now: float,
) -> None:
    """Merge a picture of the line.

    Args:
        line: The line.
        lefts: For each number in the picture in how many seconds its ticket expires.
        seen_below: What the store showed in the picture were numbers below this.
        make: Makes a ticket that nobody owns.
        now: The moment.
    """
    promote(line, now)
    shown = line.between(line.serving, min(seen_below, line.next) - 1)
    missing = [ticket for ticket in shown if ticket.number not in lefts]
    for ticket in missing:
        line.remove(ticket)
    note_dismissal(line, missing, "released", now)
    promote(line, now)
    _begin_anew_if_own(line, lefts, seen_below)
    for number, left in sorted(lefts.items()):
        if number >= line.next:
            if left > 0:
                _join(line, make(), number, left, now)
            continue
        ticket_there = line.ticket(number)
        if ticket_there is not None and ticket_there.expires > now:
            ticket_there.expires = now + left
            ticket_there.lifetime = max(ticket_there.lifetime, left)
            line.put(ticket_there)
    line.opened = True
    line.keep(now + max([_SHORTEST_KEPT, *lefts.values()]))
    promote(line, now)


def _begin_anew_if_own(line: LineStorage[T], lefts: Mapping[int, float], seen_below: int) -> None:
    lives_on_its_own = any(number >= seen_below and left > 0 for number, left in lefts.items())
    if lives_on_its_own and line.serving >= line.next and min(lefts) < line.next:
        begin_anew(line, min(lefts))


def _join(line: LineStorage[T], ticket: T, number: int, lifetime: float, now: float) -> None:
    if line.serving >= line.next:
        line.serving = number
    ticket.number, ticket.lifetime = number, lifetime
    ticket.joined, ticket.expires = now, now + lifetime
    ticket.claimed = False
    line.next = number + 1
    line.put(ticket)
