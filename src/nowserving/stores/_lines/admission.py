"""Who may join a line: ``take``.

In this order:

1. A message that is known is a duplicate, whatever the policy.
2. An empty line admits everybody.
3. ``reject`` is refused by any line that is not empty.
4. ``max_waiting`` refuses when so many live tickets wait already. The holder does not count. With
   ``latest`` and ``interrupt`` those who wait make room, with ``when_full="drop_oldest"`` the one
   that has waited longest; so these are refused only by a limit of 0.
5. With ``latest`` and ``interrupt`` all who wait are superseded; with ``interrupt`` the holder is
   asked to stop, too, once. Whoever makes room for one more is superseded as well.
6. The ticket joins the end of the line. On an empty line it is served at once, unless it asks that
   the line settles first (``settling.py``).

If the line settles, its first ticket waits like any other, and is counted and superseded like any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nowserving.protocol.status import State, TicketStatus
from nowserving.stores._lines.absorption import absorbing, is_absorbed, tell_listener
from nowserving.stores._lines.answers import answers_for
from nowserving.stores._lines.messages import progress
from nowserving.stores._lines.promotion import promote, serve
from nowserving.stores._lines.settling import extend_burst, waits_at_head
from nowserving.stores._lines.status import SUPERSEDED, removed, status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nowserving.protocol.status import Admission
    from nowserving.stores._lines.storage import LineStorage, T

_SUPERSEDING = frozenset({"latest", "interrupt"})

_PIECE = 50
"""How many numbers are looked at in one go for the one that has waited longest."""


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
    return admit(line, ticket, admission, now)


def refuse(line: LineStorage[T], admission: Admission, now: float) -> TicketStatus | None:
    """Say why nobody may join the line like that, or None if one may."""
    if admission.message_id is not None:
        known = progress(line, admission.message_id, now)
        if known:
            return TicketStatus(State.DUPLICATE, detail=known)
    if line.serving >= line.next:
        return None
    if admission.when_busy != "reject":
        makes_room = admission.when_busy in _SUPERSEDING or admission.when_full == "drop_oldest"
        if admission.max_waiting != 0 if makes_room else not _is_full(line, admission, now):
            return None
    holder = line.ticket(line.serving)
    if holder is None:
        return None
    return TicketStatus(
        State.BUSY,
        ahead=line.next - line.serving,
        detail=holder.owner if holder.claimed else "",  # else it is a secret, which redeems it
        since=now - (holder.served_at or now),
    )


def _is_full(line: LineStorage[T], admission: Admission, now: float) -> bool:
    limit = admission.max_waiting
    return limit is not None and line.has_waiting(limit, now)


def admit(line: LineStorage[T], ticket: T, admission: Admission, now: float) -> TicketStatus:
    """Let a ticket join that is not refused, once those have left who must for it."""
    superseded = _make_room(line, admission, now)
    if superseded:
        ticket.answers = answers_for(superseded)
    return _join(line, ticket, admission, now)


def _make_room(line: LineStorage[T], admission: Admission, now: float) -> Sequence[T]:
    """Have those leave who must; return for whom the newer message answers."""
    if line.serving >= line.next:
        return ()
    if admission.when_busy in _SUPERSEDING:
        superseded = _clear(line, now)
        if admission.when_busy == "interrupt":
            _interrupt(line, now)
        if admission.settle is None:
            line.settles_until = 0.0
        return superseded
    if admission.when_full == "drop_oldest" and _is_full(line, admission, now):
        _drop_oldest(line, now)
        if admission.settle is None and line.serving >= line.next:
            line.settles_until = 0.0
    return ()


def _clear(line: LineStorage[T], now: float) -> Sequence[T]:
    """Have everybody leave who waits, but for those whom the holder has absorbed; return them."""
    if absorbing(line):
        behind = line.between(line.serving + 1, line.next - 1)
        others = [waiter for waiter in behind if not is_absorbed(line, waiter)]
        _take_out(line, others, now)
        return others
    alone = waits_at_head(line)
    waiters = line.remove_from(line.serving if alone else line.serving + 1)
    if alone:
        line.serving = line.next
    _note_superseded(line, waiters, line.next, now)
    return waiters


def _drop_oldest(line: LineStorage[T], now: float) -> None:
    """Have the one leave that has waited longest, and with it whoever has expired before it.

    One that the holder has absorbed stays. Where all of them are, nobody leaves, and the new one
    waits in addition.
    """
    head = line.ticket(line.serving) if waits_at_head(line) else None
    if head is not None:
        line.remove(head)
        _note_superseded(line, [head], head.number + 1, now)
        burst = line.settles_until  # goes on, though for a moment nobody may be in line
        promote(line, now)
        line.settles_until = burst
        return
    if absorbing(line):
        for waiter in line.between(line.serving + 1, line.next - 1):
            if waiter.expires > now and not is_absorbed(line, waiter):
                _take_out(line, [waiter], now)
                break
        return
    first = max(line.serving + 1, line.superseded_below)
    while first < line.next:
        last = min(first + _PIECE, line.next) - 1
        superseded = []
        for waiter in line.between(first, last):
            line.remove(waiter)
            superseded.append(waiter)
            if waiter.expires > now:
                last = waiter.number
                break
        _note_superseded(line, superseded, last + 1, now)
        if superseded and superseded[-1].expires > now:
            return
        first = last + 1


def _take_out(line: LineStorage[T], waiters: Sequence[T], now: float) -> None:
    """Have these leave for a newer message, and not whoever else has a smaller number."""
    for waiter in waiters:
        line.remove(waiter)
        line.keep(now + waiter.lifetime)
        line.mail.append((waiter, removed(waiter.number, SUPERSEDED)))
    told = [waiter for waiter in waiters if waiter.owner]
    if told:
        line.note_removed(told, SUPERSEDED, now)


def _note_superseded(line: LineStorage[T], waiters: Sequence[T], below: int, now: float) -> None:
    line.superseded_below = below
    for waiter in waiters:
        line.keep(now + waiter.lifetime)
        line.mail.append((waiter, removed(waiter.number, SUPERSEDED)))
    line.note_removed([waiter for waiter in waiters if waiter.owner], SUPERSEDED, now)


def _interrupt(line: LineStorage[T], now: float) -> None:
    holder = line.ticket(line.serving)
    if holder is not None and not holder.interrupted:
        holder.interrupted = True
        line.put(holder)
        line.mail.append((holder, status(line, holder, now)))


def _join(line: LineStorage[T], ticket: T, admission: Admission, now: float) -> TicketStatus:
    """Put a ticket at the end of the line; served at once if nobody else is there."""
    number = line.next
    ticket.number = number
    ticket.expires = now + admission.lifetime
    ticket.joined = now
    agree(ticket, admission)
    if admission.message_id is not None:
        ticket.message_id, ticket.remember_for = admission.message_id, admission.remember_for
    if admission.label is not None:
        ticket.label = admission.label
    line.next = number + 1
    extend_burst(line, admission, now)
    if line.serving == number and now >= line.settles_until:
        serve(line, ticket, now)
    else:
        line.put(ticket)
        if line.absorbing is not None:
            tell_listener(line, ticket, now)
    return status(line, ticket, now)


def agree(ticket: T, admission: Admission) -> None:
    """Let a ticket live as its take, or its redeeming, asks for."""
    ticket.lifetime = admission.lifetime
    ticket.claimed = admission.claimed
    ticket.renewed = admission.renewed
