"""The heartbeat: one for all tickets of a store and process, waiting and holding.

It beats in the portal's thread, so a handler that blocks its event loop keeps its lock. It never
brings back a ticket that is gone: the store refuses, and an ended lease is not even asked for.
It stops for a turn whose task is done, whose thread has ended or whose loop is closed: nobody is
left who would work under that lock or give it back.

A ticket is renewed from before its take on, by its owner until the number is known: on a loop that
is blocked the answer to a take may lie unread for lifetimes.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from nowserving.clock import monotonic
from nowserving.errors import LockError
from nowserving.standing import ALIVE, NOT_ISSUED, State

if TYPE_CHECKING:
    import asyncio

    from nowserving.lease import Lease
    from nowserving.portal import Portal
    from nowserving.queues.base import TicketQueue
    from nowserving.standing import Standing

logger = logging.getLogger(__name__)

BEATS = 3
"""Renewals in a lifetime: two may fail before a lease is in danger."""


class Heartbeat:
    """Renews the tickets it is given until they are taken back.

    Args:
        queue: Where the tickets stand.
        portal: In whose thread to beat.
    """

    def __init__(self, queue: TicketQueue, portal: Portal) -> None:
        self._queue = queue
        self._portal = portal
        self._leases: set[Lease] = set()
        self._mutex = threading.Lock()
        self._next_beat: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._beat_task: asyncio.Task[None] | None = None

    def add(self, lease: Lease) -> None:
        """Renew this turn's ticket from now on; from any thread."""
        first = monotonic() + lease.lifetime / BEATS
        with self._mutex:
            self._leases.add(lease)
            sooner = self._next_beat is None or first < self._next_beat
            if sooner:
                self._next_beat = first
        if sooner:  # else the next beat comes early enough: no call to another thread
            self._portal.call(self._arm)

    def discard(self, lease: Lease) -> None:
        """Stop renewing; from any thread."""
        with self._mutex:
            self._leases.discard(lease)

    def _arm(self) -> None:
        with self._mutex:
            moment = self._next_beat
        if self._timer is not None:
            self._timer.cancel()
        if moment is not None and self._beat_task is None:
            delay = max(moment - monotonic(), 0.0)
            self._timer = self._portal.loop.call_later(delay, self._start_beat)

    def _start_beat(self) -> None:
        self._timer = None
        self._beat_task = self._portal.loop.create_task(self._beat())
        self._beat_task.add_done_callback(self._beaten)

    def _beaten(self, task: asyncio.Task[None]) -> None:
        self._beat_task = None
        if not task.cancelled() and task.exception() is not None:
            logger.error("The heartbeat failed; it goes on", exc_info=task.exception())
        if not task.cancelled():
            self._arm()

    async def _beat(self) -> None:
        now = monotonic()
        with self._mutex:
            leases = [lease for lease in self._leases if not lease.is_abandoned()]
            self._leases.intersection_update(leases)
            shortest = min((lease.lifetime for lease in leases), default=None)
            self._next_beat = None if shortest is None else now + shortest / BEATS
        if shortest is None:
            return
        # Tickets of a longer lifetime join only the beats they need.
        due = [lease for lease in leases if lease.needs_renewal(now, margin=shortest / BEATS / 2)]
        if due and not await self._renew(due):
            with self._mutex:  # soon again: the lease still lasts
                self._next_beat = monotonic() + shortest / BEATS / 4

    async def _renew(self, leases: list[Lease]) -> bool:
        asked = monotonic()
        standings = await self._queue.renew([(lease.place, lease.lifetime) for lease in leases])
        failed: LockError | None = None
        for lease, standing in zip(leases, standings, strict=True):
            if isinstance(standing, LockError):
                failed = standing
            else:
                self._renewed(lease, standing, asked)
        if failed is not None:
            logger.debug("A renewal failed: %s", failed)
        return failed is None

    def _renewed(self, lease: Lease, standing: Standing, asked: float) -> None:
        if standing.number == NOT_ISSUED:
            return  # its take is still on the way
        if standing.state in ALIVE:
            lease.confirm(asked, standing.expires_in)
        else:
            self.discard(lease)
        known = State.SERVED if lease.is_holding() else State.WAITING
        if standing.state is not known:
            lease.place.ring(standing)
