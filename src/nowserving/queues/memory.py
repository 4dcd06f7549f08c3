"""The in-memory queue: one process, any number of threads and event loops, no polling.

It is the seam's plainest reading, so read it before the others. The Redis scripts decide exactly
the same things in the same order; only the clock and the container differ.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from nowserving.bell import Bell
from nowserving.identity import Owners, on_fork
from nowserving.queues.base import Guarantees
from nowserving.standing import Admission, Departure, Line, LineTicket, Place, Standing, State

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from nowserving.lock import TicketLock
    from nowserving.standing import IssuedTicket, Outcome

logger = logging.getLogger(__name__)

_SUPERSEDING = frozenset({"latest", "interrupt"})
_SWEEP_EVERY = 60.0
"""Seconds after which an entry of the idle list is looked at, however long its record stays."""
_SWEEP_AT_ONCE = 16
"""Entries one take looks at: it adds one at most, so the list shrinks, and no take pays for all."""


class _Ticket:
    """One ticket in a line; ``served_at`` is None while it waits."""

    __slots__ = (
        "bell",
        "claimed",
        "expires",
        "interrupted",
        "lifetime",
        "message_id",
        "number",
        "owner",
        "renewed",
        "served_at",
    )

    def __init__(self, number: int, place: Place, admission: Admission, now: float) -> None:
        self.number = number
        self.owner = place.owner
        self.bell = place.bell
        self.lifetime = admission.lifetime
        self.expires = now + admission.lifetime
        self.renewed = admission.renewed
        self.claimed = admission.claimed
        self.message_id = admission.message_id
        self.served_at: float | None = None
        self.interrupted = False


class _Line:
    """A conversation's record.

    ``messages`` maps the id of a live ticket's message to the ticket, and of a finished one to
    the time until which it is remembered; ``remembered`` lists the latter, oldest first.
    """

    __slots__ = (
        "idle_until",
        "in_idle_list",
        "messages",
        "next",
        "opened",
        "predecessor",
        "remembered",
        "serving",
        "superseded_below",
        "tickets",
        "token",
    )

    def __init__(self) -> None:
        self.next = 0
        self.serving = 0
        self.token = 0
        self.superseded_below = 0
        self.predecessor = "none"
        self.tickets: dict[int, _Ticket] = {}
        self.opened = False
        self.messages: dict[str, _Ticket | float] = {}
        self.remembered: deque[tuple[float, str]] = deque()
        self.idle_until = 0.0
        self.in_idle_list = False


class MemoryQueue:
    """Lines in a dictionary, each verb under one mutex that is never held across an ``await``."""

    guarantees = Guarantees(
        cross_process=False,
        cross_host=False,
        pushes=True,
        durable=False,
        store_clock=True,
        suspends=False,
        policies=True,
    )

    def __init__(self) -> None:
        self._start_afresh()
        self._used_after_fork: bool | None = None
        on_fork(self)

    def _start_afresh(self) -> None:
        self._owners = Owners()
        self._mutex = threading.Lock()
        self._lines: dict[str, _Line] = {}
        self._idle: deque[tuple[float, str]] = deque()
        self._highest_token = 0

    def place(self, conversation_id: str) -> Place:
        """Return a fresh, unissued place."""
        return Place(conversation_id, self._owners.draw(), bell=Bell())

    def owns(self, owner: str) -> bool:
        """Return whether ``owner`` was drawn here."""
        return owner.startswith(self._owners.nonce)

    async def take(self, place: Place, admission: Admission) -> Standing:
        """Join the line; decided by conversation, policy, limit and message, in that order."""
        if self._used_after_fork is False:
            self._warn_of_fork()
        rings: list[tuple[_Ticket, Standing]] = []
        with self._mutex:
            now = time.monotonic()
            if self._idle and self._idle[0][0] <= now:
                self._sweep(now)
            line = self._lines.get(place.conversation_id)
            if line is None:
                line = self._lines[place.conversation_id] = _Line()
            if line.tickets:
                self._settle(line, now, rings)
            standing = self._admit(line, place, admission, now, rings)
            if not line.tickets:  # refused or not redeemable, and nobody else is here
                self._retire(place.conversation_id, line, now, admission.lifetime)
        self._ring(rings)
        return standing

    def _admit(
        self,
        line: _Line,
        place: Place,
        admission: Admission,
        now: float,
        rings: list[tuple[_Ticket, Standing]],
    ) -> Standing:
        if admission.redeem is not None:
            return self._redeem(line, place, admission, admission.redeem, now, rings)
        refusal = self._refuse(line, admission, now)
        if refusal is not None:
            return refusal
        number = line.next
        ticket = _Ticket(number, place, admission, now)
        if admission.when_busy in _SUPERSEDING:
            self._supersede(line, number, now, rings)
            if admission.when_busy == "interrupt":
                self._interrupt(line, now, rings)
        line.next = number + 1
        line.tickets[number] = ticket
        if admission.message_id is not None:
            line.messages[admission.message_id] = ticket
        place.number = number
        self._settle(line, now, rings, joining=ticket)
        return self._standing(line, ticket, now)

    def _refuse(self, line: _Line, admission: Admission, now: float) -> Standing | None:
        if admission.message_id is not None:
            self._forget_old_messages(line, now)
            known = line.messages.get(admission.message_id)
            if known is not None:
                return Standing(State.DUPLICATE, detail=_progress(known))
        if not line.tickets:
            return None
        if admission.when_busy == "reject" or self._is_full(line, admission, now):
            holder = line.tickets[line.serving]
            return Standing(
                State.BUSY,
                ahead=len(line.tickets),
                detail=holder.owner,
                since=now - (holder.served_at or now),
            )
        return None

    @staticmethod
    def _is_full(line: _Line, admission: Admission, now: float) -> bool:
        limit = admission.max_waiting
        if limit is None or len(line.tickets) <= limit:
            return False
        if admission.when_busy in _SUPERSEDING:  # the waiters will make room
            return limit == 0
        waiters = (t for t in line.tickets.values() if t.served_at is None)
        return sum(1 for waiter in waiters if waiter.expires > now) >= limit

    def _redeem(  # noqa: PLR0913 - one step of `take`, with all that it knows
        self,
        line: _Line,
        place: Place,
        admission: Admission,
        issued: IssuedTicket,
        now: float,
        rings: list[tuple[_Ticket, Standing]],
    ) -> Standing:
        number = int(issued)
        ticket = line.tickets.get(number)
        if ticket is None or ticket.claimed or (issued.secret and issued.secret != ticket.owner):
            superseded = ticket is None and number < line.superseded_below
            return Standing(State.SUPERSEDED if superseded else State.GONE, number)
        if admission.message_id is not None:
            known = line.messages.setdefault(admission.message_id, ticket)
            if known is not ticket:
                return Standing(State.DUPLICATE, detail=_progress(known))
            ticket.message_id = admission.message_id
        ticket.owner, ticket.bell, ticket.claimed = place.owner, place.bell, True
        ticket.lifetime, ticket.renewed = admission.lifetime, admission.renewed
        ticket.expires = now + admission.lifetime
        place.number = number
        self._settle(line, now, rings, joining=ticket)
        return self._standing(line, ticket, now)

    async def stand(self, place: Place) -> Standing:
        """Tell where a ticket stands."""
        return (await self.renew([(place, 0.0)]))[0]

    async def renew(self, places: Sequence[tuple[Place, float]]) -> list[Standing]:
        """Give each place its lifetime anew (0 only looks)."""
        rings: list[tuple[_Ticket, Standing]] = []
        standings = []
        with self._mutex:
            now = time.monotonic()
            for place, lifetime in places:
                line = self._lines.get(place.conversation_id)
                ticket = None
                if line is not None:
                    self._settle(line, now, rings)
                    ticket = line.tickets.get(place.number)
                    if ticket is not None and ticket.owner == place.owner and ticket.expires > now:
                        if lifetime:
                            ticket.expires = now + lifetime
                        standings.append(self._standing(line, ticket, now))
                        continue
                superseded = line is not None and place.number < line.superseded_below
                standings.append(
                    Standing(State.SUPERSEDED if superseded else State.GONE, place.number)
                )
        self._ring(rings)
        return standings

    async def leave(self, place: Place, outcome: Outcome) -> Departure:
        """Give the ticket back and serve the next one."""
        rings: list[tuple[_Ticket, Standing]] = []
        with self._mutex:
            line = self._lines.get(place.conversation_id)
            ticket = None if line is None else line.tickets.get(place.number)
            if line is None or ticket is None or ticket.owner != place.owner:
                # A take here is answered before it can be cancelled: no tombstone is needed.
                return Departure(left=False, someone_waiting=bool(line and line.tickets))
            now = time.monotonic()
            departure = self._remove(place.conversation_id, line, ticket, outcome, now, rings)
        self._ring(rings)
        return departure

    async def wait(self, place: Place, timeout: float) -> Standing | None:  # noqa: ASYNC109
        """Wait for the bell; a promotion always rings it."""
        bell = place.bell
        return None if bell is None else await bell.wait(timeout)

    async def line(self, conversation_id: str) -> Line | None:
        """Return the line, None where there is no lock."""
        rings: list[tuple[_Ticket, Standing]] = []
        with self._mutex:
            now = time.monotonic()
            line = self._lines.get(conversation_id)
            if line is None:
                return None
            self._settle(line, now, rings)
            tickets = tuple(
                LineTicket(
                    number=ticket.number,
                    expires_in=ticket.expires - now,
                    owner=ticket.owner,
                    served_for=None if ticket.served_at is None else now - ticket.served_at,
                )
                for _, ticket in sorted(line.tickets.items())
                if ticket.expires > now
            )
            found = Line(line.next, tickets) if tickets or line.opened else None
        self._ring(rings)
        return found

    async def save(self, lock: TicketLock) -> None:
        """Merge a caller's picture of the line."""
        wall = time.time()
        expiries = {ticket.number: ticket.expires - wall for ticket in lock.tickets}
        rings: list[tuple[_Ticket, Standing]] = []
        with self._mutex:
            now = time.monotonic()
            line = self._lines.setdefault(lock.conversation_id, _Line())
            self._settle(line, now, rings)
            for number in [n for n in line.tickets if n < lock.seen_below and n not in expiries]:
                self._drop(line, line.tickets[number], "released", now)
                removed = line.tickets.pop(number)
                rings.append((removed, _gone(removed)))
            fresh = not line.tickets and any(n >= lock.seen_below for n in expiries)
            if fresh and min(expiries) < line.next:
                # Nobody is in line, so the picture's own numbers may start it anew: order and
                # identity never rest on a number alone.
                line.next = line.serving = min(expiries)
            for number, expires_in in sorted(expiries.items()):
                present = line.tickets.get(number)
                if present is not None:
                    present.expires = now + expires_in
                elif number >= line.next:
                    line.tickets[number] = _unclaimed(number, lock.conversation_id, expires_in, now)
                    line.next = number + 1
            line.opened = True
            self._settle(line, now, rings)
            longest = max(expiries.values(), default=0.0)
            self._retire(lock.conversation_id, line, now, max(longest, 1.0))
        self._ring(rings)

    async def delete(self, conversation_id: str) -> None:
        """Remove every ticket; their owners are told."""
        with self._mutex:
            line = self._lines.get(conversation_id)
            if line is None:
                return
            now = time.monotonic()
            rings = [(ticket, _gone(ticket)) for ticket in line.tickets.values()]
            for ticket, _ in rings:
                self._drop(line, ticket, "released", now)
            line.tickets.clear()
            line.serving, line.opened = line.next, False
            lifetime = max((ticket.lifetime for ticket, _ in rings), default=1.0)
            self._retire(conversation_id, line, now, lifetime)
        self._ring(rings)

    async def finish(self, conversation_id: str, number: int, secret: str, *, keep: bool) -> bool:
        """Remove an issued ticket by its number; only an unclaimed one or one of ours."""
        rings: list[tuple[_Ticket, Standing]] = []
        with self._mutex:
            line = self._lines.get(conversation_id)
            if line is None:
                return False
            now = time.monotonic()
            ticket = line.tickets.get(number)
            # Every claimed ticket here is one of ours; a secret names exactly one ticket.
            if ticket is not None and secret in {"", ticket.owner}:
                self._remove(conversation_id, line, ticket, "done", now, rings)
                rings.append((ticket, _gone(ticket)))
            self._settle(line, now, rings)
            if not line.tickets:
                line.opened = keep
            waiting = bool(line.tickets)
        self._ring(rings)
        return waiting

    async def conversations(self) -> AsyncIterator[str]:
        """Iterate over the conversations that have a record."""
        for conversation_id in list(self._lines):
            yield conversation_id

    async def close(self) -> None:
        """Nothing is held."""

    def forked(self) -> None:
        """Start with empty lines: those of the parent are its own."""
        self._start_afresh()
        self._used_after_fork = False

    def _warn_of_fork(self) -> None:
        self._used_after_fork = True
        logger.warning(
            "An in-memory lock store is used in process %d, a fork of the one that made it. Each "
            "process keeps lines of its own, so messages of one conversation can be handled side "
            "by side; use a Redis lock store for several processes.",
            os.getpid(),
        )

    # What follows runs under the mutex.

    def _settle(
        self,
        line: _Line,
        now: float,
        rings: list[tuple[_Ticket, Standing]],
        joining: _Ticket | None = None,
    ) -> None:
        """Walk past the tickets that are gone and serve the first live one.

        ``joining`` is not rung: its owner gets the answer itself.
        """
        tickets = line.tickets
        while line.serving < line.next:
            head = tickets.get(line.serving)
            if head is None:
                line.serving += 1
            elif head.expires <= now:
                self._drop(line, head, "expired", now)
                del tickets[line.serving]
            elif head.served_at is not None:
                return
            else:
                self._serve(line, head, now)
                if head is not joining:
                    rings.append((head, self._standing(line, head, now)))
                return

    def _serve(self, line: _Line, head: _Ticket, now: float) -> None:
        # The clock makes the token grow over a record that was dropped, the highest one seen
        # makes it grow over a clock that was set back.
        clock = time.time_ns() // 1000
        line.token = max(line.token + 1, self._highest_token + 1, clock)
        self._highest_token = line.token
        head.served_at = now
        if head.claimed and not head.renewed:
            head.expires = now + head.lifetime

    def _supersede(
        self, line: _Line, number: int, now: float, rings: list[tuple[_Ticket, Standing]]
    ) -> None:
        for waiter in [t for t in line.tickets.values() if t.served_at is None]:
            self._drop(line, waiter, "abandoned", now)
            del line.tickets[waiter.number]
            rings.append((waiter, Standing(State.SUPERSEDED, waiter.number)))
        line.superseded_below = number

    def _interrupt(
        self, line: _Line, now: float, rings: list[tuple[_Ticket, Standing]]
    ) -> None:
        holder = line.tickets.get(line.serving)
        if holder is not None and not holder.interrupted:
            holder.interrupted = True
            rings.append((holder, self._standing(line, holder, now)))

    def _remove(  # noqa: PLR0913 - the one way out of a line
        self,
        conversation_id: str,
        line: _Line,
        ticket: _Ticket,
        outcome: Outcome,
        now: float,
        rings: list[tuple[_Ticket, Standing]],
    ) -> Departure:
        expired = ticket.expires <= now
        self._drop(line, ticket, "expired" if expired else outcome, now)
        del line.tickets[ticket.number]
        self._settle(line, now, rings)
        if not line.tickets:
            self._retire(conversation_id, line, now, ticket.lifetime)
        return Departure(left=not expired, someone_waiting=bool(line.tickets))

    def _drop(self, line: _Line, ticket: _Ticket, outcome: Outcome, now: float) -> None:
        """Note how a ticket's stay ended: for its successor, and for its message's repetitions."""
        if ticket.served_at is not None:
            line.predecessor = outcome
        if ticket.message_id is not None:
            if outcome == "done":
                until = now + ticket.lifetime
                line.messages[ticket.message_id] = until
                line.remembered.append((until, ticket.message_id))
            else:
                line.messages.pop(ticket.message_id, None)

    def _forget_old_messages(self, line: _Line, now: float) -> None:
        while line.remembered and line.remembered[0][0] <= now:
            until, message_id = line.remembered.popleft()
            if line.messages.get(message_id) == until:  # else it came again since
                del line.messages[message_id]

    def _retire(self, conversation_id: str, line: _Line, now: float, lifetime: float) -> None:
        """Keep an idle record one lifetime more, then let the sweep drop it."""
        line.idle_until = max(line.idle_until, now + lifetime)
        if not line.in_idle_list:
            line.in_idle_list = True
            self._idle.append((now + min(lifetime, _SWEEP_EVERY), conversation_id))

    def _sweep(self, now: float) -> None:
        """Drop the idle records whose time is over; an entry still needed goes to the end."""
        for _ in range(_SWEEP_AT_ONCE):
            if not self._idle or self._idle[0][0] > now:
                return
            _, conversation_id = self._idle.popleft()
            line = self._lines[conversation_id]
            line.in_idle_list = False
            if line.tickets:
                continue  # it comes back when its last ticket leaves
            if line.idle_until > now:
                self._retire(conversation_id, line, now, line.idle_until - now)
            else:
                del self._lines[conversation_id]

    def _standing(self, line: _Line, ticket: _Ticket, now: float) -> Standing:
        if ticket.served_at is not None:
            state = State.INTERRUPTED if ticket.interrupted else State.SERVED
            left = ticket.expires - now
            return Standing(state, ticket.number, 0, left, left, line.token, line.predecessor)
        return Standing(
            State.WAITING,
            ticket.number,
            ticket.number - line.serving,
            ticket.expires - now,
            line.tickets[line.serving].expires - now,
        )

    @staticmethod
    def _ring(rings: list[tuple[_Ticket, Standing]]) -> None:
        # Outside the mutex: whoever answers the bell may call the queue again.
        for ticket, standing in rings:
            if ticket.bell is not None:
                ticket.bell.ring(standing)


def _unclaimed(number: int, conversation_id: str, expires_in: float, now: float) -> _Ticket:
    """Make the ticket that a saved picture shows: nobody's, so anybody may finish it."""
    place = Place(conversation_id, "")
    return _Ticket(number, place, Admission(lifetime=expires_in, claimed=False), now)


def _gone(ticket: _Ticket) -> Standing:
    return Standing(State.GONE, ticket.number)


def _progress(known: _Ticket | float) -> str:
    if isinstance(known, float):
        return "done"
    return "waiting" if known.served_at is None else "working"
