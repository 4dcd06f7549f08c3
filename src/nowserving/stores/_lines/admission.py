"""Who may join a line: ``take``.

In this order:

1. A message that is known is a duplicate, whatever the policy.
2. An empty line admits everybody.
3. ``reject`` is refused by any line that is not empty.
4. ``max_waiting`` refuses when so many live tickets wait already. The holder does not count. With
   ``latest`` and ``interrupt`` those who wait make room; so they are refused only by a limit of 0.
5. With ``latest`` and ``interrupt`` all who wait are superseded; with ``interrupt`` the holder is
   asked to stop, too, once.
6. The ticket joins the end of the line. On an empty line it is served at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nowserving.protocol.status import State, TicketStatus
from nowserving.stores._lines.messages import progress
from nowserving.stores._lines.promotion import promote, serve
from nowserving.stores._lines.status import SUPERSEDED, removed, status

if TYPE_CHECKING:
    from nowserving.protocol.status import Admission
    from nowserving.stores._lines.storage import LineStorage, T

_SUPERSEDING = frozenset({"latest", "interrupt"})


def take(line: LineStorage[T], ticket: T, admission: Admission, now: float) -> TicketStatus:
    """Let a ticket join the line, or say why not.

    Args:
        line: The line.
        ticket: The ticket, which has nothing but an owner.
        admission: What is asked for; not a redeeming.
        now: The moment.
    """
    promote(line, now)
    refusal = refuse(line, admission, now)
    if refusal is not None:
        return refusal
    make_room(line, admission, now)
    return join(line, ticket, admission, now)


def refuse(line: LineStorage[T], admission: Admission, now: float) -> TicketStatus | None:
    """Say why nobody may join the line like that, or None if one may."""
    if admission.message_id is not None:
        known = progress(line, admission.message_id, now)
        if known:
            return TicketStatus(State.DUPLICATE, detail=known)
    if line.serving >= line.next:
        return None
    if admission.when_busy != "reject" and not _is_full(line, admission, now):
        return None
    holder = line.ticket(line.serving)
    if holder is None:
        return None
    return TicketStatus(
        State.BUSY,
        ahead=line.next - line.serving,
        detail=holder.owner,
        since=now - (holder.served_at or now),
    )


def _is_full(line: LineStorage[T], admission: Admission, now: float) -> bool:
    limit = admission.max_waiting
    if limit is None:
        return False
    if admission.when_busy in _SUPERSEDING:
        return limit == 0
    return line.has_waiting(limit, now)


def make_room(line: LineStorage[T], admission: Admission, now: float) -> None:
    """Have those leave who must for a newer message."""
    if admission.when_busy not in _SUPERSEDING or line.serving >= line.next:
        return
    superseded = line.remove_from(line.serving + 1)
    line.superseded_below = line.next
    for waiter in superseded:
        line.keep(now + waiter.lifetime)
        line.mail.append((waiter, removed(waiter.number, SUPERSEDED)))
    line.note_removed([waiter for waiter in superseded if waiter.owner], SUPERSEDED, now)
    holder = line.ticket(line.serving)
    if admission.when_busy == "interrupt" and holder is not None and not holder.interrupted:
        holder.interrupted = True
        line.put(holder)
        line.mail.append((holder, status(line, holder, now)))


def join(line: LineStorage[T], ticket: T, admission: Admission, now: float) -> TicketStatus:
    """Put a ticket at the end of the line; served at once if nobody else is there."""
    number = line.next
    ticket.number = number
    ticket.expires = now + admission.lifetime
    ticket.joined = now
    agree(ticket, admission)
    ticket.message_id, ticket.label = admission.message_id, admission.label
    line.next = number + 1
    if line.serving == number:
        serve(line, ticket, now)
    else:
        line.put(ticket)
    return status(line, ticket, now)


def agree(ticket: T, admission: Admission) -> None:
    """Let a ticket live as its take, or its redeeming, asks for."""
    ticket.lifetime = admission.lifetime
    ticket.claimed = admission.claimed
    ticket.renewed = admission.renewed
