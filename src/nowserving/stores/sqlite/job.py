"""What is asked of the worker, and who on which event loop waits for the answer."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

from nowserving._host.background import later
from nowserving._host.clock import monotonic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from nowserving.stores.sqlite.verbs import Verbs

T = TypeVar("T")

_LATE = 0.05
"""Seconds by which a timer may be late without the loop, or all of this process, having stood."""


class Job(Generic[T]):
    """A verb to be carried out; to be made on the loop that waits.

    Args:
        step: What to do, on the worker's thread and in its transaction.
        late: Returns the error of a job that was not answered in time.
        timeout: The seconds that it has.
        within: The seconds for which its caller waits.
        always: Carry it out although nobody waits for the answer any more.

    Attributes:
        step: The same.
        future: Gets the answer.
        loop: Where that is.
        until: When it is too late, on the clock of ``_host``.
    """

    __slots__ = ("_always", "_due", "_late", "_timer", "_within", "future", "loop", "step", "until")

    def __init__(
        self,
        step: Callable[[Verbs], T],
        late: Callable[[], Exception],
        timeout: float,
        within: float | None,
        *,
        always: bool,
    ) -> None:
        self.step = step
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[T] = self.loop.create_future()
        self.until = monotonic() + timeout
        self._always = always
        self._late = late
        self._within = within is not None and within < timeout
        self._arm(within if within is not None and within < timeout else timeout)

    def is_wanted(self) -> bool:
        """Return whether it has to be carried out; from any thread."""
        return self._always or not self.future.done()

    async def answer(self) -> T:
        """Wait for the answer."""
        try:
            return await self.future
        finally:
            self._timer.cancel()

    def end(self, result: T | BaseException) -> None:
        """Answer, or raise there what went wrong; from any thread."""
        end_all([(self, result)])

    def end_here(self, result: T | BaseException) -> None:
        """Do the same on its loop."""
        self._timer.cancel()
        if self.future.done():  # cancelled, or too late
            return
        if isinstance(result, BaseException):
            self.future.set_exception(result)
        else:
            self.future.set_result(result)

    def _arm(self, seconds: float) -> None:
        self._due = self.loop.time() + seconds
        self._timer = later(self.loop, seconds, self._too_late)

    def _too_late(self) -> None:
        late = self.loop.time() - self._due
        if late > _LATE:  # no time has passed for whoever stood still: the worker may have, too
            self._arm(min(late, 1.0))
            return
        self.end_here(asyncio.TimeoutError() if self._within else self._late())


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
