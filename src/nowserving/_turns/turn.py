"""A turn: one whole stay in a line, from taking a ticket to leaving.

The only place where the store's order, the rules' time, waiting, renewal and cancellation meet.

If this process dies anywhere in here, its ticket is gone one lifetime later. If it is paused past
its lease anywhere, the next step finds out: ``rules.decide`` lets nobody enter on an ended lease,
the watch and ``lock.lost`` see the end of a lease without asking, and a leave says whether the
ticket was still there. If the task is cancelled or a reply is lost, see ``_abandon`` and
``__aexit__``: the ticket is given back at once, and again in the background if need be.
"""

from __future__ import annotations

import asyncio
import logging
import math
import sys
import threading
from typing import TYPE_CHECKING

from nowserving._host.clock import monotonic
from nowserving._host.libraries import refuse_other_libraries
from nowserving._turns import misuse, rules
from nowserving._turns.held import HeldLock
from nowserving._turns.lease import Lease
from nowserving._turns.refusals import refusal
from nowserving._turns.statement import find_statement, is_with, somebody_has
from nowserving.errors import (
    CorruptLock,
    DuplicateMessage,
    LockBusy,
    LockError,
    LockInterrupted,
    LockReentered,
    LockTimeout,
    StoreClosed,
    StoreUnavailable,
)
from nowserving.protocol.queue import status_of
from nowserving.protocol.status import NOT_ISSUED, SERVED, State

if TYPE_CHECKING:
    from collections.abc import Hashable
    from types import FrameType, TracebackType

    from nowserving._runtime.runtime import Runtime
    from nowserving._turns.options import Request
from nowserving.protocol.status import Outcome, TicketStatus

logger = logging.getLogger("nowserving.turn")

_GRACE = 1.0
"""Seconds for which a cancelled waiter stays to see its ticket given back, and for which a body's
result waits for the leave."""

_MOMENT = 0.05
"""Seconds for which whoever is refused by a store that answers stays for the same."""


class Turn:
    """What ``store.lock()`` returns: an async context manager, and a plain one for threads.

    Used once. Entering yields a :class:`~nowserving.HeldLock`.

    Args:
        runtime: What the store runs on.
        conversation_id: The conversation to lock.
        request: What is asked for.
    """

    # These are written only where they change.
    _generation = -1
    _lease: Lease | None = None

    def __init__(self, runtime: Runtime, conversation_id: str, request: Request) -> None:
        self._runtime = runtime
        self._conversation_id = conversation_id
        self._request = request

    if not TYPE_CHECKING:  # a type checker has to see that these are not there
        locals().update(misuse.of_the_lock())

        def __await__(self) -> object:
            raise misuse.no_awaitable()

    # Ways in and out

    def __enter__(self) -> HeldLock:
        if self._request.options.on_lost == "cancel":
            msg = 'on_lost="cancel" needs `async with`: a synchronous body can\'t be cancelled'
            raise ValueError(msg)
        self._runtime.refuse_running_loop()
        entered_before = self._generation != -1
        caller = sys._getframe(1)  # noqa: SLF001 - CPython documents it
        here = (self._conversation_id, threading.get_ident())
        outer = self._runtime.live.get(here)
        if outer is not None and not entered_before and _is_inside(outer, caller):
            self._generation = self._runtime.generation
            return self._reenter(outer)
        statement = find_statement(caller)
        try:
            lock = self._runtime.run(self.__aenter__(here))
        except BaseException:
            # Also Ctrl-C when the turn was just entered: nobody is going to call __exit__.
            if not entered_before and (self._lease is None or not self._lease.over):
                self._break_off("abandoned")
            raise
        if self._lease is not None:
            self._lease.statement = statement
        return lock

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        outcome: Outcome = "done" if error is None else "failed"
        if isinstance(error, GeneratorExit) or self._runtime.is_on_its_thread():
            # A finaliser, maybe in the middle of a step of ours: nothing may be waited for.
            self._break_off(outcome)
            return
        try:
            self._runtime.run(self.__aexit__(kind, error, traceback))
        except StoreClosed:  # closed under us: aclose() has given the ticket back
            if self._lease is not None:
                self._lease.stop_listening()
                self._runtime.end(self._lease)
        except BaseException:
            # Ctrl-C, maybe before the leave was begun. However far it came: it may be repeated.
            self._break_off(outcome)
            raise

    def _break_off(self, outcome: Outcome) -> None:
        """Give back the ticket of a thread that was interrupted on its way in or out.

        Its coroutine may have ended already, with what nobody gets, or never begin: then nothing
        else gives the ticket back, and with ``auto_renew`` it would be renewed for ever.
        """
        runtime, lease = self._runtime, self._lease
        if lease is None:
            if self._generation == -1:
                self._generation = runtime.generation  # what has not begun yet finds it entered
            return
        if runtime.generation != self._generation or lease.over:
            return  # in a forked child: the parent leaves; or it was left before
        lease.stop_listening()
        self._look_away(lease)
        try:
            runtime.leaving.at_once(lease.handle, outcome, lease.ends_at)
        finally:
            runtime.end(lease)

    # Taking and waiting

    async def __aenter__(self, key: Hashable = None) -> HeldLock:
        # `key` is a synchronous caller's: all this runs for it in a loop that is not its own.
        runtime, request = self._runtime, self._request
        lease = self._begin(key)
        if self._lease is None:
            return self._reenter(lease)
        asked = now = lease.asked
        try:
            if request.options.auto_renew:
                # Before the take: a busy loop may read the answer long after the ticket is issued.
                runtime.heartbeat().add(lease)
            at_once = runtime.at_once
            if at_once is not None:
                status = at_once.take_now(lease.handle, request.admission)
            else:
                within = request.options.timeout or None  # 0 tries once
                status = await runtime.queue.take(lease.handle, request.admission, within)
                if runtime.closing:
                    runtime.check_open()
                now = monotonic()
            lease.answered(asked, status)
            if status.state is not SERVED or now >= lease.ends_at:
                status = await self._stand_in_line(lease, status, asked)
                now = monotonic()
            lease.begin(status, now)
            runtime.watch(lease, now)
        except BaseException as error:
            told = self._unanswered(lease) if isinstance(error, asyncio.TimeoutError) else error
            await self._abandon(lease, told)
            if told is not error:
                raise told from None
            raise
        return HeldLock(lease)

    def _begin(self, key: Hashable) -> Lease:
        """Return a new lease of this turn; or that of another, which this one is inside of."""
        runtime, name = self._runtime, self._conversation_id
        if runtime.closing:
            runtime.check_open()
        if self._generation != -1:
            msg = "this lock() was entered before; call store.lock() again for another turn"
            raise RuntimeError(msg)
        self._generation = runtime.generation
        home, task, live = None, None, runtime.live
        if key is None:
            try:
                loop, home = asyncio.get_running_loop(), runtime.last_home
            except RuntimeError:
                refuse_other_libraries()
                raise
            if home is None or home.loop() is not loop:
                home = runtime.home_of(loop)
            task = asyncio.current_task(loop)
            key = object() if task is None else (id(task), name)
        if key in live:
            outer = live[key]
            if task is not None and outer.is_of(task) and not outer.over:
                return outer
            runtime.rekey(outer)  # of a task that is gone; or of this thread, to be left elsewhere
        handle = runtime.queue.handle(name)
        lease = Lease(runtime, handle, self._request, key, home, task, monotonic())
        self._lease = live[key] = lease
        return lease

    def __del__(self) -> None:
        # Nobody has it any more who could leave: not a suspended generator, nor a task.
        lease = self._lease
        if lease is not None and not lease.over and self._runtime.generation == self._generation:
            self._runtime.forget(lease)

    async def _stand_in_line(
        self, lease: Lease, status: TicketStatus, asked: float
    ) -> TicketStatus:
        """Wait until the ticket is served; raise what ends the wait otherwise.

        Args:
            lease: The ticket.
            status: What the take said.
            asked: When the take was sent, monotonic.
        """
        queue, timeout, started = self._runtime.queue, self._request.options.timeout, asked
        is_sent = queue.guarantees.shares_polls
        deadline = math.inf if timeout is None else started + timeout
        look_at = self._plan_look(lease, status, asked)
        while True:
            now = monotonic()
            decision = rules.decide(
                status, now, lease_end=lease.ends_at, deadline=deadline, look_at=look_at
            )
            if isinstance(decision, rules.Enter):
                return status
            if isinstance(decision, rules.GiveUp):
                raise self._refusal(decision, status, now - started)
            if isinstance(decision, rules.Sleep):
                news = await queue.wait(lease.handle, decision.seconds)
                self._runtime.check_open()
                if news is not None and is_sent and lease.pushed(news):
                    status = news
                    continue
                if news is None and now + decision.seconds <= monotonic() < deadline:
                    continue  # time has passed, nothing else: decide what that means
            # Rung without news, or with news that leaves too short a lease, or by a queue so near
            # that looking is cheaper than trusting; it is time to look; or the last look before
            # the wait is given up.
            asked = monotonic()
            left = None if timeout is None else max(deadline - asked, _MOMENT)
            status = await status_of(queue, lease.handle, left)
            look_at = self._plan_look(lease, status, asked)

    def _plan_look(self, lease: Lease, status: TicketStatus, asked: float) -> float:
        """Note an answer and return when this turn has to look again by itself.

        Where looks travel, the watch looks for all waiters of the loop, and this one never has to.
        """
        queue, now = self._runtime.queue, monotonic()
        lease.wait_on(status, asked)
        if status.state is not State.WAITING:
            return math.inf
        if queue.guarantees.shares_polls:
            self._runtime.watch(lease, now)
            lease.log_the_wait(status.ahead, lease.look_at - now)
            return math.inf
        look_at = lease.blocked_until
        if not queue.guarantees.pushes:
            look_at = min(look_at, rules.next_look(now, self._request.wait_time))
        lease.log_the_wait(status.ahead, look_at - now)
        return look_at

    def _refusal(self, decision: rules.GiveUp, status: TicketStatus, waited: float) -> LockError:
        return refusal(
            decision.error,
            self._conversation_id,
            status,
            message_id=self._request.options.message_id,
            waited=waited,
            lifetime=None if self._request.options.auto_renew else self._request.lifetime,
        )

    def _unanswered(self, lease: Lease) -> LockTimeout:
        name, timeout = self._conversation_id, self._request.options.timeout
        number = lease.handle.number
        return LockTimeout(
            f"Could not acquire lock for conversation_id '{name}': the store has not answered "
            f"within timeout={timeout:g} s.",
            conversation_id=name,
            number=None if number == NOT_ISSUED else number,
            waited=monotonic() - lease.asked,
        )

    async def _abandon(self, lease: Lease, error: BaseException) -> None:
        """Give back a ticket that was not served, or whose take was never answered.

        A waiter cancelled during its take doesn't know its number: the leave goes by owner, over
        the same connection behind the take, or leaves a tombstone for a take that comes late.
        """
        runtime = self._runtime
        self._look_away(lease)
        try:
            never_issued = isinstance(error, (LockBusy, DuplicateMessage, CorruptLock))
            if never_issued or runtime.generation != self._generation or lease.over:
                return
            handle, end = lease.handle, lease.ends_at
            if isinstance(error, GeneratorExit):
                runtime.leaving.at_once(handle, "abandoned", end)
                return
            silent = handle.number == NOT_ISSUED or isinstance(error, StoreUnavailable)
            if not isinstance(error, LockError):
                grace = _GRACE  # cancelled: its loop may be about to end
            elif silent or isinstance(error, StoreClosed):
                grace = 0.0  # nobody answers now, or whoever closes gives it back
            else:
                grace = _MOMENT
            await runtime.leaving.wait(handle, "abandoned", end, grace)
        finally:
            runtime.end(lease)

    def _look_away(self, lease: Lease) -> None:
        """Neither watch the ticket nor renew it any more."""
        lease.watch = None
        if self._request.options.auto_renew:
            self._runtime.stop_renewing(lease)

    def _reenter(self, outer: Lease) -> HeldLock:
        if not self._request.options.reentrant:
            raise LockReentered(
                f"The lock of conversation_id '{self._conversation_id}' is held by this very "
                "task; waiting for it would never end. Pass reentrant=True to take it again.",
                conversation_id=self._conversation_id,
                number=outer.handle.number,
            )
        if outer.is_lost():
            raise outer.stopped()  # the body would run beside whoever holds it now
        return HeldLock(outer)

    # Leaving

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        runtime, lease = self._runtime, self._lease
        if lease is None or lease.over or runtime.generation != self._generation:
            return  # reentered: the outer turn leaves; left before; in a forked child
        # First of all, and before anything is awaited: an interruption or a loss that arrives
        # from here on comes too late to cancel anything, above all our own leave.
        lease.stop_listening()
        if self._request.options.auto_renew:
            runtime.stop_renewing(lease)
        stop, ours = lease.stop, False
        outcome: Outcome = "done" if error is None else "failed"
        if stop is not None:
            ours = await stop.take_back(error)
            outcome = "interrupted" if stop.kind is LockInterrupted else outcome
        if isinstance(error, GeneratorExit):  # being closed: nothing may be awaited
            self._break_off(outcome)
            return
        try:
            at_once = runtime.at_once
            if at_once is not None:
                departure = at_once.leave_now(lease.handle, outcome)
            else:
                departure = await runtime.queue.leave(lease.handle, outcome, _GRACE)
            if not departure.left:
                lease.lose(lease.how_it_went())
        except BaseException as failure:  # noqa: BLE001 - it is raised again, or told
            self._leave_later(lease, outcome, failure)
        finally:
            runtime.end(lease)
        if stop is not None or lease.lost_why is not None:
            self._tell_how_it_ended(lease, error, ours=ours)

    def _tell_how_it_ended(self, lease: Lease, error: BaseException | None, *, ours: bool) -> None:
        """Raise why the body was cancelled, or that the lock was lost; never over its own error."""
        if lease.stop is not None:
            lease.stop.pay_back()
        lost = self._request.options.on_lost == "cancel"
        if (error is None and (ours or lost)) or (
            isinstance(error, asyncio.CancelledError) and ours
        ):
            raise lease.stopped() from None

    def _leave_later(self, lease: Lease, outcome: Outcome, failure: BaseException) -> None:
        """Go on giving a ticket back; the body's own result is neither covered nor held up."""
        if isinstance(failure, StoreClosed):
            return  # whoever closes gives every ticket back
        self._runtime.leaving.in_background(lease.handle, outcome, lease.ends_at)
        if not isinstance(failure, (LockError, asyncio.TimeoutError)):
            raise failure
        logger.warning(
            "Ticket %d of conversation %r could not be given back yet, trying on: %s",
            lease.handle.number,
            self._conversation_id,
            str(failure) or f"no answer within {_GRACE:g} s",
        )


def _is_inside(outer: Lease, caller: FrameType | None) -> bool:
    """Return whether whatever runs in this thread runs inside another turn that it has entered."""
    if outer.over:
        return False
    if outer.statement is not None and is_with(outer.statement):
        return True

    def is_it(value: object) -> bool:
        return isinstance(value, (Turn, HeldLock)) and value._lease is outer  # noqa: SLF001

    return somebody_has(caller, is_it)
