"""Whether a turn takes longer the more wait in its line."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.figures.base import Bench, Figure, Measure
from benchmarks.peers.files import folder
from nowserving import LockStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.crew import Gate
    from benchmarks.plan import Plan
    from benchmarks.server import Address

_MICROSECONDS = 1e6
_LEAST_SECONDS = 1.0
"""A waiter looks once a second: a shorter test would miss what that costs."""

_PATIENT = 600.0
"""The tickets' lifetime in seconds: nobody in line gives up during the test."""


class _Line:
    """So many waiters in one line; who was served goes to its end."""

    def __init__(self, store: LockStore, waiters: int) -> None:
        self._store = store
        self._open = asyncio.Event()
        self.served = 0
        self._tasks = [asyncio.create_task(self._come_again()) for _ in range(waiters + 1)]

    async def _come_again(self) -> None:
        while True:
            async with self._store.lock("the line", _PATIENT):
                await self._open.wait()
                self.served += 1

    async def all_in_line(self) -> None:
        while True:
            lock = await asyncio.to_thread(self._store.get_lock, "the line")
            if lock is not None and len(lock.tickets) == len(self._tasks):
                return
            await asyncio.sleep(0.02)

    def begin(self) -> None:
        self._open.set()

    async def end(self) -> None:
        self._open.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _seconds_a_turn(url: str, waiters: int, seconds: float, _gate: Gate) -> float:
    async with LockStore.create(url) as store:
        line = _Line(store, waiters)
        await line.all_in_line()
        began = time.perf_counter()
        line.begin()
        await asyncio.sleep(seconds)
        mean = (time.perf_counter() - began) / line.served
        await line.end()
        return mean


def label(waiters: int) -> str:
    """Return what the tables call a length of a line."""
    return f"{waiters:,} waiting"


def line(plan: Plan) -> Figure:
    """Return the figure for Redis, for the lengths of a plan."""
    return _line("waiters", "", plan, lambda address, _: address.url)


def line_in_sqlite(plan: Plan) -> Figure:
    """Return the figure for the SQLite store."""

    def place(address: Address, waiters: int) -> str:
        return f"sqlite:///{folder(address, 'waiters')}/{waiters}.db"

    return _line("files-waiters", ", SQLite", plan, place)


def _line(name: str, store: str, plan: Plan, place: Callable[[Address, int], str]) -> Figure:
    sizes = {label(waiters): waiters for waiters in plan.waiters}

    def measure(bench: Bench, contender: str, _part: str) -> dict[str, float]:
        seconds = max(_LEAST_SECONDS, bench.plan.line_seconds)
        url = place(bench.address, sizes[contender])
        job = partial(_seconds_a_turn, url, sizes[contender], seconds)
        return {"turn": bench.run(job)[0] * _MICROSECONDS}

    return Figure(
        name=name,
        title=f"Turn time by waiters in one line{store}",
        text=(
            "So many tasks of one process wait for one conversation; whoever was served goes to "
            "the end of the line again. The mean time of a turn, everything included: hand-off, "
            "the new ticket, and the looks that every waiter makes once a second."
        ),
        measures=(Measure("turn", "turn, mean", "µs"),),
        contenders=tuple(sizes),
        measure=measure,
        grows=True,
    )
