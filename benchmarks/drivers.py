"""How a lock is put to work: the same tasks for locks of an event loop and locks of threads."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from benchmarks.stay import Stay

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

_GRACE = 2.0
"""Seconds after the end of a test for which a turn that waits may still come."""


class Driver(Protocol):
    """A lock that is open and ready to be measured."""

    async def cycles(self, names: Sequence[str]) -> list[float]:
        """Take and leave one after the other; return the seconds of each cycle."""
        ...

    async def crowd(self, names: Sequence[str], until: float) -> int:
        """Take and leave all conversations at once, again and again; return how many cycles.

        Each of them once at least, also after the end: so a crowd of no time makes connections.
        """
        ...

    async def alternate(self, name: str, hold: float, rest: float, until: float) -> list[Stay]:
        """Take, hold, leave and rest, again and again."""
        ...

    async def arrivals(
        self, name: str, moments: Sequence[float], hold: float, until: float
    ) -> list[Stay]:
        """Have a message arrive at each moment; return the turns that came before the end."""
        ...

    def holding(self, names: Sequence[str]) -> contextlib.AbstractAsyncContextManager[None]:
        """Hold all conversations, free before, at once."""
        ...


class AsyncDriver:
    """Drives a lock whose turn is an asynchronous context manager.

    Args:
        turn: Makes the turn of a conversation.
    """

    def __init__(
        self, turn: Callable[[str], contextlib.AbstractAsyncContextManager[object]]
    ) -> None:
        self.turn = turn

    async def cycles(self, names: Sequence[str]) -> list[float]:
        """Take and leave one after the other."""
        turn, clock, durations = self.turn, time.perf_counter, []
        for name in names:
            began = clock()
            async with turn(name):
                pass
            durations.append(clock() - began)
        return durations

    async def crowd(self, names: Sequence[str], until: float) -> int:
        """Take and leave all conversations at once, again and again."""
        return sum(await asyncio.gather(*(self._again_and_again(name, until) for name in names)))

    async def _again_and_again(self, name: str, until: float) -> int:
        count = 0
        while not count or time.monotonic() < until:
            async with self.turn(name):
                pass
            count += 1
        return count

    async def alternate(self, name: str, hold: float, rest: float, until: float) -> list[Stay]:
        """Take, hold, leave and rest, again and again."""
        stays: list[Stay] = []

        async def loop() -> None:
            while time.monotonic() < until:
                stays.append(await self._stay(name, hold))
                await asyncio.sleep(rest)

        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(loop(), until - time.monotonic() + _GRACE)
        return stays

    async def arrivals(
        self, name: str, moments: Sequence[float], hold: float, until: float
    ) -> list[Stay]:
        """Have a message arrive at each moment."""
        tasks = []
        for moment in moments:
            await asyncio.sleep(moment - time.monotonic())
            tasks.append(asyncio.create_task(self._stay(name, hold)))
        done, late = await asyncio.wait(tasks, timeout=until - time.monotonic())
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        return [task.result() for task in done if task.exception() is None]

    async def _stay(self, name: str, hold: float) -> Stay:
        asked = time.monotonic()
        async with self.turn(name):
            entered = time.monotonic()
            await asyncio.sleep(hold)
            leaving = time.monotonic()
        return Stay(asked, entered, leaving, process=0)

    @contextlib.asynccontextmanager
    async def holding(self, names: Sequence[str]) -> AsyncIterator[None]:
        """Hold all conversations at once."""
        async with contextlib.AsyncExitStack() as stack:
            for name in names:
                await stack.enter_async_context(self.turn(name))
            yield


class ThreadDriver:
    """Drives a lock that blocks its thread; nothing but its own work is in its figures.

    Args:
        turn: Makes the turn of a conversation.
    """

    def __init__(self, turn: Callable[[str], contextlib.AbstractContextManager[Any]]) -> None:
        self.turn = turn
        self._threads: ThreadPoolExecutor | None = None

    async def cycles(self, names: Sequence[str]) -> list[float]:
        """Take and leave one after the other, in this thread."""
        turn, clock, durations = self.turn, time.perf_counter, []
        for name in names:
            began = clock()
            with turn(name):
                pass
            durations.append(clock() - began)
        return durations

    async def crowd(self, names: Sequence[str], until: float) -> int:
        """Take and leave all conversations at once, a thread each."""
        # The threads of the first crowd stay: some locks have a connection in each of them.
        if self._threads is None:
            self._threads = ThreadPoolExecutor(len(names))
        all_here = threading.Barrier(len(names))
        run = partial(self._again_and_again, until=until, all_here=all_here)
        return sum(self._threads.map(run, names))

    def _again_and_again(self, name: str, until: float, all_here: threading.Barrier) -> int:
        count = 0
        all_here.wait()
        while not count or time.monotonic() < until:
            with self.turn(name):
                pass
            count += 1
        return count

    async def alternate(self, name: str, hold: float, rest: float, until: float) -> list[Stay]:
        """Take, hold, leave and rest, again and again."""
        stays = []
        while time.monotonic() < until:
            stays.append(self._stay(name, hold))
            time.sleep(rest)  # noqa: ASYNC251 - nothing else runs in this loop
        return stays

    async def arrivals(
        self, name: str, moments: Sequence[float], hold: float, until: float
    ) -> list[Stay]:
        """Have a message arrive at each moment, a thread each."""
        stays: list[Stay] = []

        def arrive() -> None:
            with contextlib.suppress(Exception):  # the end of the test cuts its connection
                stays.append(self._stay(name, hold))

        threads = []
        for moment in moments:
            time.sleep(max(0.0, moment - time.monotonic()))  # noqa: ASYNC251
            threads.append(threading.Thread(target=arrive, daemon=True))
            threads[-1].start()
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        return stays

    def _stay(self, name: str, hold: float) -> Stay:
        asked = time.monotonic()
        with self.turn(name):
            entered = time.monotonic()
            time.sleep(hold)
            leaving = time.monotonic()
        return Stay(asked, entered, leaving, process=0)

    @contextlib.asynccontextmanager
    async def holding(self, names: Sequence[str]) -> AsyncIterator[None]:
        """Hold all conversations at once."""
        with contextlib.ExitStack() as stack:
            for name in names:
                stack.enter_context(self.turn(name))
            yield
