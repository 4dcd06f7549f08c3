"""The heartbeat: one for all tickets of a store and process, waiting and holding.

It beats in the portal's thread, so a handler that blocks its event loop keeps its lock. It never
brings back a ticket that is gone: the store refuses, and an ended lease is not even asked for.
It stops for a turn that nobody has any more, and for one whose loop is closed: nobody is left who
would work under that lock or give it back.

A ticket is renewed from before its take on, by its owner until the number is known: on a loop that
is blocked the answer to a take may lie unread for lifetimes.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

from nowserving._host.background import later, spawn
from nowserving._host.clock import monotonic
from nowserving.errors import LockError
from nowserving.protocol.status import ALIVE, NOT_ISSUED, State

if TYPE_CHECKING:
    import asyncio

    from nowserving._runtime.portal import Portal
    from nowserving._runtime.ticket import LiveTicket
    from nowserving.protocol.queue import TicketQueue
    from nowserving.protocol.status import TicketStatus

logger = logging.getLogger("nowserving.renewal")

BEATS = 3
"""Renewals in a lifetime: two may fail before a lease is in danger."""


class Heartbeat:
    """Renews the tickets it is given until they are taken back.

    Leases are put in and taken out by any thread, also by finalisers in the middle of a step of
    this very class: each is one step under the GIL, and there is no lock to be met held.

    Args:
        queue: Where the tickets stand.
        portal: In whose thread to beat.
    """

    def __init__(self, queue: TicketQueue[Any], portal: Portal) -> None:
        self._queue = queue
        self._portal = portal
        self._tickets: dict[LiveTicket, None] = {}
        self._next_beat = math.inf  # written in the portal's thread only
        self._beating = False
        self._timer: asyncio.TimerHandle | None = None

    def add(self, ticket: LiveTicket) -> None:
        """Renew this turn's ticket from now on; from any thread."""
        # Put in before it is compared, while the beat notes that none is planned before it looks
        # who is in: whatever the interleaving, one of the two sees the other.
        self._tickets[ticket] = None
        if monotonic() + ticket.lifetime / BEATS < self._next_beat:
            self._portal.call(self._plan)

    def discard(self, ticket: LiveTicket) -> None:
        """Stop renewing; from any thread."""
        self._tickets.pop(ticket, None)

    def _plan(self, at_the_latest: float = math.inf) -> None:
        """Plan the next beat, unless one is under way, which does so at its end."""
        if self._beating:
            return
        planned, self._next_beat = min(self._next_beat, at_the_latest), math.inf
        shortest = min((ticket.lifetime for ticket in list(self._tickets)), default=math.inf)
        self._next_beat = min(planned, monotonic() + shortest / BEATS)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._next_beat < math.inf:
            delay = max(self._next_beat - monotonic(), 0.0)
            self._timer = later(self._portal.loop, delay, self._start_beat)

    def _start_beat(self) -> None:
        self._timer, self._beating = None, True
        spawn(self._portal.loop, self._beat()).add_done_callback(self._beaten)

    def _beaten(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            logger.error("The heartbeat failed; it goes on", exc_info=task.exception())
            self._beating = False
            self._plan()

    async def _beat(self) -> None:
        now, self._next_beat = monotonic(), math.inf
        for ticket in list(self._tickets):
            if ticket.stay == "gone" or ticket.is_abandoned():
                self.discard(ticket)
        tickets = list(self._tickets)
        shortest = min((ticket.lifetime for ticket in tickets), default=math.inf)
        # Tickets of a longer lifetime join only the beats they need.
        margin = shortest / BEATS / 2
        due = [ticket for ticket in tickets if ticket.needs_renewal(now, margin=margin)]
        following = now + shortest / BEATS
        if due and not await self._renew(due):
            following = monotonic() + shortest / BEATS / 4  # soon again: the lease still lasts
        self._beating = False
        self._plan(following)

    async def _renew(self, tickets: list[LiveTicket]) -> bool:
        asked = monotonic()
        statuses = await self._queue.renew([(ticket.handle, ticket.lifetime) for ticket in tickets])
        failed: LockError | None = None
        for ticket, status in zip(tickets, statuses, strict=True):
            if isinstance(status, LockError):
                failed = status
            else:
                self._renewed(ticket, status, asked)
        if failed is not None:
            logger.debug("A renewal failed: %s", failed)
        return failed is None

    def _renewed(self, ticket: LiveTicket, status: TicketStatus, asked: float) -> None:
        if status.number == NOT_ISSUED:
            return  # its take is still on the way
        if status.state in ALIVE:
            ticket.confirm_renewal(asked, status)
        else:
            self.discard(ticket)
        known = State.SERVED if ticket.is_holding() else State.WAITING
        if status.state is not known:
            ticket.handle.ring(status)
