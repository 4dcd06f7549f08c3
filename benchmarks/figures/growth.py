"""Whether a cycle takes longer the more conversations are known."""

from __future__ import annotations

import asyncio
import random
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.drivers import AsyncDriver
from benchmarks.figures.base import Bench, Figure, Measure
from benchmarks.spread import percentile
from nowserving import LockStore

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.crew import Gate
    from benchmarks.plan import Plan
    from benchmarks.server import Address

_MICROSECONDS = 1e6
_AT_ONCE = 1000
_KEPT_FOR = 7200.0
"""The tickets' lifetime in seconds: so long a record stays known after its last ticket."""

_FIRST_DB = 8
"""Each size has a database of its own, so that sizes can take turns in being measured."""

_in_memory: dict[int, LockStore] = {}
"""Filled stores of this worker process: they stay for the next repeat."""


def _name(i: int) -> str:
    return f"known-{i}"


async def _cycle(store: LockStore, names: Iterable[str]) -> None:
    for name in names:
        async with store.lock(name, _KEPT_FOR):
            pass


async def _fill(store: LockStore, known: int) -> None:
    """Make conversations known by real turns, many at once."""
    left = map(_name, range(known))
    await asyncio.gather(*(_cycle(store, left) for _ in range(min(known, _AT_ONCE))))


async def _durations(store: LockStore, known: int, count: int, seed: int) -> list[float]:
    chance = random.Random(seed)  # noqa: S311 - variety that repeats, not secrecy
    names = [_name(chance.randrange(known)) for _ in range(count)]
    driver = AsyncDriver(partial(store.lock, lock_lifetime=_KEPT_FOR))
    await driver.cycles(names[:50])
    return await driver.cycles(names)


async def _fill_redis(address: Address, known: int, _gate: Gate) -> None:
    async with LockStore.create(address.url) as store:
        await _fill(store, known)


async def _measure_redis(
    address: Address, known: int, count: int, seed: int, _gate: Gate
) -> list[float]:
    async with LockStore.create(address.url) as store:
        return await _durations(store, known, count, seed)


async def _measure_memory(known: int, count: int, seed: int, _gate: Gate) -> list[float]:
    store = _in_memory.get(known)
    if store is None:
        store = _in_memory[known] = LockStore.create("memory://")
        await _fill(store, known)
    return await _durations(store, known, count, seed)


def label(known: int) -> str:
    """Return what the tables call a number of known conversations."""
    return f"{known:,} known"


def _p50(durations: list[float]) -> dict[str, float]:
    return {"p50": percentile(durations, 50) * _MICROSECONDS}


def growth(plan: Plan) -> Figure:
    """Return the figure for Redis."""
    sizes = {label(known): known for known in plan.known}
    databases = {known: _FIRST_DB + i for i, known in enumerate(plan.known)}

    def prepare(bench: Bench) -> None:
        for known, db in databases.items():
            bench.run(partial(_fill_redis, bench.address._replace(db=db), known))

    def measure(bench: Bench, contender: str, _part: str) -> dict[str, float]:
        known = sizes[contender]
        address = bench.address._replace(db=databases[known])
        job = partial(_measure_redis, address, known, bench.plan.cycles, bench.repeat)
        return _p50(bench.run(job)[0])

    return Figure(
        name="growth",
        title="Cycle time by known conversations, Redis",
        text=(
            "An uncontended cycle of a conversation chosen at random among those that have a "
            "record. They were made by real turns. Each number has a database of its own in the "
            "same server, so that all of them are measured in turns."
        ),
        measures=(Measure("p50", "cycle p50", "µs"),),
        contenders=tuple(sizes),
        measure=measure,
        grows=True,
        prepare=prepare,
    )


def growth_in_memory(plan: Plan) -> Figure:
    """Return the figure for the in-memory store."""
    sizes = {label(known): known for known in plan.known}

    def measure(bench: Bench, contender: str, _part: str) -> dict[str, float]:
        count = bench.plan.cycles * 10
        job = partial(_measure_memory, sizes[contender], count, bench.repeat)
        return _p50(bench.run(job)[0])

    return Figure(
        name="growth-in-memory",
        title="Cycle time by known conversations, in memory",
        text="The same with the in-memory store.",
        measures=(Measure("p50", "cycle p50", "µs"),),
        contenders=tuple(sizes),
        measure=measure,
        grows=True,
        prepare=lambda bench: bench.crew.renew(),
    )
