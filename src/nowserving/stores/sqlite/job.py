"""What is asked of the worker, and who on which event loop waits for the answer."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from nowserving._host.clock import monotonic
from nowserving._host.loops import PerLoop
from nowserving.stores._remote.deadlines import Watchdog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from nowserving.stores.sqlite.verbs import Verbs

T = TypeVar("T")


class Job(Generic[T]):
    """A verb to be carried out; to be made on the loop that waits. Moments are on its clock.

    Args:
        step: What to do, on the worker's thread and in its transaction.
        here: What else is under way on this loop.
        timeout: The seconds that it has.
        within: The seconds for which its caller waits.
        always: Carry it out although nobody waits for the answer any more.

    Attributes:
        step: The same.
        loop: The loop.
        future: Gets the answer.
        asked: When it was made.
        retry_at: When it is too late.
        until: How long its caller waits; infinite for as long as it takes.
        ends: When it is too late, on the clock of ``_host``, for the worker.
    """

    __slots__ = ("_always", "_here", "asked", "ends", "future", "loop", "retry_at", "step", "until")

    def __init__(
        self,
        step: Callable[[Verbs], T],
        here: LoopJobs,
        timeout: float,
        within: float | None,
        *,
        always: bool,
    ) -> None:
        self.step = step
        self.loop = loop = here.loop
        self.future: asyncio.Future[T] = loop.create_future()
        self.asked = now = loop.time()
        self.retry_at = now + timeout
        self.until = math.inf if within is None else now + within
        self.ends = monotonic() + timeout
        self._always = always
        self._here = here
        here.add(self)

    def is_wanted(self) -> bool:
        """Return whether it has to be carried out; from any thread."""
        return self._always or not self.future.done()

    async def answer(self) -> T:
        """Wait for the answer."""
        try:
            return await self.future
        finally:
            self._here.discard(self)

    def end(self, result: T | BaseException) -> None:
        """Answer, or raise there what went wrong; from any thread."""
        end_all([(self, result)])

    def end_here(self, result: T | BaseException) -> None:
        """Do the same on its loop."""
        if self.future.done():  # cancelled, or too late
            return
        if isinstance(result, BaseException):
            self.future.set_exception(result)
        else:
            self.future.set_result(result)

    # Its deadlines

    def due(self, now: float) -> float:  # noqa: ARG002 - as a call is asked
        """Return when something has to be decided about it."""
        return min(self.retry_at, self.until)

    def postpone(self, seconds: float) -> None:
        """Give it time back in which nothing could be done about it."""
        self.retry_at += seconds


class LoopJobs:
    """What is under way for one event loop, and its deadlines; to be used on that loop.

    Args:
        loop: The loop, which is running.
        timeout: The seconds that a job usually has.
        late: Returns the error of a job that was not answered in time.

    Attributes:
        loop: The same loop.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, timeout: float, late: Callable[[], Exception]
    ) -> None:
        self.loop = loop
        self._late = late
        self._jobs: dict[Job[Any], None] = {}
        self._watchdog = Watchdog(loop, timeout, lambda: list(self._jobs), self._check)

    def add(self, job: Job[Any]) -> None:
        """Mind its deadlines."""
        self._jobs[job] = None
        watchdog = self._watchdog
        if job.retry_at < watchdog.wakes_at or job.until < watchdog.wakes_at:
            watchdog.mind(job)

    def discard(self, job: Job[Any]) -> None:
        """Nobody waits for it any more."""
        self._jobs.pop(job, None)

    def _check(self, now: float) -> None:
        for job in list(self._jobs):
            if job.until <= now:
                job.end_here(asyncio.TimeoutError())
            elif job.retry_at <= now:
                job.end_here(self._late())

    def close(self) -> None:
        """Nothing is held: the watchdog sleeps as soon as nothing is under way."""

    def hang_up(self) -> None:
        """There are no connections here."""

    def abandon(self) -> None:
        """The loop is closed: nobody waits there."""
        self._watchdog.stop()


class Waiting(PerLoop[LoopJobs]):
    """What is under way for each event loop.

    Args:
        timeout: The seconds that a job usually has.
        late: Returns the error of a job that was not answered in time.
    """

    def __init__(self, timeout: float, late: Callable[[], Exception]) -> None:
        super().__init__()
        self._timeout = timeout
        self._late = late

    def make(self, loop: asyncio.AbstractEventLoop) -> LoopJobs:
        """Make the running loop's."""
        return LoopJobs(loop, self._timeout, self._late)

    def here(self) -> LoopJobs:
        """Return the running loop's."""
        loop, home = asyncio.get_running_loop(), self.last
        if home is None or home.loop() is not loop:
            home = self.of(loop)
        # Its loop has it, and runs.
        found = home.thing()
        return self.make(loop) if found is None else found


def end_all(ended: Iterable[tuple[Job[T], T | BaseException]]) -> None:
    """Answer many jobs, each loop in one step; from any thread."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Job[T], T | BaseException]]] = {}
    for job, result in ended:
        by_loop.setdefault(job.loop, []).append((job, result))
    for loop, here in by_loop.items():
        with suppress(RuntimeError):  # that loop is closed
            loop.call_soon_threadsafe(_end_here, here)


def _end_here(ended: list[tuple[Job[T], T | BaseException]]) -> None:
    for job, result in ended:
        job.end_here(result)
