"""The queue over SQLite: each verb is a job for the one thread that has the database."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from nowserving._host.forks import on_fork, pause_for_forks
from nowserving._host.identity import Owners
from nowserving.errors import LockError
from nowserving.protocol.queue import Guarantees
from nowserving.protocol.status import NOT_ISSUED, Departure, IssuedTicket, LineUpdate
from nowserving.stores.sqlite.handle import SQLiteHandle
from nowserving.stores.sqlite.post import Bells
from nowserving.stores.sqlite.reader import Reader
from nowserving.stores.sqlite.verbs import Shown, Verbs
from nowserving.stores.sqlite.worker import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from nowserving._host.process import Process
    from nowserving.lock import Superseded, TicketLock
    from nowserving.protocol.status import (
        Absorption,
        Admission,
        LinePicture,
        Outcome,
        PicturedTicket,
        TicketStatus,
    )
    from nowserving.protocol.survey import LineSight
    from nowserving.stores.sqlite.job import Job

_T = TypeVar("_T")

_RENEWED_AT_ONCE = 100

_CLOSED_WITHIN = 2.0
"""Seconds for which closing waits for a thread that may stand in front of somebody else's lock."""


class SQLiteQueue:
    """Lines in a file, for all processes of one machine.

    Args:
        path: The file.
        timeout: Seconds within which a verb is answered.
    """

    at_once = None
    guarantees = Guarantees(
        cross_process=True,
        cross_host=False,
        pushes=False,  # a datagram may be lost
        durable=False,  # a power cut may lose the last commits (``database.py``)
        store_clock=True,  # the machine's
        needs_loop=True,
        shares_polls=True,
        policies=True,
    )

    def __init__(self, path: str, timeout: float) -> None:
        self._bells = Bells()
        self.connections = Worker(path, timeout, self._bells)
        self.outages = self.connections.outages
        self._owners = Owners(self.connections.name)
        self._reader = Reader(path, timeout)
        on_fork(self)
        pause_for_forks(self.connections)

    def handle(self, conversation_id: str, owner: str | None = None) -> SQLiteHandle:
        """Return a fresh handle without a ticket."""
        if owner is not None:
            return SQLiteHandle(conversation_id, owner)  # nobody waits for its bell
        handle = SQLiteHandle(conversation_id, self._owners.draw())
        self._bells.add(handle)
        return handle

    async def take(
        self, handle: SQLiteHandle, admission: Admission, within: float | None = None
    ) -> TicketStatus:
        """Join the line, or claim an issued ticket."""

        def step(verbs: Verbs) -> TicketStatus:
            status = verbs.take(handle, admission)
            self._bells.note(handle, status)
            return status

        return await self._ask_for(handle, step, within)

    async def leave(
        self, handle: SQLiteHandle, outcome: Outcome, within: float | None = None
    ) -> Departure:
        """Give the ticket back and serve the next one."""
        if handle.number == NOT_ISSUED and handle.asked is None:
            return Departure(left=False, someone_waiting=False)

        def step(verbs: Verbs) -> Departure:
            self._bells.forget(handle)
            return verbs.leave(handle, outcome)

        # Also when its caller has gone: somebody waits for the place.
        departure = await self._ask(step, within, always=True)
        handle.left = False  # it is told
        return departure

    async def park(
        self,
        handle: SQLiteHandle,
        issued: IssuedTicket,
        lifetime: float,
        within: float | None = None,
    ) -> TicketStatus:
        """Leave a redeemed ticket in line."""

        def step(verbs: Verbs) -> TicketStatus:
            self._bells.forget(handle)
            return verbs.park(handle, issued, lifetime)

        return await self._ask(step, within, always=True)

    async def absorb(
        self, handle: SQLiteHandle, most: int, within: float | None = None
    ) -> Absorption:
        """Take those who wait into the holder's turn."""
        return await self._ask(lambda verbs: verbs.absorb(handle, most), within)

    async def renew(
        self, renewals: Sequence[tuple[SQLiteHandle, float]], within: float | None = None
    ) -> list[TicketStatus | LockError]:
        """Give each ticket its lifetime anew, or tell its status, some hundred a transaction."""
        lifetimes = [lifetime / 6 for _, lifetime in renewals if lifetime]
        timeout = min(lifetimes, default=None)  # a renewal that fails is repeated soon
        jobs = []
        for first in range(0, len(renewals), _RENEWED_AT_ONCE):
            some = renewals[first : first + _RENEWED_AT_ONCE]
            job = self.connections.ask(partial(self._renew, some), within, timeout)
            jobs.append(_or_error(job, len(some)))
        return [status for statuses in await asyncio.gather(*jobs) for status in statuses]

    def _renew(
        self, renewals: Sequence[tuple[SQLiteHandle, float]], verbs: Verbs
    ) -> list[TicketStatus]:
        statuses = []
        for handle, lifetime in renewals:
            status = verbs.renew(handle, lifetime)
            self._bells.note(handle, status)
            statuses.append(status)
        return statuses

    async def poll(self, conversation_id: str, handles: Sequence[SQLiteHandle]) -> LineUpdate:
        """Tell what is new of many tickets of one line."""

        def step(verbs: Verbs) -> LineUpdate:
            update = verbs.poll(conversation_id, handles)
            for handle in handles:
                news = update.news.get(handle.owner)
                if news is not None:
                    self._bells.note(handle, news)
            return update

        return await self._ask(step)

    async def superseded(self, handle: SQLiteHandle) -> Superseded:
        """Return the messages that had to leave for this ticket."""
        return await self._ask(lambda verbs: verbs.superseded(handle))

    async def wait(self, handle: SQLiteHandle, timeout: float) -> TicketStatus | None:
        """Wait for the bell, which this process's thread or a datagram rings."""
        return await handle.wait(timeout)

    async def line(self, conversation_id: str) -> LinePicture | None:
        """Return the line, None where there is no lock."""
        return await self._ask(lambda verbs: verbs.line(conversation_id))

    async def holder(
        self, conversation_id: str, within: float | None = None
    ) -> PicturedTicket | None:
        """Return the ticket that is served, None if none is."""
        return await self._ask(lambda verbs: verbs.holder(conversation_id), within)

    async def save(self, lock: TicketLock) -> None:
        """Merge a caller's picture of the line."""
        wall = time.time()
        lefts = {ticket.number: ticket.expires - wall for ticket in lock.tickets}
        await self._ask(lambda verbs: verbs.save(lock.conversation_id, lefts, lock.seen_below))

    async def delete(self, conversation_id: str) -> None:
        """Remove every ticket; their owners are told."""
        await self._ask(lambda verbs: verbs.delete(conversation_id))

    async def finish(self, conversation_id: str, number: int, secret: str, *, keep: bool) -> bool:
        """Remove an issued ticket by its number."""
        issued, own = IssuedTicket(number, secret), f"{self._owners.name}."
        finish = partial(
            Verbs.finish, conversation_id=conversation_id, issued=issued, own_prefix=own, keep=keep
        )
        return await self._ask(finish)

    async def release(self, conversation_id: str, number: int, owner: str, reason: str) -> bool:
        """Take a ticket out, and tell its owner."""
        shown = Shown(number, owner)
        return await self._ask(lambda verbs: verbs.release(conversation_id, shown, reason))

    async def processes(
        self, owners: Sequence[str], within: float | None = None
    ) -> dict[str, Process]:
        """Tell which processes have these tickets."""
        names = {owner: owner.partition(".")[0] for owner in owners if "." in owner}
        known = await self._ask(lambda verbs: verbs.processes(set(names.values())), within)
        return {owner: known[name] for owner, name in names.items() if name in known}

    async def conversations(self) -> AsyncIterator[str]:
        """Iterate over the conversations that have a record, a page at a time."""
        behind, page = 0, [""]
        while page:
            behind, page = await self._ask(partial(Verbs.conversations, behind=behind))
            for name in page:
                yield name

    async def survey(self, see: Callable[[LineSight], None]) -> int:
        """Tell every line in use: read beside the thread (``reader.py``)."""
        # By then the database is there, and known to be ours. The second question comes behind the
        # look for dead processes that the first one has had made, if that was this queue's first.
        for _ in range(2):
            await self._ask(lambda _: None)
        await self._reader.survey(see)
        return 0

    async def close(self) -> None:
        """End the thread, behind all that was asked for."""
        worker = self.connections
        worker.close()
        end = time.monotonic() + _CLOSED_WITHIN
        while not worker.has_ended() and time.monotonic() < end:  # noqa: ASYNC110 - it is a thread
            await asyncio.sleep(0.001)

    def forked(self) -> None:
        """Leave the parent's thread and its tickets alone."""
        self._bells = Bells()
        self.connections.forked(self._bells)
        self._owners = Owners(self.connections.name)

    async def _ask_for(
        self, handle: SQLiteHandle, step: Callable[[Verbs], _T], within: float | None
    ) -> _T:
        """Ask for something that its owner is not to wait for once the store is closed."""
        job: Job[_T] = self.connections.ask(step, within)
        handle.asked = job
        return await job.answer()

    async def _ask(
        self, step: Callable[[Verbs], _T], within: float | None = None, *, always: bool = False
    ) -> _T:
        return await self.connections.ask(step, within, always=always).answer()


async def _or_error(job: Job[list[TicketStatus]], count: int) -> Sequence[TicketStatus | LockError]:
    try:
        return await job.answer()
    except LockError as error:
        return [error] * count
