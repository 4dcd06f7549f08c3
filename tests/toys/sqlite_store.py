"""A toy store over ``sqlite3``: one thread of the process has the database, all loops ask it.

What a store over a library that blocks has to say: how a verb comes to the thread and its answer
back to the event loop that asked, what can go wrong, and when the thread ends. What is asked for
while the thread works goes into the next transaction together, and shares its commit.

No reply is lost on this way, and what was asked for first is done first. So each verb is said once,
and behind a take that was cancelled a leave is enough.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

from nowserving._host.forks import keep_inherited
from nowserving.errors import StoreClosed, StoreUnavailable
from nowserving.protocol.queue import Guarantees
from nowserving.stores._lines import Tokens
from nowserving.stores.queued import QueueLockStore
from tests.toys.queue import AskingQueue
from tests.toys.rows import Rows
from tests.toys.verbs import Verbs

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Unpack

    from nowserving._config.options import Defaults
    from nowserving.protocol.status import TicketStatus


class SqliteLockStore(QueueLockStore):
    """Lines in a file, for all processes of one machine.

    Args:
        path: The file; made where there is none.
        **defaults: Options of ``lock()`` for every turn that does not say otherwise.
    """

    def __init__(self, path: str, **defaults: Unpack[Defaults]) -> None:
        self.path = path
        super().__init__(**defaults)

    def _make_queue(self) -> SqliteQueue:
        return SqliteQueue(self.path)


class SqliteQueue(AskingQueue):
    guarantees = Guarantees(
        cross_process=True,
        cross_host=False,
        pushes=False,  # only this process's waiters are told
        durable=False,  # a commit does not wait for the disk
        store_clock=True,  # the machine's
        needs_loop=True,
        shares_polls=True,
        policies=True,
    )

    def __init__(self, path: str) -> None:
        super().__init__()
        self.connections = Worker(path, self.push)

    async def ask(self, verb: str, *args: Any, within: float | None = None) -> Any:
        return await asyncio.wait_for(self.connections.ask(verb, args), within)

    async def close(self) -> None:
        await self.connections.aclose()

    def forked(self) -> None:
        super().forked()
        self.connections.forked()


class Job(NamedTuple):
    """A verb, and who on which event loop waits for its answer."""

    verb: str
    args: tuple[Any, ...]
    answer: asyncio.Future[Any]

    def end(self, result: object) -> None:
        """Answer, or raise there what went wrong; from any thread."""
        with suppress(RuntimeError):  # that loop is closed
            self.answer.get_loop().call_soon_threadsafe(self._end, result)

    def _end(self, result: object) -> None:
        if self.answer.done():  # cancelled
            return
        if isinstance(result, BaseException):
            self.answer.set_exception(result)
        else:
            self.answer.set_result(result)


class Worker:
    """The thread: starts with the first job, and anew in a forked child.

    Args:
        path: The database's file.
        push: Called on the thread with each notice to the owner of a ticket.
    """

    def __init__(self, path: str, push: Callable[[str, TicketStatus], None]) -> None:
        self._path = path
        self._push = push
        self._closed = False
        self._start_afresh()

    def _start_afresh(self) -> None:
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()  # without a lock, for finalisers
        self._thread = threading.Thread(target=self._run, name="nowserving-sqlite", daemon=True)
        self._to_be_started = [True]  # whoever pops it starts the thread
        self._rows: Rows | None = None

    def ask(self, verb: str, args: tuple[Any, ...]) -> asyncio.Future[Any]:
        """Have a verb carried out behind all others."""
        if self._closed:
            raise StoreClosed("The lock store is closed.")
        job = Job(verb, args, asyncio.get_running_loop().create_future())
        self._jobs.put(job)
        if self._to_be_started:
            with suppress(IndexError):
                self._to_be_started.pop()
                self._thread.start()
        return job.answer

    def close(self) -> None:
        """End behind what was asked for; waits for nobody."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)

    async def aclose(self) -> None:
        """End, and wait for that."""
        self.close()
        while self._thread.is_alive():  # noqa: ASYNC110 - a thread can't tell that it has ended
            await asyncio.sleep(0.001)

    def forked(self) -> None:
        """Leave the parent's thread and database alone: neither of them is here."""
        keep_inherited(self._jobs, self._thread, self._rows)
        self._start_afresh()

    # On the thread

    def _run(self) -> None:
        while jobs := self._next_jobs():
            self._carry_out(jobs)
        if self._rows is not None:
            self._rows.close()

    def _carry_out(self, jobs: list[Job]) -> None:
        """Carry jobs out in one transaction, and answer when that is committed."""
        try:
            rows = self._rows = self._rows or self._open()
            with rows.transaction():
                verbs = Verbs(rows, time.time())
                results = [verbs.carry_out(job.verb, *job.args) for job in jobs]
        except Exception as error:  # noqa: BLE001 - whatever it is, the thread goes on
            if len(jobs) == 1 or isinstance(error, sqlite3.Error):
                for job in jobs:
                    job.end(self._unavailable(error))
            else:
                for job in jobs:  # each by itself, so that no other pays for the one
                    self._carry_out([job])
            return
        for job, result in zip(jobs, results, strict=True):
            job.end(result)
        for owner, news in verbs.mail:
            self._push(owner, news)

    def _open(self) -> Rows:
        rows = Rows(Tokens(), path=self._path)  # makes the file and its schema
        rows.sweep(time.time())  # a store that is no toy does so now and then
        return rows

    def _unavailable(self, error: Exception) -> StoreUnavailable:
        return StoreUnavailable(f"SQLite at {self._path} does not serve: {error}")

    def _next_jobs(self) -> list[Job]:
        """Wait for a job, and take those along that have come behind it; none at the end."""
        jobs: list[Job] = []
        job = self._jobs.get()
        while job is not None:
            jobs.append(job)
            try:
                job = self._jobs.get_nowait()
            except Empty:
                return jobs
        if jobs:
            self._jobs.put(None)  # it will be met again
        return jobs
