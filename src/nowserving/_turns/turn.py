"""A turn: one whole stay in a line, from taking a ticket to leaving.

What a ticket is and what may become of it is told by its tables (``_life/``). Here is what they do
not know: the store that is asked, the task or thread that waits, and its cancellation.

If this process dies anywhere in here, its ticket is gone one lifetime later. If it is paused past
its lease anywhere, the next step finds out: ``rules.decide`` lets nobody enter on an ended lease,
the watch and ``lock.lost`` see the end of a lease without asking, and a leave says whether the
ticket was still there. If the task is cancelled or a reply is lost, see ``_abandon`` and
``__aexit__``: the ticket is given back at once, and again in the background if need be.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import TYPE_CHECKING

from nowserving._host.clock import monotonic
from nowserving._host.libraries import refuse_other_libraries
from nowserving._life.life import NOTHING
from nowserving._runtime.ticket import LiveTicket
from nowserving._runtime.turn_events import TurnEvents
from nowserving._turns import misuse
from nowserving._turns.expiring import tell_expiring
from nowserving._turns.holders import tell_holder
from nowserving._turns.statement import find_statement, is_inside
from nowserving._turns.waiting import unanswered, wait_in_line
from nowserving.errors import (
    CorruptLock,
    DuplicateMessage,
    IncompatibleRecord,
    LockBusy,
    LockError,
    LockReentered,
    LockTimeout,
    StoreClosed,
    StoreUnavailable,
)
from nowserving.held import HeldLock
from nowserving.instrumentation import logs
from nowserving.protocol.refusals import told_of_place
from nowserving.protocol.status import NOT_ISSUED, SERVED, why_gone

if TYPE_CHECKING:
    from types import TracebackType

    from nowserving._config.options import Request
    from nowserving._runtime.runtime import Runtime
    from nowserving._runtime.ticket import TicketKey
    from nowserving.instrumentation.observers import Observers
    from nowserving.protocol.status import Outcome

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

    def __init__(self, runtime: Runtime, conversation_id: str, request: Request) -> None:
        self._runtime = runtime
        self._conversation_id = conversation_id
        self._request = request
        self._entered = False
        # Its own; a turn that was entered inside another of the same holder has none.
        self._ticket: LiveTicket | None = None

    if not TYPE_CHECKING:  # a type checker has to see that these are not there
        locals().update(misuse.of_the_lock())

        def __await__(self) -> object:
            raise misuse.no_awaitable()

    # In and out: asynchronous

    async def __aenter__(  # noqa: C901, PLR0912 - in one piece: each call costs every turn
        self, key: TicketKey = None
    ) -> HeldLock:
        # `key` is a synchronous caller's: all this runs for it in a loop that is not its own.
        runtime, request = self._runtime, self._request
        ticket = self._begin(key)
        if self._ticket is None:
            return self._reenter(ticket)
        asked = now = ticket.asked
        events = ticket.events
        try:
            if request.options.auto_renew:
                self._renew(ticket)
            at_once = runtime.at_once
            if at_once is not None:
                status = at_once.take_now(ticket.handle, request.admission)
            else:
                within = request.options.timeout or None  # 0 tries once
                status = await runtime.queue.take(ticket.handle, request.admission, within)
                if runtime.closing:
                    runtime.check_open()
                now = monotonic()
            ticket.confirm(asked, status)
            if (
                status.state is not SERVED
                or status.detail
                or (now > asked and now >= ticket.ends_at)
            ):
                if events is not None:
                    events.joined(ticket, status)
                status = await wait_in_line(runtime, ticket, status, asked)
                now = monotonic()
            effects = ticket.begin(status, now)
            if events is not None:  # before any news of it is heard
                events.served(ticket)
            ticket.handle.answer(ticket.on_bell)
            if effects is not NOTHING:
                ticket.carry_out(effects)
            # Runtime.watch() does the same; to call it costs a hundredth of a turn in memory.
            watch = None if ticket.home is None else ticket.home.thing()
            if watch is not None:
                watch.mind(ticket, now)
            else:
                runtime.watch(ticket, now)
        except BaseException as error:
            told = await self._fail(ticket, error)
            if told is not error:
                raise told from None
            raise
        return HeldLock(ticket)

    async def __aexit__(  # noqa: C901, PLR0912 - the same
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        runtime, ticket = self._runtime, self._ticket
        if ticket is None:
            return  # entered inside another turn, which leaves
        outcome: Outcome = "done" if error is None else "failed"
        cancellation = ticket.cancellation
        if cancellation is not None:
            outcome = cancellation.outcome_of(outcome)
        # Before anything is awaited: an interruption or a loss that arrives from here on comes too
        # late to cancel anything, above all our own leave.
        if not ticket.end_body(outcome):
            return  # left before; or in a forked child, whose parent leaves
        ticket.handle.wake = None
        if ticket.request.options.auto_renew:
            runtime.stop_renewing(ticket)
        events = ticket.events
        if events is not None:
            events.body_ended(ticket)
        ours = False
        try:
            if cancellation is not None:
                ours = await cancellation.take_back(error)
            if isinstance(error, GeneratorExit):  # being closed: nothing may be awaited
                self._break_off(outcome)
                return
            at_once = runtime.at_once
            if at_once is not None:
                departure = at_once.leave_now(ticket.handle, outcome)
            else:
                departure = await runtime.queue.leave(ticket.handle, outcome, _GRACE)
            if not departure.left:
                ticket.carry_out(ticket.lose(why_gone(departure.why)))
        except BaseException as failure:  # noqa: BLE001 - it is raised again, or told
            if isinstance(failure, GeneratorExit):
                runtime.end_later(ticket)
            self._leave_later(ticket, outcome, failure)
        finally:
            ticket.end()
            if events is not None:
                events.end(ticket)
        if cancellation is not None or ticket.loss is not None:
            self._tell_how_it_ended(ticket, error, ours=ours)

    # In and out: a thread

    def __enter__(self) -> HeldLock:
        if self._request.options.on_lost == "cancel":
            msg = 'on_lost="cancel" needs `async with`: a synchronous body can\'t be cancelled'
            raise ValueError(msg)
        runtime, entered_before = self._runtime, self._entered
        runtime.refuse_running_loop()
        caller = sys._getframe(1)  # noqa: SLF001 - CPython documents it
        here = (self._conversation_id, threading.get_ident())
        outer = runtime.threads.get(here)
        if outer is not None and not entered_before and is_inside(outer, caller, _ticket_of):
            self._entered = True
            return self._reenter(outer)
        statement = find_statement(caller)
        try:
            lock = runtime.run(self.__aenter__(here))
        except BaseException:
            # Also Ctrl-C when the turn was just entered: nobody is going to call __exit__.
            if not entered_before:
                self._break_off("abandoned")
            raise
        if self._ticket is not None:
            self._ticket.statement = statement
        return lock

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        outcome: Outcome = "done" if error is None else "failed"
        try:
            ticket = self._ticket
            if ticket is None or ticket.stay == "gone":
                return
            if isinstance(error, GeneratorExit) or self._runtime.is_on_its_thread():
                # A finaliser, maybe in the middle of a step of ours: nothing may be waited for.
                self._break_off(outcome)
            else:
                self._runtime.run(self.__aexit__(kind, error, traceback))
        except StoreClosed:  # closed under us: aclose() has given the ticket back
            self._forget(outcome)
        except BaseException:
            # Ctrl-C, maybe before the leave was begun. Leaving is idempotent, so repeat it.
            self._break_off(outcome)
            raise

    def _forget(self, outcome: Outcome) -> None:
        ticket = self._ticket
        if ticket is not None:
            ticket.end_body(outcome)
            ticket.handle.wake = None
            ticket.end()
            if ticket.events is not None:
                ticket.events.end(ticket)

    def __del__(self) -> None:
        # Nobody has it any more who could leave: not a suspended generator, nor a task.
        ticket = self._ticket
        if ticket is not None and ticket.stay != "gone":
            self._runtime.forget(ticket)

    # The steps

    def _begin(self, key: TicketKey) -> LiveTicket:
        """Return a new ticket, which is this turn's; or that of a turn which this one is inside."""
        runtime, name = self._runtime, self._conversation_id
        if runtime.closing:
            runtime.check_open()
        if self._entered:
            msg = "this lock() was entered before; call store.lock() again for another turn"
            raise RuntimeError(msg)
        self._entered = True
        home, task, tickets = None, None, runtime.threads
        if key is None:
            try:
                loop, home = asyncio.get_running_loop(), runtime.watches.last
            except RuntimeError:
                refuse_other_libraries()
                raise
            if home is None or home.loop() is not loop:
                home = runtime.watches.of(loop)
            task = asyncio.current_task(loop)
            key = object() if task is None else (id(task), name)
            watch = home.thing()
            tickets = runtime.threads if watch is None else watch.tickets  # None: closed just now
        handle = runtime.queue.handle(name)
        ticket = LiveTicket(runtime, handle, self._request, monotonic(), tickets, key, home, task)
        outer = tickets.setdefault(key, ticket)
        if outer is not ticket:
            if task is not None and outer.is_of(task) and outer.is_in_line():
                return outer
            runtime.rekey(outer)  # of a task that is gone; or of this thread, to be left elsewhere
            tickets[key] = ticket
        self._ticket = ticket
        observers = runtime.audience.of_turns
        if observers is not None:
            self._observe(ticket, observers)
        return ticket

    def _observe(self, ticket: LiveTicket, observers: Observers) -> None:
        ticket.events = TurnEvents(observers)
        try:
            ticket.events.asked(ticket)
        except BaseException:  # Ctrl-C, in an observer: nothing is asked for yet
            ticket.end()
            self._runtime.end_later(ticket)  # but some may have been told so
            raise

    def _renew(self, ticket: LiveTicket) -> None:
        # Before the take: a busy loop may read the answer long after the ticket is issued.
        self._runtime.heartbeat().add(ticket)
        if self._request.options.on_expiring is not None:
            ticket.tell_expiring = tell_expiring

    def _reenter(self, outer: LiveTicket) -> HeldLock:
        if not self._request.options.reentrant:
            raise LockReentered(
                f"The lock of conversation_id '{self._conversation_id}' is held by this very "
                "task; waiting for it would never end. Pass reentrant=True to take it again.",
                conversation_id=self._conversation_id,
                number=outer.handle.number,
            )
        if outer.is_lost_now():
            raise outer.stopped()  # the body would run beside whoever holds it now
        return HeldLock(outer)

    async def _fail(self, ticket: LiveTicket, error: BaseException) -> BaseException:
        """Give back a ticket whose turn does not begin, and return what its caller is told."""
        told = unanswered(ticket) if isinstance(error, asyncio.TimeoutError) else error
        try:
            told = await self._abandon(ticket, told)
        except GeneratorExit:
            self._runtime.end_later(ticket)
            raise
        finally:
            if isinstance(error, GeneratorExit):
                self._runtime.end_later(ticket)
            elif ticket.events is not None:
                ticket.events.end(ticket, told)
        if isinstance(error, LockError):  # a store that did not answer is not asked once more
            await tell_holder(self._runtime.queue, told)
        return told

    async def _abandon(self, ticket: LiveTicket, error: BaseException) -> BaseException:
        """Give back a ticket that was not served, or whose take was never answered.

        A waiter cancelled during its take doesn't know its number: the leave goes by owner, over
        the same connection behind the take, or leaves a tombstone for a take that comes late.

        Returns:
            What the caller is told, mostly ``error``. A ``LockTimeout`` that says that the place is
            kept is only raised once the store has said so: another process may redeem the ticket
            at once, and must not find it claimed.
        """
        runtime = self._runtime
        if self._request.options.auto_renew:
            runtime.stop_renewing(ticket)
        try:
            if isinstance(error, (LockBusy, DuplicateMessage, CorruptLock, IncompatibleRecord)):
                ticket.move("refused")
            if not ticket.give_up():
                return error  # nothing was issued; or left before; or in a forked child
            handle, end, place = ticket.handle, ticket.ends_at, ticket.kept_place
            if isinstance(error, GeneratorExit):
                runtime.leaving.at_once(handle, "abandoned", end, place)
                return error
            silent = handle.number == NOT_ISSUED or isinstance(error, StoreUnavailable)
            if not isinstance(error, LockError):
                grace = _GRACE  # cancelled: its loop may be about to end
            elif silent or isinstance(error, StoreClosed):
                grace = 0.0  # nobody answers now, or whoever closes gives it back
            else:
                grace = _MOMENT if place is None else _GRACE
            parked = await runtime.leaving.wait(handle, "abandoned", end, grace, place)
        finally:
            ticket.end()
        if place is not None and isinstance(error, LockTimeout):
            return told_of_place(error, parked, place.lifetime)
        return error

    def _break_off(self, outcome: Outcome) -> None:
        """Give back the ticket of a thread that was interrupted on its way in or out.

        Its coroutine may have ended already, with what nobody gets, or never begun: then nothing
        else gives the ticket back, and with ``auto_renew`` it would be renewed for ever.
        """
        runtime, ticket = self._runtime, self._ticket
        self._entered = True  # what has not begun yet finds it entered
        if ticket is None or ticket.stay == "gone":
            return  # nothing was begun; or left before; or in a forked child
        if not ticket.end_body(outcome):
            ticket.give_up(outcome)
        ticket.handle.wake = None
        if self._request.options.auto_renew:
            runtime.stop_renewing(ticket)
        try:
            # Whoever was interrupted on its way in may have been served, but has no body.
            place = ticket.place if outcome == "abandoned" else None
            runtime.leaving.at_once(ticket.handle, ticket.outcome or outcome, ticket.ends_at, place)
        finally:
            ticket.end()
            runtime.end_later(ticket)

    def _leave_later(self, ticket: LiveTicket, outcome: Outcome, failure: BaseException) -> None:
        """Go on giving a ticket back; the body's own result is neither covered nor held up."""
        if isinstance(failure, StoreClosed):
            return  # whoever closes gives every ticket back
        self._runtime.leaving.in_background(ticket.handle, outcome, ticket.ends_at)
        if not isinstance(failure, (LockError, asyncio.TimeoutError)):
            raise failure
        why = str(failure) or f"no answer within {_GRACE:g} s"
        logs.not_given_back_yet(ticket.handle, why)

    def _tell_how_it_ended(
        self, ticket: LiveTicket, error: BaseException | None, *, ours: bool
    ) -> None:
        """Raise why the body was cancelled, or that the lock was lost; never over its own error."""
        if ticket.cancellation is not None:
            ticket.cancellation.pay_back()
        lost = self._request.options.on_lost == "cancel"
        if (error is None and (ours or lost)) or (
            isinstance(error, asyncio.CancelledError) and ours
        ):
            raise ticket.stopped() from None


def _ticket_of(value: object) -> object:
    """Return the ticket of a turn or lock that stands in somebody's local variable."""
    return getattr(value, "_ticket", None) if isinstance(value, (Turn, HeldLock)) else None
