"""How a holder takes the messages that wait behind it into its own turn: ``absorb``.

They stay in line, marked with the number of the holder. The mark counts only while that number is
served, so nothing has to be undone when a turn goes wrong:

=================================  ================================================================
The holder's turn                  those that it has absorbed
=================================  ================================================================
ends well (it leaves, ``done``)    leave with it, and are told; their messages are done
ends otherwise, whoever ends it    are served in order, as if nothing had been
goes on                            wait; a newer message does not supersede them; their own owners
                                   may leave, and their own lifetimes end, as anybody's
=================================  ================================================================

If the answer of an ``absorb`` was lost, the holder says at its leave of whom it knows: the others
were not handled, and are served.

One whose own lifetime is over by then, or whose owner has left, is told nothing, but its message is
done: it was handled. So its ticket stays until the line moves on, as any that has expired does.
A message that has come again since, in another ticket, is that ticket's.

A holder that has absorbed, or asked for news, is told of each ticket that joins behind it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nowserving.held import MOST_ABSORBED, Absorbed
from nowserving.protocol.status import Absorption, absorbed_by
from nowserving.stores._lines.messages import note_done
from nowserving.stores._lines.promotion import promote
from nowserving.stores._lines.status import gone, own, removed, status
from nowserving.stores._lines.storage import Absorbing

if TYPE_CHECKING:
    from collections.abc import Collection

    from nowserving.stores._lines.storage import Handle, LineStorage, T

_PIECE = 200


def absorb(line: LineStorage[T], handle: Handle, most: int, now: float) -> Absorption:
    """Mark live, claimed tickets behind the holder, in order, until so many were in this turn.

    So it may be said again: what the first attempt has marked counts.

    Args:
        line: The line.
        handle: The holder.
        most: How many this turn may have absorbed then, those that have left since included.
        now: The moment.
    """
    promote(line, now)
    holder = own(line, handle)
    if holder is None or holder.expires <= now:
        return Absorption(gone(line, handle, now))
    if holder.served_at is None:
        return Absorption(status(line, holder, now))
    number = holder.number
    count, upto = absorbing(line) or (0, number)
    room, found, more = min(most, MOST_ABSORBED) - count, [], False
    for first in range(max(number + 1, line.superseded_below), line.next, _PIECE):
        if more and first > upto:
            break
        for ticket in line.between(first, min(first + _PIECE, line.next) - 1):
            if ticket.expires <= now:
                continue
            if ticket.absorbed_by != number:
                if not ticket.claimed:
                    continue
                if room <= 0:
                    more = True
                    continue
                ticket.absorbed_by = number
                room, count = room - 1, count + 1
                line.put(ticket)
            upto = max(upto, ticket.number)
            found.append(_shown(ticket, now))
    line.absorbing = Absorbing(number, count, upto)
    return Absorption(status(line, holder, now), count, more, tuple(found))


def absorbing(line: LineStorage[T]) -> tuple[int, int] | None:
    """Return how many the holder has absorbed, and up to which number; None if it never asked."""
    known = line.absorbing
    if known is None or known.by != line.serving or line.serving >= line.next:
        return None
    return known.taken, known.upto


def is_absorbed(line: LineStorage[T], ticket: T) -> bool:
    """Return whether the holder has absorbed a ticket."""
    return ticket.absorbed_by == line.serving


def keep_absorbed(line: LineStorage[T], ticket: T, now: float) -> bool:
    """Let a message stay with the holder that has absorbed it, though its own owner leaves.

    The ticket has ended, as if it had expired; its message is done if the holder ends well.

    Returns:
        Whether it is such a ticket.
    """
    if ticket.message_id is None or absorbing(line) is None or not is_absorbed(line, ticket):
        return False
    ticket.expires = min(ticket.expires, now)
    line.put(ticket)
    return True


def tell_listener(line: LineStorage[T], ticket: T, now: float) -> None:
    """Tell the holder, if it wants to know, of somebody who has come to wait behind it."""
    known = line.absorbing
    if known is None or known.by != line.serving or not ticket.claimed or is_absorbed(line, ticket):
        return
    holder = line.ticket(line.serving)
    if holder is not None and holder is not ticket:
        line.mail.append((holder, status(line, holder, now)))


def end_absorbed(
    line: LineStorage[T], number: int, now: float, known: Collection[int] | None
) -> None:
    """Have those leave whom a holder has absorbed that has left, after its body ended well.

    Args:
        line: The line.
        number: The holder's number.
        now: The moment.
        known: The numbers that it was told of, if that may not be all; None if it is.
    """
    absorbed = line.absorbing
    if absorbed is None or absorbed.by != number:
        return
    line.absorbing = None
    told, why = [], absorbed_by(number)
    for ticket in line.between(number + 1, absorbed.upto):
        if ticket.absorbed_by != number or (known is not None and ticket.number not in known):
            continue
        line.remove(ticket)
        line.keep(now + ticket.lifetime)
        if ticket.message_id is not None and line.of_message(ticket.message_id, now) is None:
            note_done(line, ticket, now)
        if ticket.expires > now:
            line.mail.append((ticket, removed(ticket.number, why)))
            if ticket.owner:
                told.append(ticket)
    if told:  # the mail can be lost
        line.note_removed(told, why, now)


def _shown(ticket: T, now: float) -> Absorbed:
    waited = max(now - ticket.joined, 0.0)
    return Absorbed(ticket.number, ticket.message_id, ticket.label, waited)
