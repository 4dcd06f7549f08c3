"""What becomes of a take that comes late, or twice: for stores in which a reply can be lost.

A take whose connection broke is sent again, or given up and left by its owner. What was written to
the broken connection may still be on its way, and arrive when the repeated one is served, or its
turn is over. It would then issue a ticket that nobody holds, and everybody behind it would wait for
its lifetime. So whoever knows that an attempt may be on its way leaves a tombstone:

* a repeated take, whatever it is answered;
* a leave by owner alone, whose take was never answered;
* a parking: a redeeming that comes late would claim the place again, for nobody;
* whoever takes out the ticket of somebody else. Here it is not the first attempt that does harm but
  a repetition: it would find no ticket, and join anew. A superseded one would supersede the very
  message that it had to leave for. This tombstone also tells the owner why its ticket is gone.

===========  ===========================  ===============================================
An attempt   has a tombstone              has none
===========  ===========================  ===============================================
the first    is refused: it comes late    is decided like any take
repeated     is told of its own ticket,   finds its own ticket by owner, and is told of
             or how that ended, or why    that; else is decided like any take
             it is refused; never joins
===========  ===========================  ===============================================

A tombstone stays for as long as an attempt can be late, also after it has refused one: there may be
several. A store that answers every take before anything can come between needs nothing of this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nowserving.protocol.status import ALIVE, NOT_ISSUED, State, TicketStatus
from nowserving.stores._lines.admission import admit, refuse
from nowserving.stores._lines.departure import note_departure
from nowserving.stores._lines.promotion import promote
from nowserving.stores._lines.redemption import park, redeem
from nowserving.stores._lines.removal import leave
from nowserving.stores._lines.status import removed, status
from nowserving.stores._lines.storage import Tombstone

if TYPE_CHECKING:
    from collections.abc import Collection

    from nowserving.protocol.status import Admission, Departure, IssuedTicket, Outcome
    from nowserving.stores._lines.storage import AttemptStorage, Handle, T


def attempt_take(
    line: AttemptStorage[T], ticket: T, admission: Admission, now: float, *, repeated: bool
) -> TicketStatus:
    """Decide a take of which there may be several attempts.

    Args:
        line: The line.
        ticket: The ticket, which has nothing but an owner.
        admission: What is asked for; not a redeeming.
        now: The moment.
        repeated: Whether an earlier attempt may have arrived, or may still be on its way.

    Returns:
        As of every take. ``GONE`` when it comes too late, or when its ticket is gone by now;
        ``SUPERSEDED`` when a newer message took its place.
    """
    owner, tombstone = ticket.owner, line.tombstone(ticket.owner)
    if tombstone is not None and not repeated:
        return TicketStatus(State.GONE)
    promote(line, now)
    if repeated:
        earlier = _earlier(line, owner, tombstone, now)
        if earlier is not None:
            return earlier
    refusal = refuse(line, admission, now)
    if refusal is not None:
        if repeated and tombstone is None:
            line.bury(owner, Tombstone(), now)
        return refusal
    if tombstone is not None:
        # Its ticket is gone, or it was refused, or its owner has left, and nobody waits for the
        # answer: a repetition may be late as well. Which of these, nobody can tell.
        return _epitaph(tombstone)
    answer = admit(line, ticket, admission, now)
    if repeated:
        line.bury(owner, Tombstone(ticket.number), now)
    return answer


def _earlier(
    line: AttemptStorage[T], owner: str, tombstone: Tombstone | None, now: float
) -> TicketStatus | None:
    """Tell of the ticket that an earlier attempt got, None if that is not known."""
    if tombstone is None:
        ticket = line.find(owner)
    elif tombstone.why:
        return _epitaph(tombstone)
    else:
        ticket = line.ticket(tombstone.number)
    if ticket is None or ticket.owner != owner:
        return None
    if ticket.expires <= now:  # nobody may have two
        line.remove(ticket)
        note_departure(line, ticket, "expired", now)
        return None
    if tombstone is None:
        line.bury(owner, Tombstone(ticket.number), now)
    return status(line, ticket, now)


def attempt_redeem(
    line: AttemptStorage[T], issued: IssuedTicket, ticket: T, admission: Admission, now: float
) -> TicketStatus:
    """Decide a redeeming of which there may be several attempts.

    The place of one that comes late stays in line, for whoever redeems it yet.
    """
    tombstone = line.tombstone(ticket.owner)
    if tombstone is None:
        return redeem(line, issued, ticket, admission, now)
    promote(line, now)
    return _epitaph(tombstone)


def attempt_park(  # noqa: PLR0913 - as park()
    line: AttemptStorage[T],
    handle: Handle,
    issued: IssuedTicket,
    ticket: T,
    lifetime: float,
    now: float,
) -> TicketStatus:
    """Decide a parking of a ticket whose redeeming may still be on its way."""
    answer = park(line, handle, issued, ticket, lifetime, now)
    if answer.state in ALIVE:
        line.bury(handle.owner, Tombstone(int(issued)), now)
    return answer


def attempt_leave(
    line: AttemptStorage[T],
    handle: Handle,
    outcome: Outcome,
    now: float,
    known: Collection[int] | None = None,
) -> Departure:
    """Decide a leave whose take may still be on its way."""
    if handle.number == NOT_ISSUED:
        line.bury(handle.owner, Tombstone(), now)
    return leave(line, handle, outcome, now, known)


def _epitaph(tombstone: Tombstone) -> TicketStatus:
    return removed(tombstone.number, tombstone.why)
