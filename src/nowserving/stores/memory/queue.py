"""The in-memory queue: one process, any number of threads and event loops, no polling.

Each verb is one step under one mutex, which is never held across an ``await`` or while a bell is
rung. So no verb suspends: a cancelled caller has either not begun its step or finished it. What
happens when a finaliser comes in the middle of one is told in ``steps.py``.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections import deque
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

from nowserving._host.clock import monotonic
from nowserving._host.forks import on_fork
from nowserving._host.identity import Owners
from nowserving._host.process import this_process
from nowserving.errors import LockError
from nowserving.lock import Superseded
from nowserving.protocol.handle import TicketHandle
from nowserving.protocol.outages import Outages
from nowserving.protocol.queue import Guarantees
from nowserving.protocol.status import Absorption, Departure, IssuedTicket, LineUpdate
from nowserving.protocol.survey import together
from nowserving.stores import _lines
from nowserving.stores.memory import steps
from nowserving.stores.memory.idle import IdleList
from nowserving.stores.memory.record import Record
from nowserving.stores.memory.ticket import MemoryTicket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from nowserving._host.process import Process
    from nowserving.lock import TicketLock
    from nowserving.protocol.queue import AtOnce
    from nowserving.protocol.status import (
        Admission,
        LinePicture,
        Outcome,
        PicturedTicket,
        TicketStatus,
    )
    from nowserving.protocol.survey import LineSight

logger = logging.getLogger("nowserving.queues.memory.queue")

_LEFT_ALONE = Departure(left=True, someone_waiting=False)
"""How nearly every turn ends."""

_SLICE = 200
"""Lines, and tickets of a long one, that a survey looks at before others go."""

_ANYBODY = ""
"""What the owners of this queue's own tickets begin with: nobody else can issue any."""


class MemoryQueue:
    """Records in a dictionary."""

    connections = None
    guarantees = Guarantees(
        cross_process=False,
        cross_host=False,
        pushes=True,
        durable=False,
        store_clock=True,
        needs_loop=False,
        shares_polls=False,
        policies=True,
    )

    def __init__(self) -> None:
        self.outages = Outages()  # it has none
        self._is_fork = False
        self._start_afresh()
        on_fork(self)

    def _start_afresh(self) -> None:
        self._owners = Owners()
        self._mutex = threading.Lock()
        self._tokens = _lines.Tokens()
        self._records: dict[str, Record] = {}
        self._idle = IdleList()
        self._put_off: deque[tuple[TicketHandle, Outcome]] = deque()
        self._outbox: deque[tuple[MemoryTicket, TicketStatus]] = deque()

    @property
    def at_once(self) -> AtOnce[MemoryTicket] | None:
        """This queue: its verbs need no coroutine."""
        return self

    def handle(self, conversation_id: str, owner: str | None = None) -> MemoryTicket:
        """Return a fresh handle without a ticket."""
        return MemoryTicket(conversation_id, self._owners, owner)

    async def take(
        self,
        handle: MemoryTicket,
        admission: Admission,
        within: float | None = None,  # noqa: ARG002
    ) -> TicketStatus:
        """Join the line, or claim an issued ticket."""
        return self.take_now(handle, admission)

    def take_now(self, handle: MemoryTicket, admission: Admission) -> TicketStatus:
        """Do the same without a coroutine."""
        if self._is_fork:
            self._warn_of_fork()
        name, mutex = handle.conversation_id, self._mutex
        if mutex.locked():
            self._refuse_finaliser(name)
        with mutex:
            now = monotonic()
            if self._idle and self._idle[0][0] <= now:
                self._sweep(now)
            record = self._records.get(name)
            if record is None:
                record = self._records[name] = Record(self._tokens)
            if admission.redeem is not None:
                status = _lines.redeem(record, admission.redeem, handle, admission, now)
            elif record.tickets or admission.message_id is not None or admission.settle is not None:
                status = _lines.take(record, handle, admission, now)
            else:
                status = record.take_alone(handle, admission, now)
            if len(record.tickets) != 1 or record.mail or not admission.claimed:
                self._close_step(name, record, now, may_be_left=not admission.claimed)
        if self._outbox or self._put_off:
            self._after_step()
        return status

    async def poll(self, conversation_id: str, handles: Sequence[TicketHandle]) -> LineUpdate:
        """Tell what is new of many tickets of one line."""
        with self._step(conversation_id):
            record = self._records.get(conversation_id)
            if record is None:
                news = {handle.owner: _gone(handle) for handle in handles}
                return LineUpdate(serving=0, blocked_for=0.0, news=news)
            now = monotonic()
            line_update = _lines.poll(record, handles, now)
            self._close_step(conversation_id, record, now)
        return line_update

    async def renew(
        self,
        renewals: Sequence[tuple[TicketHandle, float]],
        within: float | None = None,  # noqa: ARG002
    ) -> list[TicketStatus | LockError]:
        """Give each ticket its lifetime anew, or tell its status."""
        return [self._renew(handle, lifetime) for handle, lifetime in renewals]

    def _renew(self, handle: TicketHandle, lifetime: float) -> TicketStatus:
        with self._step(handle.conversation_id):
            record = self._records.get(handle.conversation_id)
            if record is None:
                return _gone(handle)
            now = monotonic()
            status = _lines.renew(record, handle, lifetime, now)
            self._close_step(handle.conversation_id, record, now)
        return status

    async def leave(
        self,
        handle: TicketHandle,
        outcome: Outcome,
        within: float | None = None,  # noqa: ARG002
    ) -> Departure:
        """Give the ticket back and serve the next one.

        A take is answered before it can be cancelled, so no tombstone is needed here.
        """
        return self.leave_now(handle, outcome)

    async def park(
        self,
        handle: MemoryTicket,
        issued: IssuedTicket,
        lifetime: float,
        within: float | None = None,  # noqa: ARG002
    ) -> TicketStatus:
        """Leave a redeemed ticket in line."""
        name = handle.conversation_id
        parked = MemoryTicket(name, self._owners, issued.secret)
        with self._step(name):
            record = self._records.get(name)
            if record is None:
                return _gone(handle)
            now = monotonic()
            status = _lines.park(record, handle, issued, parked, lifetime, now)
            self._close_step(name, record, now, may_be_left=True)
        return status

    async def absorb(
        self,
        handle: TicketHandle,
        most: int,
        within: float | None = None,  # noqa: ARG002
    ) -> Absorption:
        """Take those who wait into the holder's turn."""
        name = handle.conversation_id
        with self._step(name):
            record = self._records.get(name)
            if record is None:
                return Absorption(_gone(handle))
            now = monotonic()
            absorption = _lines.absorb(record, handle, most, now)
            self._close_step(name, record, now)
        return absorption

    def leave_now(self, handle: TicketHandle, outcome: Outcome) -> Departure:
        """Do the same without a coroutine."""
        mutex = self._mutex
        if mutex.locked() and steps.is_inside_another():
            # Put in before it is tried: whoever holds the mutex looks here once it is free.
            self._put_off.append((handle, outcome))
            self._after_step()
            return Departure(left=True, someone_waiting=True)
        with mutex:
            record = self._records.get(handle.conversation_id)
            if record is None:
                return Departure(left=False, someone_waiting=False, why=_why_gone(handle))
            now = monotonic()
            if len(record.tickets) == 1 and record.leave_alone(handle, outcome, now):
                departure = _LEFT_ALONE
            else:
                departure = _lines.leave(record, handle, outcome, now, handle.known_absorbed)
            if departure.someone_waiting or record.mail or not record.in_idle_list:
                self._close_step(handle.conversation_id, record, now)
        if self._outbox or self._put_off:
            self._after_step()
        return departure

    def _after_step(self) -> None:
        """Deliver the mail of steps, and do what finalisers have put off in the middle of one.

        Outside the mutex: whoever answers a bell may call the queue again. If somebody is in a
        step, he will see to the rest.
        """
        while self._outbox:
            with suppress(IndexError):  # another thread was quicker
                ticket, status = self._outbox.popleft()
                ticket.ring(status)
        while self._put_off and not self._mutex.locked():
            with suppress(IndexError):
                self.leave_now(*self._put_off.popleft())

    def _refuse_finaliser(self, conversation_id: str) -> None:
        """Raise if this thread is in a step itself, and so must not wait for its end."""
        if steps.is_inside_another():
            raise LockError(
                f"The lock store was asked about conversation_id '{conversation_id}' by a "
                "finaliser (`__del__`, a weak reference's callback, a generator that is "
                "collected) which Python runs in the middle of a step of the store. There a turn "
                "can be left, but nothing else: take and look elsewhere.",
                conversation_id=conversation_id,
            )

    async def superseded(self, handle: TicketHandle) -> Superseded:
        """Return the messages that had to leave for this ticket."""
        with self._step(handle.conversation_id):
            record = self._records.get(handle.conversation_id)
            return Superseded() if record is None else _lines.superseded_by(record, handle)

    async def wait(self, handle: TicketHandle, timeout: float) -> TicketStatus | None:
        """Wait for the bell; a promotion always rings it."""
        return await handle.wait(timeout)

    async def line(self, conversation_id: str) -> LinePicture | None:
        """Return the line, None where there is no lock."""
        with self._step(conversation_id):
            record = self._records.get(conversation_id)
            if record is None:
                return None
            now = monotonic()
            found = _lines.picture(record, now)
            self._close_step(conversation_id, record, now)
        return found

    async def holder(
        self,
        conversation_id: str,
        within: float | None = None,  # noqa: ARG002
    ) -> PicturedTicket | None:
        """Return the ticket that is served, None if none is."""
        with self._step(conversation_id):
            record = self._records.get(conversation_id)
            if record is None:
                return None
            now = monotonic()
            served = _lines.holder(record, now)
            self._close_step(conversation_id, record, now)
        return served

    async def save(self, lock: TicketLock) -> None:
        """Merge a caller's picture of the line."""
        name, wall = lock.conversation_id, time.time()
        lefts = {ticket.number: ticket.expires - wall for ticket in lock.tickets}
        make = partial(MemoryTicket, name, self._owners, owner="")
        with self._step(name):
            now = monotonic()
            record = self._records.setdefault(name, Record(self._tokens))
            _lines.save(record, lefts, lock.seen_below, make, now)
            self._close_step(name, record, now, may_be_left=True)

    async def delete(self, conversation_id: str) -> None:
        """Remove every ticket; their owners are told."""
        with self._step(conversation_id):
            record = self._records.get(conversation_id)
            if record is None:
                return
            now = monotonic()
            _lines.delete(record, now)
            self._close_step(conversation_id, record, now)

    async def finish(self, conversation_id: str, number: int, secret: str, *, keep: bool) -> bool:
        """Remove an issued ticket by its number."""
        with self._step(conversation_id):
            record = self._records.get(conversation_id)
            if record is None:
                return False
            now = monotonic()
            issued = IssuedTicket(number, secret)
            waiting = _lines.finish(record, issued, _ANYBODY, now, keep=keep)
            self._close_step(conversation_id, record, now)
        return waiting

    async def release(self, conversation_id: str, number: int, owner: str, reason: str) -> bool:
        """Take a ticket out, and tell its owner."""
        shown = TicketHandle(conversation_id, owner)
        shown.number = number
        with self._step(conversation_id):
            record = self._records.get(conversation_id)
            if record is None:
                return False
            now = monotonic()
            released = _lines.release(record, shown, reason, now)
            self._close_step(conversation_id, record, now)
        return released

    async def processes(
        self,
        owners: Sequence[str],
        within: float | None = None,  # noqa: ARG002
    ) -> dict[str, Process]:
        """Tell which process has these tickets: there is only this one."""
        return dict.fromkeys(owners, this_process())

    async def conversations(self) -> AsyncIterator[str]:
        """Iterate over the conversations that have a record."""
        for conversation_id in list(self._records):
            yield conversation_id

    async def survey(self, see: Callable[[LineSight], None]) -> int:
        """Tell every line in use; between slices of them others go first."""
        names = list(self._records)
        for first in range(0, len(names), _SLICE):
            for name, serving, tickets in self._look_at(names[first : first + _SLICE]):
                line = _lines.sight(name, serving, tickets[:_SLICE], monotonic())
                for more in range(_SLICE, len(tickets), _SLICE):
                    await asyncio.sleep(0)
                    part = _lines.sight(name, serving, tickets[more : more + _SLICE], monotonic())
                    line = together(line, part)
                if line is not None:
                    see(line)
            await asyncio.sleep(0)
        return 0

    def _look_at(self, names: list[str]) -> list[tuple[str, int, list[MemoryTicket]]]:
        """Return the number that is served, and the tickets, of those lines that have any."""
        with self._step(names[0]):
            found = [(name, self._records.get(name)) for name in names]
            return [
                (name, record.serving, list(record.tickets.values()))
                for name, record in found
                if record is not None and record.tickets
            ]

    async def close(self) -> None:
        """Nothing is held."""

    def forked(self) -> None:
        """Start with empty lines: those of the parent are its own."""
        self._start_afresh()
        self._is_fork = True

    def _warn_of_fork(self) -> None:
        self._is_fork = False  # once is enough
        logger.warning(
            "An in-memory lock store is used in process %d, a fork of the one that made it. Each "
            "process keeps lines of its own, so messages of one conversation can be handled side "
            "by side; use a Redis lock store for several processes.",
            os.getpid(),
        )

    @contextmanager
    def _step(self, conversation_id: str) -> Iterator[None]:
        """Make a step; what is done often does it by hand."""
        if self._mutex.locked():
            self._refuse_finaliser(conversation_id)
        with self._mutex:
            yield
        self._after_step()

    # Under the mutex

    def _close_step(
        self, name: str, record: Record, now: float, *, may_be_left: bool = False
    ) -> None:
        """End a verb's step: list the record for the sweep if it may be idle, hand the mail out.

        Args:
            name: The conversation.
            record: Its record.
            now: The moment.
            may_be_left: Whether there may be a ticket in line that nobody has claimed.
        """
        if len(record.tickets) > 1:
            record.tell_first_waiter(now)
        if not record.in_idle_list and (may_be_left or not record.tickets):
            self._idle.enter(name, record, now)
        if record.mail:
            self._outbox.extend(record.mail)
            record.mail.clear()

    def _sweep(self, now: float) -> None:
        """Drop idle records whose time is over.

        A busy conversation need not be listed: it is when its last ticket leaves. But a ticket
        that nobody has claimed may never be left, so its record stays in the list.
        """
        for name in self._idle.take_due(now):
            record = self._records[name]
            record.in_idle_list = False
            _lines.promote(record, now)
            if not record.tickets and record.kept_until <= now:
                del self._records[name]
                continue
            all_claimed = all(ticket.claimed for ticket in record.tickets.values())
            self._close_step(name, record, now, may_be_left=not all_claimed)


def _gone(handle: TicketHandle) -> TicketStatus:
    return _lines.removed(handle.number, _why_gone(handle))


def _why_gone(handle: TicketHandle) -> str:
    """Return why a ticket is gone whose record is gone as well: no record is lost here."""
    return (handle.removed if isinstance(handle, MemoryTicket) else "") or "expired"


steps.register(
    [
        MemoryQueue.take_now,
        MemoryQueue.leave_now,
        MemoryQueue.poll,
        MemoryQueue._renew,  # noqa: SLF001 - its own class
        MemoryQueue.park,
        MemoryQueue.absorb,
        MemoryQueue.line,
        MemoryQueue.holder,
        MemoryQueue._look_at,  # noqa: SLF001 - its own class
        MemoryQueue.save,
        MemoryQueue.delete,
        MemoryQueue.finish,
        MemoryQueue.superseded,
        MemoryQueue.release,
    ]
)
