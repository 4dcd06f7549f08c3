"""Watches over the leases of one event loop: what no push may have told, and time limits.

Pushes can be lost, so every ``wait_time_in_seconds`` all tickets of the loop, waiting and held, are
looked at: one verb a conversation, all of them in shared round trips. Waiters sleep meanwhile; only
those with news are woken. (Each waiter looking for itself was measured to bring a busy machine to a
standstill: with thousands of them a wave of looks was due before the last one was done.)

Between looks it minds the moments that nobody pushes: a lease that ends, ``max_hold``, a renewal
that fails. A turn that begins and ends between two ticks costs one comparison.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Protocol

from nowserving._host.background import later, spawn
from nowserving._host.clock import monotonic
from nowserving.errors import LockError

if TYPE_CHECKING:
    from weakref import ReferenceType

    from nowserving._turns.lease import Lease
    from nowserving._turns.stay import LeaseKey
    from nowserving.protocol.queue import TicketQueue

_LAST_ANSWER = 0.1
"""Seconds past the end of a lease for which an answer that prolongs it is still waited for."""


class LeaseHost(Protocol):
    """What the store runs on (``runtime.py``)."""

    def forget_abandoned(self) -> None:
        """Give back the tickets of closed loops."""
        ...


class Watch:
    """Looks after the leases of one event loop; to be used on that loop only.

    Args:
        loop: The running loop.
        queue: Where their tickets stand.
        live: All live leases of the store; those that have this watch's mark are its own.
        keeper: What the store runs on. It ends with the store, which the loop may outlive.

    Attributes:
        loop: The same loop.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        queue: TicketQueue,
        live: dict[LeaseKey, Lease],
        keeper: ReferenceType[LeaseHost],
    ) -> None:
        self.loop = loop
        self._queue = queue
        self._live = live
        self._host = keeper
        # By its mark, a lease does not keep the watch alive, and so the loop.
        self._mark = object()
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at = math.inf
        self._tasks: set[asyncio.Task[None]] = set()

    def mind(self, lease: Lease, now: float) -> None:
        """Look after a lease from now on, until it is given no watch or lives no more.

        Args:
            lease: One of the live leases.
            now: The monotonic clock.
        """
        lease.watch = self._mark
        look_at = lease.look_at if lease.look_at > now else lease.plan_look(now)
        if look_at < self._wakes_at:
            self._arm(look_at)

    def close(self) -> None:
        """Look after nobody any more."""
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()

    def hang_up(self) -> None:
        """There are no connections here."""

    def abandon(self) -> None:
        """The loop is closed, with whoever worked or waited on it: their tickets are given back."""
        keeper = self._host()
        if keeper is not None:
            keeper.forget_abandoned()

    def _arm(self, moment: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._wakes_at = moment
        self._timer = later(self.loop, max(moment - monotonic(), 0.0), self._wake)

    def _wake(self) -> None:
        self._timer, self._wakes_at = None, math.inf
        now = monotonic()
        # A copy: other threads put leases in and take them out.
        leases = [lease for lease in list(self._live.values()) if lease.watch is self._mark]
        due: dict[str, list[Lease]] = {}
        for lease in leases:
            if lease.look_at <= now:
                lease.mind_the_time(now)
                # One question at a time for each lease: on a machine that is too busy, or with a
                # store that is too slow, looks become rarer instead of piling up.
                if not lease.looking and lease.lost_why is None:
                    due.setdefault(lease.handle.conversation_id, []).append(lease)
        for conversation_id, group in due.items():
            self._start_look(conversation_id, group, now)
        if leases:
            self._arm(min(lease.plan_look(now) for lease in leases))

    def _start_look(self, conversation_id: str, leases: list[Lease], now: float) -> None:
        for lease in leases:
            lease.looking = True
            if now >= lease.ends_at:
                lease.handle.clear_line_version()
        task = spawn(self.loop, self._look(conversation_id, leases))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _look(self, conversation_id: str, leases: list[Lease]) -> None:
        # A store that does not answer must not hide that a held lease has ended: the look is given
        # up then, long before the store's own time limit, and the lock counts as lost.
        asked = monotonic()
        ends = [lease.ends_at for lease in leases if lease.is_holding()]
        patience = max(min(ends) - asked, 0.0) + _LAST_ANSWER if ends else None
        handles = [lease.handle for lease in leases]
        try:
            look = self._queue.poll(conversation_id, handles)
            line_update = await asyncio.wait_for(look, patience)
        except asyncio.TimeoutError:
            self._failed(leases, "the store does not answer")
        except LockError as error:
            self._failed(leases, str(error))
        else:
            for lease in leases:
                if lease.watch is self._mark:
                    lease.seen(line_update, asked)
        finally:
            for lease in leases:
                lease.looking = False

    @staticmethod
    def _failed(leases: list[Lease], why: str) -> None:
        for lease in leases:
            lease.look_failed(why)
