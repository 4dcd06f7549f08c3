"""What it costs to keep a history."""

from __future__ import annotations

import asyncio
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.drivers import AsyncDriver
from benchmarks.figures.base import Bench, Figure, Measure
from benchmarks.server import Probe
from benchmarks.spread import percentile
from nowserving import LockStore

if TYPE_CHECKING:
    from benchmarks.crew import Gate
    from benchmarks.plan import Plan
    from benchmarks.server import Address

NONE, KEPT = "no history", "history=200"
REDIS, SQLITE, MEMORY = "Redis", "SQLite", "memory"
_MICROSECONDS = 1e6
_CONNECTED = 0.3  # seconds after which the thread that writes has its connection


async def _costs(kept: str, address: Address, count: int, _gate: Gate) -> dict[str, float]:
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder, Probe(address.port) as probe:
        file = Path(folder) / "locks.db"
        for part, url in (
            (REDIS, address.url),
            (SQLITE, f"sqlite:///{file}"),
            (MEMORY, "memory://"),
        ):
            of_part = await _cost(f"{url}?{kept}" if kept == KEPT else url, probe, count)
            found |= {f"{part} {name}": value * _MICROSECONDS for name, value in of_part.items()}
    return found


async def _cost(url: str, probe: Probe, count: int) -> dict[str, float]:
    store = LockStore.create(url)
    driver = AsyncDriver(store.lock)
    names = [f"conversation-{i % 100}" for i in range(count)]
    await driver.cycles(names[:50])
    await asyncio.sleep(_CONNECTED)
    asking = probe.cost_of_asking()
    before, cpu = probe.used(), time.process_time()
    cycles = await driver.cycles(names)
    await store.aclose()  # with whatever of the history is not written yet
    cpu = time.process_time() - cpu
    server = probe.used().since(before).since(asking).cpu
    return {"p50": percentile(cycles, 50), "cpu": cpu / count, "server": server / count}


def _measure(bench: Bench, contender: str, _part: str) -> dict[str, float]:
    (costs,) = bench.run(partial(_costs, contender, bench.address, bench.plan.cycles))
    return costs


def history(plan: Plan) -> Figure:
    """Return the figure for the sizes of a plan."""
    return Figure(
        name="history",
        title="What it costs to keep a history",
        text=(
            "Uncontended turns one after the other, three events each, and the end of the store: "
            "the cycle, and the CPU time of the process, its background thread included."
        ),
        measures=(
            Measure(f"{REDIS} p50", "Redis: cycle p50", "µs"),
            Measure(f"{REDIS} cpu", "Redis: CPU", "µs a turn"),
            Measure(f"{REDIS} server", "Redis: server CPU", "µs a turn"),
            Measure(f"{SQLITE} p50", "SQLite: cycle p50", "µs"),
            Measure(f"{SQLITE} cpu", "SQLite: CPU", "µs a turn"),
            Measure(f"{MEMORY} p50", "in memory: cycle p50", "µs"),
            Measure(f"{MEMORY} cpu", "in memory: CPU", "µs a turn"),
        ),
        contenders=(NONE, KEPT),
        measure=_measure,
        repeats=plan.repeats,
        grows=True,
        rows="store",
    )
