"""How much gets through when many conversations are busy at once."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.figures.base import Bench, Figure, Measure
from benchmarks.registry import (
    CONTENDERS,
    COREDIS,
    EVALSHA,
    GRELMICRO,
    NAIVE,
    OURS,
    REDIS_LOCK,
    REDIS_PY,
)

if TYPE_CHECKING:
    from benchmarks.crew import Gate
    from benchmarks.plan import Plan
    from benchmarks.server import Address

_PROCESSES = (2, 4)
_EACH = 100
"""Conversations at once in each of several processes."""

_WARM_UP = 0.2
"""Seconds in which connections are made."""


async def _crowd(
    contender: str, address: Address, size: int, seconds: float, gate: Gate
) -> tuple[int, float]:
    async with CONTENDERS[contender].opened(address) as driver:
        names = [f"conversation-{gate.index}-{i}" for i in range(size)]
        await driver.crowd(names, time.monotonic() + _WARM_UP)
        start = gate.wait()
        count = await driver.crowd(names, start + seconds)
        return count, time.monotonic() - start


def _measure(bench: Bench, contender: str, part: str) -> dict[str, float]:
    processes, size = (int(number) for number in part.split("x"))
    job = partial(_crowd, contender, bench.address, size, bench.plan.crowd_seconds)
    counts = bench.run(job, workers=processes)
    return {part: sum(count / seconds for count, seconds in counts)}


def throughput(plan: Plan) -> Figure:
    """Return the figure for the sizes of a plan."""
    alone = {f"1x{size}": f"{size:,} at once" for size in plan.crowds}
    together = {f"{n}x{_EACH}": f"{n} processes x {_EACH}" for n in _PROCESSES}
    titles = alone | together
    return Figure(
        name="throughput",
        title="Cycles a second, many conversations at once",
        text=(
            "Each conversation is taken and left again and again, by a task (or thread) of its "
            "own; first in one process, then in several, each with its own conversations."
        ),
        measures=tuple(Measure(part, titles[part], "cycles/s", "more") for part in titles),
        contenders=(OURS, REDIS_PY, REDIS_LOCK, COREDIS, GRELMICRO, NAIVE, EVALSHA),
        parts=tuple(titles),
        measure=_measure,
    )
