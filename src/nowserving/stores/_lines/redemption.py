"""What a ticket is good for that was issued earlier: it is redeemed once, by who knows it.

Whoever redeems it takes its place in line, and begins a new lifetime there. A bare number is enough
(the reference has nothing else), but a secret that is given has to be the ticket's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nowserving.protocol.status import State, TicketStatus
from nowserving.stores._lines.admission import agree
from nowserving.stores._lines.messages import progress
from nowserving.stores._lines.promotion import promote
from nowserving.stores._lines.status import not_redeemable, status

if TYPE_CHECKING:
    from nowserving.protocol.status import Admission, IssuedTicket
    from nowserving.stores._lines.storage import LineStorage, T


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
        return not_redeemable(line, number)
    if known.owner == ticket.owner:  # said again: an earlier attempt has redeemed it
        return status(line, known, now)
    if known.claimed or (issued.secret and issued.secret != known.owner):
        return TicketStatus(State.GONE, number)
    message_id = admission.message_id
    if message_id is not None and message_id != known.message_id:
        progressed = progress(line, message_id, now)
        if progressed:
            return TicketStatus(State.DUPLICATE, detail=progressed)
    line.remove(known)
    ticket.number, ticket.served_at = number, known.served_at
    ticket.interrupted = known.interrupted
    if known.answers is not None:
        ticket.answers = known.answers
    ticket.message_id = known.message_id if message_id is None else message_id
    if ticket.message_id is not None:
        said = admission.remember_for
        ticket.remember_for = known.remember_for if said is None else said
    ticket.label = known.label if admission.label is None else admission.label
    ticket.joined = known.joined
    ticket.expires = now + admission.lifetime
    agree(ticket, admission)
    line.put(ticket)
    return status(line, ticket, now)
