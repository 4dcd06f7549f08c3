"""How long one takes who is alone."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.figures.base import Bench, Figure, Measure
from benchmarks.registry import (
    ASYNCIO,
    BARE,
    CONTENDERS,
    COREDIS,
    EVALSHA,
    GRELMICRO,
    MEMORY,
    NAIVE,
    NAIVE_MEMORY,
    OURS,
    RASA_MEMORY,
    REDIS_LOCK,
    REDIS_PY,
)
from benchmarks.spread import percentile

if TYPE_CHECKING:
    from benchmarks.crew import Gate
    from benchmarks.server import Address

_MICROSECONDS = 1e6
_WARM_UP = 50
_IN_MEMORY_TIMES = 20
"""How many times more cycles are run in memory: they are that much shorter."""


async def _cycles(contender: str, address: Address, count: int, _gate: Gate) -> list[float]:
    async with CONTENDERS[contender].opened(address) as driver:
        await driver.cycles([f"warm-{i}" for i in range(_WARM_UP)])
        return await driver.cycles([f"conversation-{i % 100}" for i in range(count)])


def _measure(bench: Bench, contender: str, part: str) -> dict[str, float]:
    times = _IN_MEMORY_TIMES if part == "memory" else 1
    job = partial(_cycles, contender, bench.address, bench.plan.cycles * times)
    (durations,) = bench.run(job)
    return {
        "p50": percentile(durations, 50) * _MICROSECONDS,
        "p99": percentile(durations, 99) * _MICROSECONDS,
    }


_MEASURES = (
    Measure("p50", "cycle p50", "µs"),
    Measure("p99", "cycle p99", "µs"),
)

UNCONTENDED = Figure(
    name="uncontended",
    title="Uncontended cycle",
    text="Take and leave, one after the other, over 100 conversations; nobody else is there.",
    measures=_MEASURES,
    contenders=(OURS, REDIS_PY, REDIS_LOCK, COREDIS, GRELMICRO, NAIVE, EVALSHA, BARE),
    measure=_measure,
)

IN_MEMORY = Figure(
    name="in-memory",
    title="Uncontended cycle in memory",
    text="The same without a server. Rasa needs an old Python and an environment of its own: "
    "[what was measured there](benchmarks-rasa.md).",
    measures=_MEASURES,
    contenders=(MEMORY, RASA_MEMORY, NAIVE_MEMORY, ASYNCIO),
    parts=("memory",),
    measure=_measure,
)
