"""What a store runs on in one process: its queue, its live leases, its threads and its end."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from nowserving.bell import running_loop
from nowserving.clock import monotonic
from nowserving.errors import CorruptLock, LockError, StoreClosed
from nowserving.held import HeldLock
from nowserving.identity import on_fork
from nowserving.options import Options
from nowserving.portal import CLOSED, Portal, run_inline
from nowserving.renewal import Heartbeat
from nowserving.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from nowserving.lease import Lease, LeaseKey
    from nowserving.place import Place
    from nowserving.queues.base import TicketQueue
    from nowserving.standing import Outcome

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

_FIRST_DELAY, _LONGEST_DELAY = 0.05, 2.0

# Threads can't be closed in a forked child and must not be collected there: see ``forked``.
_inherited: list[object] = []


class Runtime:
    """Everything of a store that is not its public face.

    Args:
        queue: Where the lines are.
        defaults: What leases do unless told otherwise.

    Attributes:
        generation: Counts the forks above this process; a turn of another generation is not ours.
        live: The leases that have a ticket, waiting or holding, by their keys.
        pushes: Whether the queue loses no notice.
        closing: Whether the store is closed or about to be.
    """

    def __init__(self, queue: TicketQueue, defaults: Options | None = None) -> None:
        self.queue = queue
        self.pushes = queue.guarantees.pushes
        self.defaults = defaults or Options()
        self.generation = 0
        self.closing = False
        self._start_afresh()
        on_fork(self)

    def _start_afresh(self) -> None:
        self.live: dict[LeaseKey, Lease] = {}
        self._mutex = threading.Lock()
        self._emptying = threading.Lock()
        self._empty_done = False
        self._portal: Portal | None = None
        self._heartbeat: Heartbeat | None = None
        self._watches: dict[asyncio.AbstractEventLoop, Watch] = {}
        self._leaves: set[Any] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def forked(self) -> None:
        """In a forked child: drop the parent's leases, threads and connections; touch none."""
        self.generation += 1
        _inherited.append((self._portal, self._heartbeat, self._watches, self.live, self._leaves))
        self._start_afresh()

    # Running

    def check_open(self) -> None:
        """Raise ``StoreClosed`` once the store is closing."""
        if self.closing:
            raise StoreClosed(CLOSED)

    def refuse_running_loop(self) -> None:
        """Raise when a plain ``with`` would block a running event loop."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return
        msg = "`with store.lock(...)` would block the running event loop; use `async with`"
        raise RuntimeError(msg)

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine for a synchronous caller."""
        if not self.queue.guarantees.suspends:
            return run_inline(coroutine)
        try:
            portal = self.portal()
        except StoreClosed:
            coroutine.close()
            raise
        return portal.run(coroutine)

    def portal(self) -> Portal:
        """Return the private loop thread, started at first use; not by a closed store."""
        portal = self._portal  # read once: a close in another thread forgets it
        if portal is None:
            with self._mutex:
                self.check_open()
                portal = self._portal = self._portal or Portal()
        return portal

    def heartbeat(self) -> Heartbeat:
        """Return this process's heartbeat, made at first use."""
        if self._heartbeat is None:
            portal = self.portal()
            with self._mutex:
                if self._heartbeat is None:
                    self._heartbeat = Heartbeat(self.queue, portal)
        return self._heartbeat

    def stop_renewing(self, lease: Lease) -> None:
        """Take a lease from the heartbeat, if there is one."""
        if self._heartbeat is not None:
            self._heartbeat.discard(lease)

    def watch(self, lease: Lease, now: float) -> None:
        """Have the running loop's watch look after a lease.

        A synchronous turn of a queue that needs no loop has nobody to watch it, and needs nobody
        unless it has a time limit of its own: then the portal does.

        Args:
            lease: One of the live leases.
            now: The monotonic clock.
        """
        loop = lease.loop or running_loop()
        if loop is not None:
            (self._watches.get(loop) or self._new_watch(loop)).mind(lease, now)
        elif lease.options.max_hold is not None:
            self.portal().run(self._watch_here(lease, now))

    async def _watch_here(self, lease: Lease, now: float) -> None:
        loop = asyncio.get_running_loop()
        (self._watches.get(loop) or self._new_watch(loop)).mind(lease, now)

    def _new_watch(self, loop: asyncio.AbstractEventLoop) -> Watch:
        # Other threads do the same for loops of their own, at the same time. A copy is made in one
        # step under the GIL, where a loop over the dict itself would meet their changes.
        for other in list(self._watches):
            if other.is_closed() and self._watches.pop(other, None) is not None:
                self.forget_abandoned()
        watch = self._watches[loop] = Watch(self.queue, self.live)
        return watch

    def tell_expiring(self, lease: Lease) -> None:
        """Call the ``on_expiring`` of a lease's turn in a task of the running loop."""
        task = asyncio.get_running_loop().create_task(_tell_expiring(lease))
        self._tasks.add(task)
        task.add_done_callback(self._called_back)

    def _called_back(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("An on_expiring callback failed", exc_info=task.exception())

    # Leaving against odds

    async def give_back(
        self, place: Place, outcome: Outcome, lease_end: float, grace: float
    ) -> None:
        """Leave on behalf of a turn that is being cancelled or has failed.

        The caller stays ``grace`` seconds at most to see it done: long enough that the ticket is
        gone when the task is, also while ``asyncio.run`` shuts its loop down, and short enough
        that a store that does not answer can't hold up a cancellation. What is not done by then,
        or not at all because the caller is cancelled once more, goes on in the background.
        """
        if not self.queue.guarantees.suspends:
            self.leave_without_waiting(place, outcome, lease_end)
            return
        leave = asyncio.get_running_loop().create_task(self._try_leave(place, outcome))
        try:
            await asyncio.wait({leave}, timeout=grace)
        finally:
            if not leave.done() or leave.cancelled() or not leave.result():
                leave.cancel()
                self.leave_in_background(place, outcome, lease_end)

    async def _try_leave(self, place: Place, outcome: Outcome) -> bool:
        try:
            await self.queue.leave(place, outcome)
        except (StoreClosed, CorruptLock):
            return True  # nothing of ours is left there, or nothing can be done about it
        except LockError as error:
            logger.debug("A leave failed, it will be repeated: %s", error)
            return False
        return True

    def leave_without_waiting(self, place: Place, outcome: Outcome, lease_end: float) -> None:
        """Leave for a coroutine that is being closed and so may not wait for anything."""
        left = False
        try:
            if not self.queue.guarantees.suspends:
                left = run_inline(self._try_leave(place, outcome))
        finally:  # also when Ctrl-C struck in the leave itself: it may be repeated
            if not left:
                self.leave_in_background(place, outcome, lease_end)

    def leave_in_background(self, place: Place, outcome: Outcome, lease_end: float) -> None:
        """Leave from the portal's thread, again and again until it is done or the lease is over."""
        try:
            future = self.portal().submit(self._leave_until_done(place, outcome, lease_end))
        except StoreClosed:
            return  # the end has given every ticket back
        self._leaves.add(future)
        future.add_done_callback(self._leaves.discard)

    async def _leave_until_done(self, place: Place, outcome: Outcome, lease_end: float) -> None:
        delay = _FIRST_DELAY
        while not await self._try_leave(place, outcome):
            if monotonic() + delay >= lease_end:
                logger.warning(
                    "Ticket %d of conversation %r could not be given back before it expired",
                    place.number,
                    place.conversation_id,
                )
                return
            await asyncio.sleep(delay)
            delay = min(delay * 2, _LONGEST_DELAY)

    # The end

    async def aclose(self, drain: float) -> None:
        """Close: waiters get ``StoreClosed``, running leases may finish within ``drain`` seconds.

        Then they are lost and their tickets given back, and connections and thread end.
        Idempotent. Tickets that were issued to be redeemed later stay.
        """
        await self._empty(drain)
        await self.queue.close()
        portal, self._portal = self._portal, None
        if portal is not None:
            await asyncio.get_running_loop().run_in_executor(None, portal.stop)

    def close(self, drain: float) -> None:
        """Do the same for a synchronous caller, from the portal's thread."""
        if self._portal is None and (self.closing or not self.live):
            was_used = self.queue.guarantees.suspends and not self.closing
            if not was_used:
                self.closing = True  # nothing was started, or it has ended: nothing to end
                return
        with suppress(StoreClosed):  # another thread has closed it meanwhile
            portal = self.portal()
            portal.run(self._empty(drain))
            portal.run(self.queue.close())
            self._portal = None
            portal.stop()

    async def _empty(self, drain: float) -> None:
        self.closing = True
        while not self._empty_done:
            # One call at a time, from whatever loop; the others may not hang up before it is done.
            # If it is cancelled in the middle, the next one begins anew.
            if not self._emptying.acquire(blocking=False):
                await asyncio.sleep(0.005)
                continue
            try:
                await self._turn_all_out(drain)
                self._empty_done = True
            finally:
                self._emptying.release()

    async def _turn_all_out(self, drain: float) -> None:
        self.forget_abandoned()
        for lease in self._waiters():
            lease.place.ring()
        await self._until(drain, lambda: not self.live)
        await self._until(1.0, lambda: not self._waiters())
        await asyncio.gather(*(self._turn_out(lease) for lease in list(self.live.values())))
        await self._until(1.0, lambda: not self._leaves)

    def forget_abandoned(self) -> None:
        """Give back the tickets that nobody is left to use: of closed loops, ended threads."""
        for lease in [lease for lease in list(self.live.values()) if lease.is_abandoned()]:
            if self.live.pop(lease.key, None) is not None:  # else another thread has seen it too
                self.leave_without_waiting(lease.place, "abandoned", lease.ends_at)

    def _waiters(self) -> list[Lease]:
        return [lease for lease in list(self.live.values()) if not lease.is_holding()]

    async def _turn_out(self, lease: Lease) -> None:
        if lease.is_holding():  # whoever still waits is told by an error, and never cancelled
            lease.lose("the store was closed")
        await self._try_leave(lease.place, "released")
        self.live.pop(lease.key, None)

    @staticmethod
    async def _until(limit: float, done: Callable[[], bool]) -> None:
        # What is awaited ends on other loops and threads, so an event would not do; and a few
        # looks while a store closes cost nothing.
        deadline = time.monotonic() + limit
        while not done() and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def _tell_expiring(lease: Lease) -> None:
    callback = lease.options.on_expiring
    if callback is not None:
        result = callback(HeldLock(lease))
        if inspect.isawaitable(result):
            await result
