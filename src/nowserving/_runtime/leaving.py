"""Giving tickets back against odds: cancelled callers, silent stores, finalisers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from nowserving._host.background import spawn
from nowserving._host.clock import monotonic
from nowserving._runtime.portal import run_inline
from nowserving.errors import CorruptLock, IncompatibleRecord, LockError, StoreClosed
from nowserving.instrumentation import logs

if TYPE_CHECKING:
    from weakref import ReferenceType

    from nowserving._runtime.portal import Portal
    from nowserving.protocol.handle import TicketHandle
    from nowserving.protocol.queue import TicketQueue
    from nowserving.protocol.status import KeptPlace, Outcome, TicketStatus

_FIRST_DELAY, _LONGEST_DELAY = 0.05, 2.0

_MANY = 64


class Owner(Protocol):
    """Whose tickets are given back (``runtime.py``)."""

    def portal(self) -> Portal:
        """Return the thread in which leaves are repeated.

        Raises:
            StoreClosed: If the store is closed.
        """
        ...


async def leave_or_park(
    queue: TicketQueue[Any],
    handle: TicketHandle,
    outcome: Outcome,
    place: KeptPlace | None,
    within: float | None = None,
) -> TicketStatus | None:
    """Leave; or park the ticket, if its place is kept.

    Args:
        queue: Where the ticket stands.
        handle: The ticket.
        outcome: How its stay ended.
        place: What stays in line of it; None if nothing does.
        within: As with every verb.

    Returns:
        Where the ticket stands that was parked; None if it has left.
    """
    if place is not None:
        return await queue.park(handle, place.issued, place.lifetime, within)
    await queue.leave(handle, outcome, within)
    return None


class _Leave:
    """A ticket on its way back.

    Attributes:
        handle: The ticket.
        outcome: How its stay ended.
        lease_end: When it expires at the latest, and trying is over.
        place: What stays in line of it; None if nothing does.
        parked: Where it stands since it was parked; None until then.
    """

    __slots__ = ("handle", "lease_end", "outcome", "parked", "place")

    def __init__(
        self, handle: TicketHandle, outcome: Outcome, lease_end: float, place: KeptPlace | None
    ) -> None:
        self.handle = handle
        self.outcome = outcome
        self.lease_end = lease_end
        self.place = place
        self.parked: TicketStatus | None = None


class Leaving:
    """Gives the tickets of one store back.

    Nothing here takes a lock: finalisers come this way, in the middle of any step of their thread.

    Args:
        queue: Where the tickets stand.
        owner: What the store runs on. It ends with the store, but not before a leave that has
            begun is done: until then that leave refers to it.
    """

    def __init__(self, queue: TicketQueue[Any], owner: ReferenceType[Owner]) -> None:
        self._queue = queue
        self._owner = owner
        self._pending: set[_Leave] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def __bool__(self) -> bool:
        return bool(self._pending)

    async def wait(
        self,
        handle: TicketHandle,
        outcome: Outcome,
        lease_end: float,
        grace: float,
        place: KeptPlace | None = None,
    ) -> TicketStatus | None:
        """Leave on behalf of a turn that is being cancelled or has failed.

        The caller stays to see it done, so that the ticket is gone when its task is, also while
        ``asyncio.run`` shuts its loop down. What is not done in time, or not at all because the
        caller is cancelled once more, goes on behind its back.

        Args:
            handle: The ticket.
            outcome: How its stay ended.
            lease_end: When it expires at the latest, monotonic.
            grace: Seconds to stay at the most; 0 for not at all.
            place: What stays in line of it; None if nothing does.

        Returns:
            Where the ticket stands that was parked; None if it has left, or that goes on yet.
        """
        leave = self._begin(handle, outcome, lease_end, place)
        if not self._queue.guarantees.needs_loop:
            self._now(leave)
            return leave.parked
        if not grace:
            task = spawn(asyncio.get_running_loop(), self._hand_over(leave, 1.0, self._owner()))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return None
        await self._hand_over(leave, grace, self._owner())
        return leave.parked

    async def _hand_over(self, leave: _Leave, grace: float, owner: Owner | None) -> None:
        left = False
        try:
            left = await self._try(leave, grace)
        finally:
            if not left:
                self._repeat(leave, owner)

    async def _try(self, leave: _Leave, within: float | None = None) -> bool:
        try:
            leave.parked = await leave_or_park(
                self._queue, leave.handle, leave.outcome, leave.place, within
            )
        except (StoreClosed, CorruptLock, IncompatibleRecord):
            pass  # nothing of ours is left there, or nothing can be done about it
        except (LockError, asyncio.TimeoutError) as error:
            logs.leave_failed(error)
            return False
        self._pending.discard(leave)
        return True

    def at_once(
        self,
        handle: TicketHandle,
        outcome: Outcome,
        lease_end: float,
        place: KeptPlace | None = None,
    ) -> None:
        """Leave for whoever may not wait for anything: a coroutine that is closed, a finaliser."""
        self._now(self._begin(handle, outcome, lease_end, place))

    def _now(self, leave: _Leave) -> None:
        left = False
        try:
            if not self._queue.guarantees.needs_loop:
                left = run_inline(self._try(leave))
        finally:  # also when Ctrl-C struck in the leave itself: it may be repeated
            if not left:
                self._repeat(leave, self._owner())

    def in_background(self, handle: TicketHandle, outcome: Outcome, lease_end: float) -> None:
        """Leave from the portal's thread, again and again until it is done or the lease is over."""
        self._repeat(self._begin(handle, outcome, lease_end), self._owner())

    def _begin(
        self,
        handle: TicketHandle,
        outcome: Outcome,
        lease_end: float,
        place: KeptPlace | None = None,
    ) -> _Leave:
        leave = _Leave(handle, outcome, lease_end, place)
        if len(self._pending) >= _MANY:  # what a loop left behind that ended in the middle
            now = monotonic()
            self._pending.difference_update([old for old in self._pending if old.lease_end < now])
        self._pending.add(leave)
        return leave

    def _repeat(self, leave: _Leave, owner: Owner | None) -> None:
        try:
            if owner is not None:
                owner.portal().call(lambda: self._start(leave, owner))
        except StoreClosed:
            pass  # whoever closes gives every ticket back, and so does the end of the process

    def _start(self, leave: _Leave, owner: Owner) -> None:
        task = spawn(asyncio.get_running_loop(), self._until_done(leave, owner))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _until_done(self, leave: _Leave, owner: Owner) -> None:  # noqa: ARG002 - kept alive
        delay = _FIRST_DELAY
        while not await self._try(leave):
            if monotonic() + delay >= leave.lease_end:
                logs.never_given_back(leave.handle)
                self._pending.discard(leave)
                return
            await asyncio.sleep(delay)
            delay = min(delay * 2, _LONGEST_DELAY)

    async def all_pending(self) -> None:
        """Try each leave once more that is on its way: the process ends."""
        await asyncio.gather(*(self._try(leave) for leave in list(self._pending)))

    def forget(self) -> None:
        """Give up what is still on its way: its portal has ended."""
        self._pending.clear()
