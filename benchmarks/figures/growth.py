"""Whether a cycle takes longer the more conversations are known."""

from __future__ import annotations

import asyncio
import random
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.drivers import AsyncDriver
from benchmarks.figures.base import Bench, Figure, Measure
from benchmarks.peers.files import folder
from benchmarks.spread import percentile
from nowserving import LockStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from benchmarks.crew import Gate
    from benchmarks.plan import Plan
    from benchmarks.server import Address

_MICROSECONDS = 1e6
_AT_ONCE = 1000
_KEPT_FOR = 7200.0
"""The tickets' lifetime in seconds: so long a record stays known after its last ticket."""

_FIRST_DB = 8
"""Each size has a database of its own, so that sizes can take turns in being measured."""

_MOST_IN_A_FILE = 100_000
"""Conversations: more than one machine has at a time."""

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


async def _fill_shared(url: str, known: int, _gate: Gate) -> None:
    async with LockStore.create(url) as store:
        await _fill(store, known)


async def _measure_shared(url: str, known: int, count: int, seed: int, _gate: Gate) -> list[float]:
    async with LockStore.create(url) as store:
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

    def place(address: Address, known: int) -> str:
        return address._replace(db=_FIRST_DB + plan.known.index(known)).url

    text = (
        "An uncontended cycle of a conversation chosen at random among those that have a record. "
        "They were made by real turns. Each number has a database of its own in the same server, "
        "so that all of them are measured in turns."
    )
    return _growth("growth", "Redis", text, plan.known, place)


def growth_in_sqlite(plan: Plan) -> Figure:
    """Return the figure for the SQLite store."""

    def place(address: Address, known: int) -> str:
        return f"sqlite:///{folder(address, 'growth')}/{known}.db"

    text = (
        "An uncontended cycle of a conversation chosen at random among those that have a record, "
        "each number in a file of its own. They were made by real turns."
    )
    return _growth("files-growth", "SQLite", text, numbers_in_a_file(plan), place)


def numbers_in_a_file(plan: Plan) -> tuple[int, ...]:
    """Return the numbers of a plan that one machine may have."""
    return tuple(known for known in plan.known if known <= _MOST_IN_A_FILE)


def _growth(
    name: str, store: str, text: str, numbers: tuple[int, ...], place: Callable[[Address, int], str]
) -> Figure:
    sizes = {label(known): known for known in numbers}

    def prepare(bench: Bench) -> None:
        for known in numbers:
            bench.run(partial(_fill_shared, place(bench.address, known), known))

    def measure(bench: Bench, contender: str, _part: str) -> dict[str, float]:
        known = sizes[contender]
        url = place(bench.address, known)
        job = partial(_measure_shared, url, known, bench.plan.cycles, bench.repeat)
        return _p50(bench.run(job)[0])

    return Figure(
        name=name,
        title=f"Cycle time by known conversations, {store}",
        text=text,
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
