"""What a ticket is good for that was issued earlier: it is redeemed once, by who knows it.

Whoever redeems it takes its place in line, and begins a new lifetime there. A bare number is enough
(the reference has nothing else), but a secret that is given has to be the ticket's own.

Whoever has redeemed it and does not want to wait any longer may park it: the ticket stays where it
is, with the secret by which it was redeemed, and a new lifetime to be redeemed in again. One that
is served by then stays at the head of the line, where it blocks the others until it ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nowserving.protocol.status import State, TicketStatus
from nowserving.stores._lines.absorption import tell_listener
from nowserving.stores._lines.admission import agree
from nowserving.stores._lines.messages import progress
from nowserving.stores._lines.promotion import promote
from nowserving.stores._lines.status import gone, not_redeemable, own, status

if TYPE_CHECKING:
    from nowserving.protocol.status import Admission, IssuedTicket
    from nowserving.stores._lines.storage import Handle, LineStorage, T


def redeem(
    line: LineStorage[T], issued: IssuedTicket, ticket: T, admission: Admission, now: float
) -> TicketStatus:
    """Let a ticket take the place of one that was issued earlier, or say why not.

    Args:
        line: The line.
        issued: What was issued.
        ticket: The ticket that takes its place, which has nothing but an owner.
        admission: What is asked for.
        now: The moment.
    """
    promote(line, now)
    number = int(issued)
    known = line.ticket(number)
    if known is None or known.expires <= now:
        return not_redeemable(line, issued, now)
    if known.owner == ticket.owner:  # said again: an earlier attempt has redeemed it
        return status(line, known, now)
    if known.claimed or (issued.secret and issued.secret != known.owner):
        return not_redeemable(line, issued, now)
    message_id = admission.message_id
    if message_id is not None and message_id != known.message_id:
        progressed = progress(line, message_id, now)
        if progressed:
            return TicketStatus(State.DUPLICATE, detail=progressed)
    _replace(line, known, ticket)
    if message_id is not None:
        ticket.message_id = message_id
    if ticket.message_id is not None and admission.remember_for is not None:
        ticket.remember_for = admission.remember_for
    if admission.label is not None:
        ticket.label = admission.label
    ticket.expires = now + admission.lifetime
    agree(ticket, admission)
    line.put(ticket)
    if ticket.served_at is None:
        tell_listener(line, ticket, now)
    return status(line, ticket, now)


def park(  # noqa: PLR0913 - as much as redeem() is told, and a lifetime
    line: LineStorage[T],
    handle: Handle,
    issued: IssuedTicket,
    ticket: T,
    lifetime: float,
    now: float,
) -> TicketStatus:
    """Leave a redeemed ticket in line, to be redeemed once more by whoever knows it.

    Said again, it finds the ticket parked and gives it its lifetime anew; so it does with one whose
    redeeming never arrived.

    Args:
        line: The line.
        handle: Who has redeemed it, with the ticket's number.
        issued: What was redeemed: its secret is the ticket's from now on. Without one, a bare
            number is all that is needed to redeem it, as before.
        ticket: What stands in line from now on, which has nothing but that secret as its owner.
        lifetime: Seconds within which it has to be redeemed.
        now: The moment.

    Returns:
        Where it stands. ``GONE`` without a reason if somebody else has redeemed it since.
    """
    promote(line, now)
    number = int(issued)
    known = line.ticket(number)
    if known is None or known.expires <= now:
        return gone(line, handle, now)
    if own(line, handle) is None:
        if line.why_removed(handle, now):  # so the number is somebody else's by now
            return gone(line, handle, now)
        if known.claimed or (issued.secret and issued.secret != known.owner):
            return TicketStatus(State.GONE, number)
        ticket = known
    else:
        _replace(line, known, ticket)
        ticket.claimed = ticket.renewed = False
    ticket.expires = now + lifetime
    ticket.lifetime = max(known.lifetime, lifetime)
    line.put(ticket)
    return status(line, ticket, now)


def _replace(line: LineStorage[T], known: T, ticket: T) -> None:
    """Let a ticket stand where another one stood: the same place and turn, for somebody else."""
    line.remove(known)
    if known.served_at is not None:
        line.absorbing = None  # that was another holder
    ticket.number, ticket.served_at = known.number, known.served_at
    ticket.interrupted, ticket.absorbed_by = known.interrupted, known.absorbed_by
    ticket.message_id, ticket.remember_for = known.message_id, known.remember_for
    ticket.label, ticket.joined = known.label, known.joined
    if known.answers is not None:
        ticket.answers = known.answers
