"""The one thread of a process that uses the database.

Whatever was asked for while it worked goes into the next transaction together. So no event loop is
ever blocked, also while another process writes for long; and a turn costs two transactions at the
most, in a busy process far fewer.

No reply is lost on this way, and what was asked for first is done first. So each verb is carried
out once, and whoever cancels a take only has to leave behind it.

==============================  ===================================================================
What happens right there        what becomes of it
==============================  ===================================================================
the process is killed in a      SQLite undoes it; the lock of its peer's file is gone, and whoever
transaction, or right after     waits has its tickets expire
it stands still in one          others wait for as long as they may; then ``StoreUnavailable``
it forks                        the fork waits for the transaction, and the connection is closed:
                                SQLite's locks and counters must not be copied (``before_fork``)
a transaction fails             it is undone as a whole, handles included; each verb of it is tried
                                by itself, unless it is the database that fails
==============================  ===================================================================
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from nowserving._host.background import detached
from nowserving._host.clock import monotonic
from nowserving._host.forks import keep_inherited
from nowserving._host.identity import nonce
from nowserving._host.process import this_process
from nowserving.errors import LockError, StoreClosed, StoreUnavailable
from nowserving.protocol.status import State, TicketStatus
from nowserving.stores._lines import Tokens
from nowserving.stores._remote.outage import Outage
from nowserving.stores.sqlite.database import Database, is_busy, is_full
from nowserving.stores.sqlite.ground import Ground
from nowserving.stores.sqlite.job import Job, end_all
from nowserving.stores.sqlite.verbs import Verbs

if TYPE_CHECKING:
    from collections.abc import Callable

    from nowserving.stores.sqlite.post import Bells, Notice

_T = TypeVar("_T")

_MOST_AT_ONCE = 250
"""Verbs in one transaction: nobody else may write meanwhile."""

_LOOKS_EVERY = 0.04
"""Seconds between two looks whether a process has died, while a ticket of this one waits."""

_TRIES_AGAIN = 0.002
"""Seconds after which a notice is tried again whose receiver was full."""

_TIDIES_EVERY = 2.0
"""Seconds after which a process that uses the database sees whether all is in place."""

_SWEPT_AT_ONCE = 100

_FIRST_PAUSE, _LONGEST_PAUSE = 0.0005, 0.02
"""Seconds between two attempts while somebody else writes who does not mind the turnstile."""

_FORK_WAITS = 2.0
"""Seconds for which a fork waits for the end of a transaction."""

_HELD_UP = frozenset({State.BUSY, State.DUPLICATE})
"""What a take may only be told if none of those before it is of a dead process."""


class Worker:
    """The thread: it starts with the first job, and anew in a forked child.

    Args:
        path: The database's file.
        timeout: Seconds within which a job is answered.
        bells: Whom to tell of news.

    Attributes:
        name: What the owners of this process's tickets begin with, and nobody else's do, ever.
    """

    def __init__(self, path: str, timeout: float, bells: Bells) -> None:
        self._path = path
        self._timeout = timeout
        self._bells = bells
        self._closed = False
        self._outage = Outage("SQLite", path)
        self._start_afresh()

    def _start_afresh(self) -> None:
        self.name = nonce()
        self._tokens = Tokens()
        self._jobs: SimpleQueue[Job[Any] | None] = SimpleQueue()  # without a lock, for finalisers
        self._thread = threading.Thread(target=self._run, name="nowserving-sqlite", daemon=True)
        self._to_be_started = [True]  # whoever pops it starts the thread
        self._steady = threading.Lock()  # held while the connection is used
        self._database: Database | None = None
        self._ground: Ground | None = None
        self._addresses: dict[str, bytes] = {}
        self._looked_at = self._tidies_at = 0.0
        self._used = False

    # On any thread

    def ask(
        self,
        step: Callable[[Verbs], _T],
        within: float | None = None,
        timeout: float | None = None,
        *,
        always: bool = False,
    ) -> Job[_T]:
        """Have something done behind all else that was asked for.

        Args:
            step: What to do.
            within: The seconds for which the caller waits.
            timeout: The seconds it has, if that is less than usual.
            always: Do it also when the caller does not wait any more.

        Raises:
            StoreClosed: If the store is closed.
        """
        if self._closed:
            raise StoreClosed("The lock store is closed.")
        seconds = self._timeout if timeout is None else min(timeout, self._timeout)
        job = Job(step, self._too_late, seconds, within, always=always)
        self._jobs.put(job)
        if self._to_be_started:
            with suppress(IndexError):
                self._to_be_started.pop()
                detached(self._thread.start)
        return job

    def close(self) -> None:
        """End behind what was asked for; waits for nobody."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)

    def has_ended(self) -> bool:
        """Return whether it is over, or never began."""
        return not self._thread.is_alive()

    def _too_late(self) -> StoreUnavailable:
        self._outage.begin("no answer in time; maybe another process writes for long, or stands")
        return StoreUnavailable(
            f"SQLite at {self._path} did not answer within {self._timeout:g} s: another process "
            "holds its write lock, or the disk does not answer."
        )

    # Around a fork, on the thread that forks

    def before_fork(self) -> bool:
        """Close the connection, between two transactions.

        SQLite keeps a process's locks on a file in memory of the process. A child would inherit
        locks that it does not have, and its own first connection would rely on them.
        """
        rests = self._steady.acquire(timeout=_FORK_WAITS)
        if rests:
            self._drop_database()
        return rests

    def after_fork(self) -> None:
        """Go on in the parent; the next transaction opens the database again."""
        self._steady.release()

    def forked(self, bells: Bells) -> None:
        """Leave the parent's thread and tickets alone, and close what the child has of its files.

        Args:
            bells: Whom to tell of news in the child.
        """
        self._bells = bells
        if self._ground is not None:
            self._ground.forked()
        keep_inherited(self._jobs, self._thread, self._database, self._ground)
        self._start_afresh()

    # On the thread

    def _run(self) -> None:
        try:
            while True:
                jobs = self._next_jobs()
                if jobs is None:
                    return
                if jobs:
                    self._carry_out(jobs)
                self._tend()
        finally:
            self._end()

    def _next_jobs(self) -> list[Job[Any]] | None:
        """Wait for a job, and take those along that have come behind it; None at the end."""
        jobs: list[Job[Any]] = []
        try:
            job = self._jobs.get(timeout=self._patience())
            while job is not None:
                if job.is_wanted():
                    jobs.append(job)
                if len(jobs) >= _MOST_AT_ONCE:
                    return jobs
                job = self._jobs.get_nowait()
        except Empty:
            return jobs
        if not jobs:
            return None
        self._jobs.put(None)  # the end is met again, behind these
        return jobs

    def _patience(self) -> float | None:
        """Return for how long to wait for a job, None for as long as it takes."""
        dues = []
        ground = self._ground
        if ground is not None and ground.sender.pending:
            dues.append(_TRIES_AGAIN)
        now = monotonic()
        if self._bells.anybody_waits():
            dues.append(self._looked_at + _LOOKS_EVERY - now)
        if self._used:
            dues.append(self._tidies_at - now)
        return max(min(dues), 0.0) if dues else None

    def _tend(self) -> None:
        """Do what nobody asks for."""
        if self._ground is None:
            return
        if self._ground.sender.pending:
            self._ground.sender.try_again()
        if self._looked_at == 0.0 or self._bells.anybody_waits():
            self._look_for_dead()
        if self._used and monotonic() >= self._tidies_at:
            self._tidy()

    def _tidy(self) -> None:
        """Drop some idle lines; stand anew where somebody has removed what is beside the file."""
        more: list[bool] = []
        if self._ground is not None and not self._ground.is_in_place():
            self._leave_ground()
        self._try(lambda verbs: more.append(verbs.sweep(_SWEPT_AT_ONCE)))
        # Where there are more of them, some go with each transaction: they can't come faster.
        self._tidies_at = monotonic() + (0.0 if more and more[-1] else _TIDIES_EVERY)
        self._used = False

    def _carry_out(self, jobs: list[Job[Any]]) -> None:
        """Carry jobs out in one transaction, and answer when it is committed."""
        pause, made_room = _FIRST_PAUSE, False
        while jobs:
            try:
                results = self._transact([job.step for job in jobs])
            except sqlite3.Error as error:  # noqa: PERF203 - each attempt may fail
                if is_busy(error):
                    time.sleep(pause)
                    pause = min(2 * pause, _LONGEST_PAUSE)
                    jobs = [job for job in jobs if job.is_wanted() and monotonic() < job.until]
                elif is_full(error) and not made_room:
                    made_room = self._make_room()
                elif is_full(error) and len(jobs) > 1:
                    self._one_by_one(jobs)
                    return
                else:
                    self._fail(jobs, error)
                    return
            except (LockError, OSError) as error:
                self._fail(jobs, error)
                return
            except Exception as error:  # noqa: BLE001 - whatever it is, the thread goes on
                if len(jobs) > 1:
                    self._one_by_one(jobs)
                else:
                    jobs[0].end(error)
                return
            else:
                self._answer(jobs, results)
                return

    def _one_by_one(self, jobs: list[Job[Any]]) -> None:
        """Carry out each by itself: one of them fails, or needs more room than the others."""
        for job in jobs:
            self._carry_out([job])

    def _answer(self, jobs: list[Job[Any]], results: list[Any]) -> None:
        if self._outage.since is not None:
            self._outage.end()
        held_up = [
            job
            for job, result in zip(jobs, results, strict=True)
            if isinstance(result, TicketStatus) and result.state in _HELD_UP
        ]
        if held_up and self._look_for_dead():
            again = set(held_up)
            pairs = zip(jobs, results, strict=True)
            end_all([(job, result) for job, result in pairs if job not in again])
            self._carry_out(held_up)
            return
        end_all(zip(jobs, results, strict=True))

    def _fail(self, jobs: list[Job[Any]], error: Exception) -> None:
        """Answer all with an error, and begin anew with the next."""
        with self._steady:
            self._drop_database()
        told = error
        if not isinstance(error, LockError):
            told = StoreUnavailable(f"SQLite at {self._path} does not serve: {error}")
            told.__cause__ = error
        if isinstance(told, StoreUnavailable):
            self._outage.begin(str(error))
        end_all([(job, told) for job in jobs])

    def _try(self, step: Callable[[Verbs], Any]) -> bool:
        """Do something that nobody waits for; return whether it was done."""
        try:
            self._transact([step])
        except (sqlite3.Error, LockError, OSError):
            return False
        return True

    # Transactions

    def _transact(self, steps: list[Callable[[Verbs], Any]]) -> list[Any]:
        """Do some steps together, and tell whom they concern."""
        while True:
            ground = self._stand()
            with ground.turnstile, self._steady:
                database = self._database
                if database is None:  # a fork came between
                    continue
                is_new = not database.is_set_up
                if is_new:
                    database.set_up()
                first = [self._note_process] if is_new else []
                results, mail = self._in_transaction(database, first + steps)
            self._used = True
            self._deliver(ground, mail)
            return results[len(first) :]

    def _in_transaction(
        self, database: Database, steps: list[Callable[[Verbs], Any]]
    ) -> tuple[list[Any], dict[str, list[Notice]]]:
        database.begin()
        verbs = Verbs(database, self._tokens, time.time())
        try:
            results = [step(verbs) for step in steps]
            mail: dict[str, list[Notice]] = {}
            for owner, news in verbs.write():
                process, dot, _ = owner.partition(".")
                if dot:
                    mail.setdefault(process, []).append((owner, news))
                    if process not in self._addresses and process != self.name:
                        self._addresses[process] = verbs.address_of(process)
            database.commit()
        except BaseException:
            verbs.undo()
            with suppress(sqlite3.Error):
                database.roll_back()
            raise
        return results, mail

    def _stand(self) -> Ground:
        """Return what stands beside the database; both are made where they are not.

        Raises:
            LockError: If there can be no database.
            OSError: If something beside it can't be made.
        """
        with self._steady:
            if self._database is not None and not self._database.is_in_place():
                self._drop_database()
            if self._database is None:
                self._database = Database(os.path.realpath(self._path))
            path = self._database.path
        if self._ground is None:  # only now: it is a database, and ours
            self._ground = Ground(path, self.name, self._bells)
        return self._ground

    def _note_process(self, verbs: Verbs) -> None:
        ground = self._ground
        address = b"" if ground is None else ground.mailbox.address
        verbs.add_process(self.name, this_process(), address)

    def _drop_database(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            with suppress(sqlite3.Error):
                database.close()

    def _make_room(self) -> bool:
        """Return whether a second attempt may find room on a full disk."""
        with self._steady:
            return self._database is not None and self._database.make_room()

    # Telling

    def _deliver(self, ground: Ground, mail: dict[str, list[Notice]]) -> None:
        for process, notices in mail.items():
            if process == self.name:
                for owner, news in notices:
                    self._bells.ring(owner, news)
                continue
            address = self._addresses[process]
            if address:
                ground.sender.send(address, notices)

    def _look_for_dead(self) -> bool:
        """Have the tickets of dead processes expire; return whether there were any."""
        ground, now = self._ground, monotonic()
        if ground is None or now < self._looked_at + _LOOKS_EVERY:
            return False
        self._looked_at = now
        dead = ground.peers.find_dead()
        for name in dead:
            if self._try(partial(Verbs.bury_process, name=name)):
                ground.peers.bury(name)
                self._addresses.pop(name, None)
        return bool(dead)

    # The end

    def _end(self) -> None:
        if self._ground is not None and self._database is not None:
            self._try(lambda verbs: verbs.drop_process(self.name))
        self._leave_ground()

    def _leave_ground(self) -> None:
        """Let go of everything; the next transaction makes it anew."""
        ground, self._ground = self._ground, None
        if ground is not None:
            ground.close()
        with self._steady:
            self._drop_database()
