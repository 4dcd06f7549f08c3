"""A turn: one whole stay in a line, from taking a ticket to leaving.

The only place where the store's order, the rules' time, waiting, renewal and cancellation meet.

If this process dies anywhere in here, its ticket is gone one lifetime later. If it is paused past
its lease anywhere, the next step finds out: ``rules.decide`` lets nobody enter on an ended lease,
the watch and ``lock.lost`` see the end of a lease without asking, and a leave says whether the
ticket was still there. If the task is cancelled or a reply is lost, see ``_abandon`` and
``_leave``: the ticket is given back at once, and again in the background if need be.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
import threading
import time
from typing import TYPE_CHECKING, Any

from nowserving import rules
from nowserving.errors import (
    DuplicateMessage,
    LockBusy,
    LockError,
    LockInterrupted,
    LockLost,
    LockReentered,
    StoreClosed,
)
from nowserving.held import HeldLock
from nowserving.refusals import refusal
from nowserving.standing import Admission, Outcome, Place, Standing, State

if TYPE_CHECKING:
    from types import TracebackType

    from nowserving.options import Options
    from nowserving.runtime import Runtime

logger = logging.getLogger(__name__)

_GRACE = 1.0
"""Seconds for which a cancelled waiter stays to see its ticket given back."""

_ALIVE = frozenset({State.SERVED, State.WAITING, State.INTERRUPTED})


class Turn:
    """What ``store.lock()`` returns: an async context manager, and a plain one for threads.

    It is used once. Its public attributes are for the watch and the heartbeat; a handler uses
    the :class:`~nowserving.held.HeldLock` that entering yields.

    Attributes:
        conversation_id: The conversation that is locked.
        place: The ticket, as its owner holds it.
        lifetime: Seconds of a full lease.
        options: How this turn behaves.
        lease_end: Until when the ticket surely lives, on the monotonic clock.
        look_at: When the watch has to mind this turn next, monotonic.
        token: The fencing token, 0 before it is served.
        predecessor: How the turn before this one ended.
        waited: Seconds between asking and being served.
    """

    __slots__ = (
        "__weakref__",
        "_asked",
        "_cancelling",
        "_generation",
        "_held_since",
        "_key",
        "_loop",
        "_lost_event",
        "_lost_why",
        "_outer",
        "_over",
        "_runtime",
        "_stop",
        "_task",
        "_thread",
        "_told_expiring",
        "_wait_time",
        "_watch",
        "conversation_id",
        "lease_end",
        "lifetime",
        "look_at",
        "options",
        "place",
        "predecessor",
        "token",
        "waited",
    )

    def __init__(
        self,
        runtime: Runtime,
        conversation_id: str,
        lifetime: float,
        wait_time: float,
        options: Options,
    ) -> None:
        self._runtime = runtime
        self.conversation_id = conversation_id
        self.lifetime = lifetime
        self._wait_time = wait_time
        self.options = options
        self.lease_end = 0.0
        self.look_at = 0.0
        self.token = 0
        self.predecessor = "none"
        self.waited = 0.0
        self._generation = -1
        self._over = False
        self._outer: Turn | None = None
        self._stop: type[LockError] | None = None
        self._lost_why: str | None = None
        self._lost_event: asyncio.Event | None = None
        self._told_expiring = False
        self._watch: Any = None
        self._thread: threading.Thread | None = None
        self._task: asyncio.Task[Any] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    # Ways in and out

    async def __aenter__(self) -> HeldLock:
        self._task = task = asyncio.current_task()
        self._loop = asyncio.get_running_loop()
        self._key = (task, self.conversation_id)
        return await self._enter()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._exit(error)

    def __enter__(self) -> HeldLock:
        if self.options.on_lost == "cancel":
            msg = 'on_lost="cancel" needs `async with`: a synchronous body can\'t be cancelled'
            raise ValueError(msg)
        self._runtime.refuse_running_loop()
        self._thread = threading.current_thread()
        self._key = (self._thread, self.conversation_id)
        return self._runtime.run(self._enter())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._runtime.run(self._exit(error))

    # Taking and waiting

    async def _enter(self) -> HeldLock:
        runtime = self._runtime
        if self._generation != -1:
            msg = "this lock() was entered before; call store.lock() again for another turn"
            raise RuntimeError(msg)
        self._generation = runtime.generation
        runtime.check_open()
        outer = runtime.holding.get(self._key)
        if outer is not None:
            return self._reenter(outer)
        self.place = runtime.queue.place(self.conversation_id)
        runtime.live.add(self)
        self._asked = asked = time.monotonic()
        self.lease_end = asked + self.lifetime
        try:
            standing = await runtime.queue.take(self.place, self._admission())
            runtime.check_open()
            self.lease_end = asked + standing.expires_in
            if self.options.auto_renew and standing.state in _ALIVE:
                runtime.heartbeat().add(self)
            if standing.state is not State.SERVED or time.monotonic() >= self.lease_end:
                standing = await self._stand_in_line(standing, asked)
        except BaseException as error:
            await self._abandon(error)
            raise
        return self._begin(standing, asked)

    def _admission(self) -> Admission:
        options = self.options
        return Admission(
            lifetime=self.lifetime,
            renewed=options.auto_renew,
            when_busy=options.when_busy,
            max_waiting=options.max_waiting,
            message_id=options.message_id,
            redeem=options.ticket,
        )

    async def _stand_in_line(self, standing: Standing, started: float) -> Standing:
        queue, options = self._runtime.queue, self.options
        deadline = math.inf if options.timeout is None else started + options.timeout
        while True:
            now = time.monotonic()
            look = math.inf
            if not queue.guarantees.pushes:
                look = rules.next_look(now, self._wait_time)
            decision = rules.decide(
                standing, now, lease_end=self.lease_end, deadline=deadline, next_look=look
            )
            if isinstance(decision, rules.Enter):
                return standing
            if isinstance(decision, rules.GiveUp):
                raise refusal(
                    decision.error,
                    self.conversation_id,
                    standing,
                    message_id=options.message_id,
                    waited=now - started,
                )
            if standing.state is State.WAITING:
                self._log_the_wait(standing, decision.seconds)
            news = None
            if decision.seconds:
                news = await queue.wait(self.place, decision.seconds)
                self._runtime.check_open()
            # A queue that loses no notice is near: looking there is cheaper than trusting news.
            pushed = news is not None and not queue.guarantees.pushes
            if news is None or not pushed:
                self._asked = time.monotonic()
                standing = await queue.stand(self.place)
            else:
                standing = news
            self.lease_end = rules.lease_after(
                standing,
                self._asked,
                pushed=pushed,
                lease_end=self.lease_end,
                lifetime=self.lifetime,
                renewed=options.auto_renew,
            )

    def _log_the_wait(self, standing: Standing, delay: float) -> None:
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug(
                "Conversation %r: ticket %d has %d item(s) ahead of it, looking again in %.3g s",
                self.conversation_id,
                standing.number,
                standing.ahead,
                delay,
            )

    async def _abandon(self, error: BaseException) -> None:
        """Give back a ticket that was not served, or whose take was never answered.

        A waiter cancelled during its take doesn't know its number: the leave goes by owner, over
        the same connection behind the take, or leaves a tombstone for a take that comes late.
        """
        runtime = self._runtime
        if self.options.auto_renew:
            runtime.heartbeat().discard(self)
        refused = isinstance(error, (LockBusy, DuplicateMessage)) or runtime.generation != self._generation
        try:
            if not refused:
                await runtime.give_back(self.place, "abandoned", self.lease_end, _GRACE)
        finally:
            runtime.live.discard(self)

    # Reentering

    def _reenter(self, outer: Turn) -> HeldLock:
        if not self.options.reentrant:
            msg = (
                f"The lock of conversation_id '{self.conversation_id}' is held by this very task; "
                "waiting for it would never end. Pass reentrant=True to take it again."
            )
            raise LockReentered(
                msg, conversation_id=self.conversation_id, number=outer.place.number
            )
        self._outer = outer
        return HeldLock(outer)

    # Holding

    def _begin(self, standing: Standing, asked: float) -> HeldLock:
        runtime = self._runtime
        now = time.monotonic()
        self.token, self.predecessor = standing.token, standing.predecessor
        self.waited, self._held_since = now - asked, now
        runtime.holding[self._key] = self
        self.look_at = self.look_after(now)
        self._watch = runtime.watch(self)
        if self.place.bell is not None:
            self.place.bell.answer(self._on_bell)
        if standing.state is State.INTERRUPTED:
            self._cancel_body(LockInterrupted)
        return HeldLock(self)

    def look_after(self, now: float) -> float:
        """Set and return when the watch has to mind this turn next."""
        moments = [self.lease_end]
        if not self._runtime.queue.guarantees.pushes:
            moments.append(rules.next_look(now, self._wait_time))
        if self.options.max_hold is not None:
            moments.append(self._held_since + self.options.max_hold)
        if self.options.auto_renew and not self._told_expiring:
            moments.append(self._expiring_at())
        self.look_at = max(min(moments), now + 0.005) if self.look_at <= now else self.look_at
        return self.look_at

    def _expiring_at(self) -> float:
        # Two of the three renewals of a lifetime have failed by then.
        return self.lease_end - self.lifetime / 3

    def mind_the_time(self, now: float) -> None:
        """See to the limits that pass without anybody's doing."""
        options = self.options
        if options.max_hold is not None and now >= self._held_since + options.max_hold:
            self._runtime.leave_in_background(self.place, "expired", self.lease_end)
            self.lose(f"it was held longer than max_hold={options.max_hold:g} s")
        elif options.auto_renew and now >= self._expiring_at() and not self._told_expiring:
            self._told_expiring = True
            if options.on_expiring is not None:
                self._runtime.start_callback(self._tell_expiring())

    async def _tell_expiring(self) -> None:
        callback = self.options.on_expiring
        if callback is not None:
            result = callback(HeldLock(self))
            if inspect.isawaitable(result):
                await result

    def hear(self, standing: Standing, asked: float | None = None) -> None:
        """Take news of the held ticket, on the holder's loop.

        Args:
            standing: The news.
            asked: When it was asked for, monotonic; None for pushed news.
        """
        if self._over:
            return
        if standing.state not in _ALIVE:
            ended = time.monotonic() >= self.lease_end
            self.lose("its ticket expired" if ended else "its ticket was released by someone else")
            return
        if asked is not None:
            self.lease_end = max(self.lease_end, asked + standing.expires_in)
        if standing.state is State.INTERRUPTED:
            if self._task is None:
                self.lose("a newer message interrupts it")
            else:
                self._cancel_body(LockInterrupted)

    def look_failed(self, error: LockError) -> None:
        """The store could not be asked; past the lease that means that the lock is lost."""
        if not self._over and time.monotonic() >= self.lease_end:
            self.lose(f"its lease ended while the store could not be asked ({error})")

    def _on_bell(self) -> None:
        # Called by whoever rings, on any thread; what follows belongs on the holder's loop.
        loop = self._loop
        if loop is None or loop.is_closed():
            self._hear_bell()
        else:
            try:
                here = asyncio.get_running_loop()
            except RuntimeError:
                here = None
            if here is loop:
                self._hear_bell()
            else:
                loop.call_soon_threadsafe(self._hear_bell)

    def _hear_bell(self) -> None:
        news = None if self.place.bell is None else self.place.bell.take_news()
        if news is not None:
            self.hear(news)

    def is_lost(self) -> bool:
        """Return whether the lock is or may be somebody else's by now."""
        return self._lost_why is not None or (
            not self._over and time.monotonic() >= self.lease_end
        )

    def lost_event(self) -> asyncio.Event:
        """Return the event that is set when the lock is lost."""
        if self._lost_event is None:
            self._lost_event = asyncio.Event()
            if self._lost_why is not None:
                self._lost_event.set()
        return self._lost_event

    def lose(self, why: str) -> None:
        """Note that the lock is lost, once: warn, tell, and cancel the body if that is wanted."""
        if self._over or self._lost_why is not None:
            return
        self._lost_why = why
        if self._watch is not None:
            self._watch.discard(self)
        if self._lost_event is not None:
            self._lost_event.set()
        logger.warning(
            "The lock of conversation %r (ticket %d) was lost after being held for %.3g s: %s. "
            "Another message may be handled beside this one; renew long turns (auto_renew=True), "
            "give them a longer lock_lifetime, or check lock.fencing_token where you write.",
            self.conversation_id,
            self.place.number,
            time.monotonic() - self._held_since,
            why,
        )
        if self.options.on_lost == "cancel":
            self._cancel_body(LockLost)

    def _cancel_body(self, kind: type[LockError]) -> None:
        task = self._task
        if self._stop is None and not self._over and task is not None and not task.done():
            self._stop = kind
            self._cancelling = task.cancelling() if hasattr(task, "cancelling") else 0
            task.cancel()

    def is_holding(self) -> bool:
        """Return whether it has been served, as against waiting."""
        return self.token != 0

    def is_abandoned(self) -> bool:
        """Return whether nobody is left who would work under this lock or give it back."""
        if self._task is not None and self._task.done():
            return True
        if self._loop is not None and self._loop.is_closed():
            return True
        return self._thread is not None and not self._thread.is_alive()

    def needs_renewal(self, now: float, margin: float) -> bool:
        """Return whether the heartbeat at ``now`` should renew this ticket.

        Args:
            now: The monotonic clock.
            margin: Seconds by which a renewal may come early.
        """
        if self._over or self._lost_why is not None or now >= self.lease_end:
            return False
        last = self.lease_end - self.lifetime
        return now >= last + self.lifetime / 3 - margin

    # Leaving

    async def _exit(self, error: BaseException | None) -> None:
        runtime = self._runtime
        if self._outer is not None or runtime.generation != self._generation:
            return  # the outer turn leaves; in a forked child, the parent does
        stop = await self._collect_cancellation(error)
        runtime.holding.pop(self._key, None)
        if self.place.bell is not None:
            self.place.bell.answer(None)
        if self._watch is not None:
            self._watch.discard(self)
        if self.options.auto_renew:
            runtime.heartbeat().discard(self)
        try:
            await self._leave(_outcome(error, self._stop))
        finally:
            self._over = True
            runtime.live.discard(self)
        if self._lost_why is not None and self.options.on_lost == "cancel":
            stop = stop or LockLost
        if stop is not None and (error is None or isinstance(error, asyncio.CancelledError)):
            raise self._stopped(stop) from None

    async def _leave(self, outcome: Outcome) -> None:
        runtime = self._runtime
        try:
            departure = await runtime.queue.leave(self.place, outcome)
        except asyncio.CancelledError:
            runtime.leave_in_background(self.place, outcome, self.lease_end)
            raise
        except StoreClosed:
            return  # aclose() gives every ticket back itself
        except LockError as error:
            logger.warning(
                "Ticket %d of conversation %r could not be given back yet, trying on: %s",
                self.place.number,
                self.conversation_id,
                error,
            )
            runtime.leave_in_background(self.place, outcome, self.lease_end)
            return
        if not departure.left:
            ended = time.monotonic() >= self.lease_end
            self.lose("its ticket expired" if ended else "its ticket was released by someone else")

    async def _collect_cancellation(self, error: BaseException | None) -> type[LockError] | None:
        """Take back the cancellation that we asked for; return what it stands for.

        As ``asyncio.timeout`` does: a cancellation from outside that came as well goes on.
        """
        task, stop = self._task, self._stop
        if stop is None or task is None:
            return None
        if not isinstance(error, asyncio.CancelledError):
            # The body ended before the cancellation reached it: it is still to be delivered,
            # and must not hit the leave, or code after the `async with`.
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                pass
        if hasattr(task, "uncancel") and task.uncancel() > self._cancelling:
            return None
        return stop

    def _stopped(self, kind: type[LockError]) -> LockError:
        held = time.monotonic() - self._held_since
        if kind is LockInterrupted:
            what = "was interrupted by a newer message"
        else:
            what = f"was lost: {self._lost_why}"
        return kind(
            f"The turn of conversation_id '{self.conversation_id}' (ticket {self.place.number}) "
            f"{what}, after {held:.3g} s.",
            conversation_id=self.conversation_id,
            number=self.place.number,
            waited=self.waited,
        )


def _outcome(error: BaseException | None, stop: type[LockError] | None) -> Outcome:
    if stop is LockInterrupted:
        return "interrupted"
    return "done" if error is None else "failed"
