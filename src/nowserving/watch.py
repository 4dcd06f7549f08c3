"""Watches over the held leases of one event loop: what no push may have told, and time limits.

Pushes can be lost, so every ``wait_time_in_seconds`` one batched look covers all leases that are
held, and their interruption, release or loss is seen. Between looks it minds the moments that
nobody pushes: a lease that ends, ``max_hold``, a renewal that fails. A turn that begins and ends
between two ticks costs one entry in a set.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from nowserving.errors import LockError

if TYPE_CHECKING:
    from nowserving.lease import Lease
    from nowserving.queues.base import TicketQueue

_LAST_ANSWER = 0.1
"""Seconds past the end of a lease for which an answer that prolongs it is still waited for."""


class Watch:
    """The held leases of one event loop; to be used on that loop only.

    Args:
        queue: Where their tickets stand.
    """

    def __init__(self, queue: TicketQueue) -> None:
        self._queue = queue
        self._loop = asyncio.get_running_loop()
        self._leases: set[Lease] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, lease: Lease) -> None:
        """Watch a turn from now on."""
        self._leases.add(lease)
        if self._timer is None or lease.look_at < self._wakes_at:
            self._arm(lease.look_at)

    def discard(self, lease: Lease) -> None:
        """Stop watching a turn; the timer finds out by itself."""
        self._leases.discard(lease)

    def _arm(self, moment: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._wakes_at = moment
        self._timer = self._loop.call_later(max(moment - time.monotonic(), 0.0), self._wake)

    def _wake(self) -> None:
        self._timer = None
        now = time.monotonic()
        leases = list(self._leases)  # a copy: other threads take leases out
        due = [lease for lease in leases if lease.look_at <= now]
        if due:
            task = self._loop.create_task(self._look(due, now))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if leases:
            self._arm(min(lease.plan_look(now) for lease in leases))

    async def _look(self, leases: list[Lease], now: float) -> None:
        for lease in leases:
            lease.mind_the_time(now)
        await asyncio.gather(*(self._look_at(lease) for lease in leases if lease in self._leases))

    async def _look_at(self, lease: Lease) -> None:
        # A store that does not answer must not hide that the lease has ended: the look is given
        # up then, long before the store's own time limit, and the lock counts as lost.
        asked = time.monotonic()
        patience = max(lease.ends_at - asked, 0.0) + _LAST_ANSWER
        try:
            standing = await asyncio.wait_for(self._queue.stand(lease.place), patience)
        except asyncio.TimeoutError:
            lease.look_failed("the store does not answer")
        except LockError as error:
            lease.look_failed(str(error))
        else:
            lease.hear(standing, asked)
