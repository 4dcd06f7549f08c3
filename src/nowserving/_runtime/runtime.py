"""What a store runs on in one process: its queue, its live leases, its threads and its end."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import weakref
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from nowserving._host.identity import on_fork
from nowserving._host.loops import Home, PerLoop, running_loop
from nowserving._runtime import exiting
from nowserving._runtime.closing import Closing
from nowserving._runtime.heartbeat import Heartbeat
from nowserving._runtime.leaving import Leaving
from nowserving._runtime.portal import CLOSED, Portal, run_inline
from nowserving._runtime.watch import Watch
from nowserving._turns.held import HeldLock
from nowserving._turns.options import Options
from nowserving.errors import StoreClosed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine

    from nowserving._turns.lease import Lease
    from nowserving._turns.stay import LeaseKey
    from nowserving.protocol.queue import TicketQueue

logger = logging.getLogger("nowserving.runtime")

_T = TypeVar("_T")

# Threads can't be closed in a forked child and must not be collected there: see ``forked``.
_inherited: list[object] = []


class _Parts(NamedTuple):
    """What has to be ended when a store is dropped; none of it refers to the runtime."""

    portals: list[Portal]
    homes: PerLoop[Watch]
    links: PerLoop[Any] | None

    def end(self) -> None:
        """End threads, timers and connections; waits for nothing: a finaliser calls it."""
        self.homes.close()
        if self.links is not None:
            self.links.close()
        for portal in self.portals:
            portal.stop_soon()


class Runtime:
    """Everything of a store that is not its public face.

    It ends with the last who has it: the store, or a turn of it. Nothing that runs for it, on a
    loop or in a thread, refers to it but by the leases of turns that go on.

    Args:
        queue: Where the lines are.
        defaults: What leases do unless told otherwise.

    Attributes:
        generation: Counts the forks above this process; a turn of another generation is not ours.
        live: The leases that have a ticket, waiting or holding, by their keys.
        leaving: Gives tickets back against odds.
        last_home: The event loop in which the last turn was entered, with its watch: mostly the
            only one.
        at_once: The queue, if its verbs need no coroutine.
        pushes: Whether the queue loses no notice.
        closing: Whether the store is closed or about to be.
    """

    _heartbeat: Heartbeat | None = None

    def __init__(self, queue: TicketQueue, defaults: Options | None = None) -> None:
        self.queue = queue
        self.at_once = queue.at_once
        self.pushes = queue.guarantees.pushes
        self.defaults = defaults or Options()
        self.generation = 0
        self.closing = False
        self._start_afresh()
        on_fork(self)
        exiting.at_exit(self)

    def _start_afresh(self) -> None:
        self.live: dict[LeaseKey, Lease] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.last_home: Home[Watch] | None = None
        self._homes: PerLoop[Watch] = PerLoop()
        self._parts = _Parts([], self._homes, self.queue.links)
        self.leaving = Leaving(self.queue, weakref.ref(self))
        self._closing = Closing()
        self._end = weakref.finalize(self, self._parts.end)
        self._end.atexit = False

    def forked(self) -> None:
        """In a forked child: drop the parent's leases, threads and connections; touch none."""
        self.generation += 1
        self._end.detach()
        heartbeat = vars(self).pop("_heartbeat", None)
        _inherited.append((self._parts, heartbeat, self.live, self.leaving))
        self._start_afresh()

    # Running

    def check_open(self) -> None:
        """Raise ``StoreClosed`` once the store is closing."""
        if self.closing:
            raise StoreClosed(CLOSED)

    def refuse_running_loop(self) -> None:
        """Raise when a plain ``with`` would block a running event loop."""
        if running_loop() is not None:
            msg = "`with store.lock(...)` would block the running event loop; use `async with`"
            raise RuntimeError(msg)

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine for a synchronous caller."""
        try:
            if not self.queue.guarantees.needs_loop:
                return run_inline(coroutine)
            return self.portal().run(coroutine)
        except StoreClosed:
            coroutine.close()
            exiting.stop_daemon()
            raise

    def portal(self) -> Portal:
        """Return the private loop thread; not of a closed store."""
        portals = self._parts.portals
        if not portals:
            self.check_open()
            exiting.arm()
            # A lock here could be held by the very step in which a finaliser comes this way. Two
            # threads may each put one in: everybody takes the first, and the other never starts.
            portals.append(Portal())
        return portals[0]

    def is_on_its_thread(self) -> bool:
        """Return whether this is the private loop thread, which can't wait for itself."""
        return any(portal.is_current() for portal in self._parts.portals)

    def has_portal(self) -> bool:
        """Return whether there is a private loop thread already."""
        return bool(self._parts.portals)

    def heartbeat(self) -> Heartbeat:
        """Return this process's heartbeat, made at first use."""
        if self._heartbeat is None:  # in one step: the first that is put in is everybody's
            vars(self).setdefault("_heartbeat", Heartbeat(self.queue, self.portal()))
        return self._heartbeat  # type: ignore[return-value]  # it has just been put in

    def stop_renewing(self, lease: Lease) -> None:
        """Take a lease from the heartbeat, if there is one."""
        if self._heartbeat is not None:
            self._heartbeat.discard(lease)

    def watch(self, lease: Lease, now: float) -> None:
        """Have somebody look after a lease, mostly the watch of its own event loop.

        A synchronous turn of a queue that needs no loop has nobody to watch it, and needs nobody
        unless it has a time limit of its own: then the portal does.

        Args:
            lease: One of the live leases.
            now: The monotonic clock.
        """
        if lease.home is None:
            self._watch_elsewhere(lease, now)
            return
        watch = lease.home.thing()
        if watch is not None:
            watch.mind(lease, now)

    def _watch_elsewhere(self, lease: Lease, now: float) -> None:
        if running_loop() is not None:
            watch = self.home_of(asyncio.get_running_loop()).thing()
            if watch is not None:
                watch.mind(lease, now)
        elif lease.options.max_hold is not None:
            self.portal().call(lambda: self._watch_elsewhere(lease, now))

    def home_of(self, loop: asyncio.AbstractEventLoop) -> Home[Watch]:
        """Return what there is of the running loop here, made at first use."""
        home = self.last_home = self._homes.of(loop, self._make_watch)
        return home

    def _make_watch(self, loop: asyncio.AbstractEventLoop) -> Watch:
        exiting.arm()
        return Watch(loop, self.queue, self.live, weakref.ref(self))

    def tell_expiring(self, lease: Lease) -> None:
        """Call the ``on_expiring`` of a lease's turn, where and how it can hold up nobody else.

        On the holder's own loop, in a task; for a synchronous holder in a thread, since what it
        does may block, and the portal's thread renews all the others.
        """
        if lease.home is not None:
            loop = asyncio.get_running_loop()
            task = lease.in_its_context(loop.create_task, _tell_expiring(lease))
            self._tasks.add(task)
            task.add_done_callback(self._called_back)
        else:
            call = threading.Thread(
                target=lease.in_its_context,
                args=(_tell_expiring_in_thread, lease),
                name="nowserving-on-expiring",
                daemon=True,
            )
            call.start()

    def _called_back(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("An on_expiring callback failed", exc_info=task.exception())

    # Those whom nobody has any more

    def forget_abandoned(self) -> None:
        """Give back the tickets of closed loops: whoever worked or waited there is gone."""
        for lease in list(self.live.values()):
            if lease.is_abandoned():
                self.forget(lease)

    def forget(self, lease: Lease) -> None:
        """Give back a ticket that nobody is left to use; finalisers call it."""
        if not lease.over:
            self.end(lease)
            self.stop_renewing(lease)
            self.leaving.at_once(lease.handle, "abandoned", lease.ends_at)

    def end(self, lease: Lease) -> None:
        """End a lease whose turn is over, and keep nothing of it."""
        lease.over = True
        lease.context = None
        # Not a later turn of the same task or thread: an old one may be left once more.
        if self.live.get(lease.key) is lease:
            del self.live[lease.key]

    def discard(self, lease: Lease) -> None:
        """Take a lease out of the live ones, whose turn goes on."""
        if self.live.get(lease.key) is lease:
            del self.live[lease.key]

    def rekey(self, lease: Lease) -> None:
        """Leave the key to another turn of the same thread, or of a task with the same id."""
        key, lease.key = lease.key, object()
        self.live[lease.key] = lease
        self.live.pop(key, None)
        if lease.over:  # left meanwhile, by another thread
            self.end(lease)

    # The end

    async def aclose(self, drain: float) -> None:
        """Close: waiters get ``StoreClosed``, running leases may finish within ``drain`` seconds.

        Then they are lost and their tickets given back, and connections and thread end.
        Idempotent. Tickets that were issued to be redeemed later stay.
        """
        await self._closing.empty(self, drain)
        await self.queue.close()
        portals = self._take_portals()
        if portals:
            await asyncio.get_running_loop().run_in_executor(None, _stop, portals)

    def close(self, drain: float) -> None:
        """Do the same for a synchronous caller, from the portal's thread."""
        if not self.has_portal() and (self.closing or not self.live):
            was_used = self.queue.guarantees.needs_loop and not self.closing
            if not was_used:
                self.closing = True  # nothing was started, or it has ended: nothing to end
                return
        try:
            portal = self.portal()
            portal.run(self._closing.empty(self, drain))
            portal.run(self.queue.close())
        except StoreClosed:
            return  # another thread has closed it meanwhile
        _stop(self._take_portals())

    def _take_portals(self) -> list[Portal]:
        self._homes.close()
        portals = list(self._parts.portals)
        self._parts.portals.clear()
        self.leaving.forget()
        return portals

    def has_tickets(self) -> bool:
        """Close at the end of the process, and return whether there is anything to give back."""
        self.closing = True
        return bool(self.live or self.leaving)

    async def give_back_all(self) -> None:
        """Give every ticket back at the end of the process."""
        # The last in line first: none of ours is served on the way, and wakes up for nothing.
        leases = sorted(self.live.values(), key=lambda lease: -lease.handle.number)
        for lease in leases:
            self.end(lease)  # whoever leaves later than this has nothing to leave
        leaves = [self.queue.leave(lease.handle, "released") for lease in leases]
        await asyncio.gather(*leaves, self.leaving.all_pending(), return_exceptions=True)


def _stop(portals: list[Portal]) -> None:
    for portal in portals:
        portal.stop()


async def _tell_expiring(lease: Lease) -> None:
    callback = lease.options.on_expiring
    if callback is not None:
        result = callback(HeldLock(lease))
        if inspect.isawaitable(result):
            await result


def _tell_expiring_in_thread(lease: Lease) -> None:
    callback = lease.options.on_expiring
    try:
        result = None if callback is None else callback(HeldLock(lease))
        if inspect.isawaitable(result):
            asyncio.run(_until_awaited(result))
    except Exception:
        logger.exception("An on_expiring callback failed")


async def _until_awaited(result: Awaitable[None]) -> None:
    await result
