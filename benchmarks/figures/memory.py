"""What a conversation weighs in Redis."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.figures.base import Bench, Figure, Measure
from benchmarks.registry import (
    CONTENDERS,
    COREDIS,
    GRELMICRO,
    NAIVE,
    OURS,
    REDIS_LOCK,
    REDIS_PY,
)
from benchmarks.server import Probe

if TYPE_CHECKING:
    from benchmarks.crew import Gate
    from benchmarks.server import Address


async def _weigh(contender: str, address: Address, count: int, _gate: Gate) -> dict[str, float]:
    async with CONTENDERS[contender].opened(address) as driver:
        await driver.cycles(["warm"] * 20)
        with Probe(address.port) as probe:
            empty = probe.memory()
            async with driver.holding([f"conversation-{i:06}" for i in range(count)]):
                active = probe.memory() - empty
            idle = probe.memory() - empty
    return {"active": active / count, "idle": max(0, idle) / count}


def _measure(bench: Bench, contender: str, _part: str) -> dict[str, float]:
    (weight,) = bench.run(partial(_weigh, contender, bench.address, bench.plan.kept))
    return weight


MEMORY = Figure(
    name="memory",
    title="Memory in Redis for each conversation",
    text=(
        "The server's `used_memory` with many conversations held at once, and right after all "
        "were left. Ours keeps an idle conversation's counters for one lifetime (60 s), so that "
        "fencing tokens keep growing; then it is gone. grelmicro keeps its fencing counter for "
        "ever. The others have neither."
    ),
    measures=(
        Measure("active", "active", "B"),
        Measure("idle", "idle", "B"),
    ),
    contenders=(OURS, REDIS_PY, REDIS_LOCK, COREDIS, GRELMICRO, NAIVE),
    measure=_measure,
    repeats=1,
)
