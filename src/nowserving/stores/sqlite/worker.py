"""The one thread of a process that uses the database.

Whatever was asked for while it worked goes into the next transaction together. So no event loop is
ever blocked, also while another process writes for long; and a turn costs two transactions at the
most, in a busy process far fewer.

No reply is lost on this way, and what was asked for first is done first. So each verb is carried
out once, and whoever cancels a take only has to leave behind it. A transaction that fails is undone
as a whole, handles included; then each verb of it is tried by itself, unless it is the database
that fails.
"""

from __future__ import annotations

import logging
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
from nowserving.errors import CorruptLock, LockError, StoreClosed, StoreUnavailable
from nowserving.protocol.outages import Outages
from nowserving.protocol.status import State, TicketStatus
from nowserving.stores._remote.outage import Outage
from nowserving.stores.sqlite.access import Access
from nowserving.stores.sqlite.database import is_busy, is_damage, is_full
from nowserving.stores.sqlite.job import Job, Waiting, end_all
from nowserving.stores.sqlite.verbs import Verbs

if TYPE_CHECKING:
    from collections.abc import Callable

    from nowserving.stores.sqlite.access import Notice, Step
    from nowserving.stores.sqlite.post import Bells

logger = logging.getLogger("nowserving.stores.sqlite.worker")

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
        outages: Who is told when the file does not serve.
    """

    def __init__(self, path: str, timeout: float, bells: Bells) -> None:
        self._path = path
        self._timeout = timeout
        self._closed = False
        self.outages = Outages()
        self._outage = Outage("SQLite", path, self.outages, "nowserving.stores.sqlite.outage")
        self._waiting = Waiting(timeout, partial(_too_late, self._outage, timeout))
        self._start_afresh(bells)

    def _start_afresh(self, bells: Bells) -> None:
        self.name = nonce()
        self._bells = bells
        self._access = Access(self._path, self.name, bells)
        self._jobs: SimpleQueue[Job[Any] | None] = SimpleQueue()  # without a lock, for finalisers
        self._thread = threading.Thread(target=self._run, name="nowserving-sqlite", daemon=True)
        self._to_be_started = [True]  # whoever pops it starts the thread
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
        job = Job(step, self._waiting.here(), seconds, within, always=always)
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
            self._waiting.close()

    def has_ended(self) -> bool:
        """Return whether it is over, or never began."""
        return not self._thread.is_alive()

    # Around a fork, on the thread that forks

    def before_fork(self) -> bool:
        """Come to rest; return whether that could be done."""
        return self._access.before_fork()

    def after_fork(self) -> None:
        """Go on in the parent."""
        self._access.after_fork()

    def forked(self, bells: Bells) -> None:
        """Leave the parent's thread and tickets alone, and close what the child has of its files.

        Args:
            bells: Whom to tell of news in the child.
        """
        self._access.forked()
        self._waiting.forked()
        keep_inherited(self._jobs, self._thread, self._access)
        self._start_afresh(bells)

    # On the thread

    def _run(self) -> None:
        while True:
            jobs = self._next_jobs()
            if jobs is None:
                break
            try:
                if jobs:
                    self._carry_out(jobs)
                self._tend()
            except Exception as error:  # the others shall not wait for nothing
                logger.exception("The thread of the SQLite lock store failed; it goes on")
                end_all([(job, error) for job in jobs])
        if self._access.is_open():
            # A ticket whose leave has failed is nobody's from now on, and nobody would miss us.
            self._do(partial(Verbs.bury_process, name=self.name))
        self._access.leave()

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
        dues, now = [], monotonic()
        if self._access.has_pending():
            dues.append(_TRIES_AGAIN)
        if self._bells.anybody_waits():
            dues.append(self._looked_at + _LOOKS_EVERY - now)
        if self._used:
            dues.append(self._tidies_at - now)
        return max(min(dues), 0.0) if dues else None

    def _tend(self) -> None:
        """Do what nobody asks for."""
        if self._access.has_pending():
            self._access.tell_again()
        if self._looked_at == 0.0 or self._bells.anybody_waits():
            self._look_for_dead()
        if self._used and monotonic() >= self._tidies_at:
            self._tidy()

    def _look_for_dead(self) -> bool:
        """Have the tickets of dead processes expire; return whether there were any."""
        now = monotonic()
        if now < self._looked_at + _LOOKS_EVERY:
            return False
        self._looked_at = now
        dead = self._access.find_dead()
        for name in dead:
            if self._do(partial(Verbs.bury_process, name=name)):
                self._access.bury(name)
        return bool(dead)

    def _tidy(self) -> None:
        """Drop some idle lines; make anew what somebody has removed beside the file."""
        more: list[bool] = []
        self._access.mend()
        self._do(lambda verbs: more.append(verbs.sweep(_SWEPT_AT_ONCE)))
        # Where there are more of them, some go with each transaction: they can't come faster.
        self._tidies_at = monotonic() + (0.0 if more and more[-1] else _TIDIES_EVERY)
        self._used = False

    def _do(self, step: Step) -> bool:
        """Do something that nobody waits for; return whether it was done."""
        try:
            _, own = self._access.transact([step])
        except (sqlite3.Error, LockError, OSError):
            return False
        self._ring(own)
        return True

    # Jobs

    def _carry_out(self, jobs: list[Job[Any]]) -> None:
        """Carry jobs out in one transaction, and answer when it is committed."""
        pause, made_room = _FIRST_PAUSE, False
        while jobs:
            try:
                results, own = self._access.transact([job.step for job in jobs])
            except sqlite3.Error as error:  # noqa: PERF203 - each attempt may fail
                if is_busy(error):
                    time.sleep(pause)
                    pause = min(2 * pause, _LONGEST_PAUSE)
                    jobs = [job for job in jobs if job.is_wanted() and monotonic() < job.ends]
                elif is_full(error) and not made_room:
                    made_room = True  # maybe: once is enough to find out
                    self._access.make_room()
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
                self._used = True
                self._answer(jobs, results, own)
                return

    def _one_by_one(self, jobs: list[Job[Any]]) -> None:
        """Carry out each by itself: one of them fails, or needs more room than the others."""
        for job in jobs:
            self._carry_out([job])

    def _answer(self, jobs: list[Job[Any]], results: list[Any], own: list[Notice]) -> None:
        """Answer, and ring behind that: who leaves has left before the next one enters."""
        if self._outage.since is not None:
            self._outage.end()
        answers = list(zip(jobs, results, strict=True))
        held_up = [job for job, result in answers if _is_held_up(result)]
        if held_up and self._look_for_dead():
            answers = [(job, result) for job, result in answers if not _is_held_up(result)]
        else:
            held_up = []
        end_all(answers)
        self._ring(own)
        if held_up:
            self._carry_out(held_up)

    def _ring(self, own: list[Notice]) -> None:
        for owner, news in own:
            self._bells.ring(owner, news)

    def _fail(self, jobs: list[Job[Any]], error: Exception) -> None:
        """Answer all with an error; with the next one a connection that is not just full is new."""
        if not (isinstance(error, sqlite3.Error) and is_full(error)):
            self._access.drop_database()
        told = error
        if isinstance(error, sqlite3.Error) and is_damage(error):
            told = CorruptLock(
                f"{self._path} is damaged ({error}). Move it away, with the -wal and -shm beside "
                "it: a new one is made."
            )
            told.key = self._path
        elif not isinstance(error, LockError):
            told = StoreUnavailable(f"SQLite at {self._path} does not serve: {error}")
        if told is not error:
            told.__cause__ = error
        if isinstance(told, StoreUnavailable):
            self._outage.begin(str(error))
        end_all([(job, told) for job in jobs])


def _is_held_up(result: object) -> bool:
    return isinstance(result, TicketStatus) and result.state in _HELD_UP


def _too_late(outage: Outage, timeout: float) -> StoreUnavailable:
    outage.begin("no answer in time; maybe another process writes for long, or too much is asked")
    return StoreUnavailable(
        f"SQLite at {outage.where} did not answer within {timeout:g} s: another process holds its "
        "write lock, the disk does not answer, or more turns are asked for than it can serve."
    )
