"""What a store runs on in one process: its queue, its live leases, its threads and its end."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from nowserving._host.background import detached
from nowserving._host.forks import keep_inherited, on_fork
from nowserving._host.loops import PerLoop, running_loop
from nowserving._runtime import exiting
from nowserving._runtime.closing import Closing
from nowserving._runtime.heartbeat import Heartbeat
from nowserving._runtime.leaving import Leaving, leave_or_park
from nowserving._runtime.portal import CLOSED, Portal, run_inline
from nowserving._runtime.recorder import Recorder
from nowserving._runtime.watch import Watch
from nowserving.errors import StoreClosed
from nowserving.instrumentation.observers import Audience

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from nowserving._runtime.ticket import LiveTicket, TicketKey
    from nowserving._runtime.watch import WatchHost
    from nowserving.protocol.queue import Droppable, TicketQueue

_T = TypeVar("_T")


class _Watches(PerLoop[Watch]):
    """The watch of each event loop.

    Args:
        queue: Where the tickets stand.
        host: What the store runs on.
    """

    def __init__(self, queue: TicketQueue[Any], host: weakref.ref[WatchHost]) -> None:
        super().__init__()
        self._queue = queue
        self._host = host

    def make(self, loop: asyncio.AbstractEventLoop) -> Watch:
        """Make the watch of the running loop."""
        exiting.arm()
        return Watch(loop, self._queue, self._host)


class _Parts(NamedTuple):
    """What has to be ended when a store is dropped; none of it refers to the runtime."""

    portals: list[Portal]
    watches: PerLoop[Watch]
    connections: Droppable | None

    def end(self) -> None:
        """End threads, timers and connections; waits for nothing: a finaliser calls it."""
        self.watches.close()
        if self.connections is not None:
            self.connections.close()
        for portal in self.portals:
            portal.stop_soon()


class Runtime:
    """Everything of a store that is not its public face.

    It ends with the last who has it: the store, or a turn of it. Nothing that runs for it, on a
    loop or in a thread, refers to it but by the tickets of turns that go on.

    Args:
        queue: Where the lines are.

    Attributes:
        threads: The tickets of threads that have entered a turn, by their keys.
        leaving: Gives tickets back against odds.
        watches: The watch of each event loop.
        at_once: The queue, if its verbs need no coroutine.
        pushes: Whether the queue loses no notice.
        closing: Whether the store is closed or about to be.
        tasks: What runs on behalf of turns.
        audience: Who observes them.
        recorder: Has the store keep what happens; None if it keeps nothing.
    """

    recorder: Recorder | None = None
    _heartbeat: Heartbeat | None = None

    def __init__(self, queue: TicketQueue[Any]) -> None:
        self.queue = queue
        self.at_once = queue.at_once
        self.pushes = queue.guarantees.pushes
        self._needs_loop = queue.guarantees.needs_loop
        self.closing = False
        self.audience = Audience(queue.outages)
        if queue.history is not None and queue.history.options is not None:
            self.recorder = Recorder(queue.history, weakref.ref(self))
            self.audience.add(self.recorder)
        self._start_afresh()
        on_fork(self)
        exiting.at_exit(self)

    def _start_afresh(self) -> None:
        self.threads: dict[TicketKey, LiveTicket] = {}
        self._late: deque[Callable[[], None]] = deque()
        self.tasks: set[asyncio.Task[None]] = set()
        self.watches = _Watches(self.queue, weakref.ref(self))
        self._parts = _Parts([], self.watches, self.queue.connections)
        self.leaving = Leaving(self.queue, weakref.ref(self))
        self._closing = Closing()
        self._end = weakref.finalize(self, self._parts.end)
        self._end.atexit = False

    def forked(self) -> None:
        """In a forked child: drop the parent's tickets, threads and connections; touch none."""
        for ticket in self.live():
            ticket.over()
        self._end.detach()
        heartbeat = vars(self).pop("_heartbeat", None)
        keep_inherited(self._parts, heartbeat, self.threads, self.leaving)
        if self.recorder is not None:
            self.recorder.forked()
        self._start_afresh()
        self.audience.forked()

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
            if not self._needs_loop:
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
        portals = self._parts.portals
        return bool(portals) and any(portal.is_current() for portal in portals)

    def has_portal(self) -> bool:
        """Return whether there is a private loop thread already."""
        return bool(self._parts.portals)

    def heartbeat(self) -> Heartbeat:
        """Return this process's heartbeat, made at first use."""
        if self._heartbeat is None:  # in one step: the first that is put in is everybody's
            vars(self).setdefault("_heartbeat", Heartbeat(self.queue, self.portal()))
        return self._heartbeat  # type: ignore[return-value]  # it has just been put in

    def stop_renewing(self, ticket: LiveTicket) -> None:
        """Take a ticket from the heartbeat, if there is one."""
        if self._heartbeat is not None:
            self._heartbeat.discard(ticket)

    def watch(self, ticket: LiveTicket, now: float) -> None:
        """Have somebody look after a ticket, mostly the watch of its own event loop.

        A synchronous turn of a queue that needs no loop has nobody to watch it, and needs nobody
        unless it has a time limit of its own: then the portal does.

        Args:
            ticket: One of the live tickets.
            now: The monotonic clock.
        """
        if ticket.home is not None:
            watch = ticket.home.thing()
            if watch is not None:
                watch.mind(ticket, now)
        elif self._needs_loop:
            self._watch_on_portal(ticket, now)
        elif ticket.request.options.max_hold is not None:
            self.portal().call(lambda: self._watch_on_portal(ticket, now))

    def _watch_on_portal(self, ticket: LiveTicket, now: float) -> None:
        """Look after a thread's ticket; on the portal's loop."""
        watch = self.watches.of(asyncio.get_running_loop()).thing()
        if watch is not None:
            watch.mind_for_thread(ticket, now)

    # Its tickets

    def live(self) -> list[LiveTicket]:
        """Return the tickets whose turns go on, waiting and holding."""
        found = dict.fromkeys(list(self.threads.values()))
        for watch in self.watches:
            found.update(dict.fromkeys(list(watch.tickets.values())))
        return [ticket for ticket in found if ticket.stay != "gone"]

    def forget_abandoned(self) -> None:
        """Give back the tickets of closed loops: whoever worked or waited there is gone."""
        for ticket in self.live():
            if ticket.is_abandoned():
                self.forget(ticket)

    def forget(self, ticket: LiveTicket) -> None:
        """Give back a ticket that nobody is left to use; finalisers call it."""
        if ticket.give_up():
            ticket.end()
            self.end_later(ticket)
            self.stop_renewing(ticket)
            place = ticket.kept_place
            self.leaving.at_once(ticket.handle, "abandoned", ticket.ends_at, place)

    def end_later(self, ticket: LiveTicket) -> None:
        """Tell observers of a turn's end, but not here: this may be in the middle of their steps.

        Finalisers call it, and whoever was struck by a signal.
        """
        events = ticket.events
        if events is None or not events.claim_end():
            return
        self._late.append(partial(events.tell_end, ticket))
        try:
            self.portal().call(self._tell_late)
        except StoreClosed:
            with suppress(RuntimeError):  # the interpreter is about to end
                detached(threading.Thread(target=self._tell_late, daemon=True).start)

    def _tell_late(self) -> None:
        while self._late:
            with suppress(IndexError):  # another thread was first
                self._late.popleft()()

    @staticmethod
    def rekey(ticket: LiveTicket) -> None:
        """Leave the key to another turn of the same thread, or of a task with the same id."""
        tickets, key = ticket.tickets, ticket.key
        ticket.key = object()
        tickets[ticket.key] = ticket
        tickets.pop(key, None)
        if ticket.stay == "gone":  # left meanwhile, by another thread
            tickets.pop(ticket.key, None)

    # The end

    async def aclose(self, drain: float) -> None:
        """Close: waiters get ``StoreClosed``, running leases may finish within ``drain`` seconds.

        Then they are lost and their tickets given back, and connections and thread end.
        Idempotent. Tickets that were issued to be redeemed later stay.
        """
        await self._closing.empty(self, drain)
        await self._write_history()
        await self.queue.close()
        portals = self._take_portals()
        if portals:
            await asyncio.get_running_loop().run_in_executor(None, _stop, portals)

    def close(self, drain: float) -> None:
        """Do the same for a synchronous caller, from the portal's thread."""
        if not self.has_portal() and (self.closing or not self.live()):
            was_used = self._needs_loop and not self.closing
            if not was_used:
                self.closing = True  # nothing was started, or it has ended: nothing to end
                return
        try:
            portal = self.portal()
            portal.run(self._closing.empty(self, drain))
            portal.run(self._write_history())
            portal.run(self.queue.close())
        except StoreClosed:
            return  # another thread has closed it meanwhile
        _stop(self._take_portals())

    async def _write_history(self) -> None:
        if self.recorder is not None:
            await self.recorder.finish()

    def _take_portals(self) -> list[Portal]:
        self.watches.close()
        portals = list(self._parts.portals)
        self._parts.portals.clear()
        self.leaving.forget()
        return portals

    def has_tickets(self) -> bool:
        """Close at the end of the process, and return whether there is anything to give back."""
        self.closing = True
        self._tell_late()
        untold = self.recorder is not None and self.recorder.has_something()
        return bool(self.live() or self.leaving or untold)

    async def give_back_all(self) -> None:
        """Give every ticket back at the end of the process."""
        # The last in line first: none of ours is served on the way, and wakes up for nothing.
        tickets = sorted(self.live(), key=lambda ticket: -ticket.handle.number)
        for ticket in tickets:
            ticket.give_up("released")
            ticket.end()  # whoever leaves later than this has nothing to leave
            if ticket.events is not None:
                ticket.events.end(ticket)
        leaves = [
            leave_or_park(self.queue, ticket.handle, "released", ticket.kept_place)
            for ticket in tickets
        ]
        await asyncio.gather(*leaves, self.leaving.all_pending(), return_exceptions=True)
        await self._write_history()


def _stop(portals: list[Portal]) -> None:
    for portal in portals:
        portal.stop()
