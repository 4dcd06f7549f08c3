"""How tickets are given back and taken out: ``leave``, ``finish``, ``release``, ``delete``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nowserving.protocol.status import Departure, release_reason, released_for
from nowserving.stores._lines.absorption import end_absorbed, keep_absorbed
from nowserving.stores._lines.departure import note_departure, note_dismissal
from nowserving.stores._lines.promotion import promote
from nowserving.stores._lines.status import own, why_gone

if TYPE_CHECKING:
    from collections.abc import Collection

    from nowserving.protocol.status import IssuedTicket, Outcome
    from nowserving.stores._lines.storage import Handle, LineStorage, T, Ticket


def leave(
    line: LineStorage[T],
    handle: Handle,
    outcome: Outcome,
    now: float,
    known: Collection[int] | None = None,
) -> Departure:
    """Give a ticket back, and serve the next one. One that has expired is not there any more.

    Args:
        line: The line.
        handle: The ticket, and who has it.
        outcome: How its turn ended.
        now: The moment.
        known: Whom it knows to have absorbed (``known_absorbed`` of its handle).
    """
    ticket, left = own(line, handle), False
    if ticket is not None:
        left = ticket.expires > now
        if not keep_absorbed(line, ticket, now):
            line.remove(ticket)
            note_departure(line, ticket, outcome if left else "expired", now)
            if left and outcome == "done" and line.absorbing is not None:
                end_absorbed(line, ticket.number, now, known)
    promote(line, now)
    why = "" if left else why_gone(line, handle, now)
    return Departure(left, someone_waiting=line.serving < line.next, why=why)


def finish(
    line: LineStorage[T], issued: IssuedTicket, own_prefix: str, now: float, *, keep: bool
) -> bool:
    """Remove a ticket by its number (the reference's ``finish_serving`` and ``cleanup``).

    With a secret it is exactly that owner's ticket. A number alone proves nothing: it removes only
    a ticket that nobody has claimed, or that is the caller's own.

    Args:
        line: The line.
        issued: The ticket's number, and its secret if that is known.
        own_prefix: What the owners of the caller's own tickets begin with.
        now: The moment.
        keep: Whether an empty line is still a lock afterwards; if not, its numbers begin anew.

    Returns:
        Whether a live ticket is in line afterwards.
    """
    ticket = line.ticket(int(issued))
    if ticket is not None and _may_finish(ticket, issued.secret, own_prefix):
        line.remove(ticket)
        note_dismissal(line, [ticket], "done", now)
    promote(line, now)
    if line.serving < line.next:
        return True
    if keep:
        line.opened = True
    else:
        close_lock(line)
    return False


def _may_finish(ticket: Ticket, secret: str, own_prefix: str) -> bool:
    if secret:
        return ticket.owner == secret
    return not ticket.claimed or ticket.owner.startswith(own_prefix)


def release(line: LineStorage[T], handle: Handle, reason: str, now: float) -> bool:
    """Take out a live ticket, whoever has it, and serve the next one.

    Args:
        line: The line.
        handle: The ticket as ``line`` showed it.
        reason: What its owner is told.
        now: The moment.

    Returns:
        Whether it was there, or an earlier attempt has taken it out.
    """
    promote(line, now)
    ticket = line.ticket(handle.number)
    if ticket is None or ticket.owner != handle.owner or ticket.expires <= now:
        return release_reason(line.why_removed(handle, now)) is not None
    line.remove(ticket)
    note_dismissal(line, [ticket], "released", now, released_for(reason))
    promote(line, now)
    return True


def delete(line: LineStorage[T], now: float) -> None:
    """Remove every ticket, and end the lock."""
    note_dismissal(line, line.remove_from(line.serving), "released", now)
    close_lock(line)


def close_lock(line: LineStorage[T]) -> None:
    """End the lock as the reference sees it; the next number of the empty line is 0.

    What is remembered stays, and fencing tokens grow on.
    """
    line.opened = False
    begin_anew(line, 0)


def begin_anew(line: LineStorage[T], number: int) -> None:
    """Let the numbers of an empty line begin anew: order never rests on a number alone."""
    line.next = line.serving = number
    line.superseded_below = 0
    line.settles_until = 0.0
    line.absorbing = None
