"""What waiting costs: commands a second while nothing happens."""

from __future__ import annotations

import asyncio
import time
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

_SETTLE = 0.2
"""Seconds after which both stand where they will stay."""


async def _sent_while_waiting(
    contender: str, address: Address, seconds: float, waiters: int, _gate: Gate
) -> float:
    async with CONTENDERS[contender].opened(address) as driver:
        await driver.cycles(["warm"] * 20)
        with Probe(address.port) as probe, probe.watching() as sent:
            begins = time.time() + _SETTLE
            now = time.monotonic()
            moments = [now + i * _SETTLE / 4 for i in range(waiters + 1)]
            hold = seconds + 2 * _SETTLE
            await driver.arrivals("shared", moments, hold, now + hold * (waiters + 2))
        await asyncio.sleep(0)
    ends = begins + seconds
    return sum(begins <= command.at < ends for command in sent if not command.by_script) / seconds


def _measure(bench: Bench, contender: str, _part: str) -> dict[str, float]:
    def commands(waiters: int) -> float:
        seconds = bench.plan.idle_seconds
        job = partial(_sent_while_waiting, contender, bench.address, seconds, waiters)
        return bench.run(job)[0]

    return {"held": commands(0), "waited": commands(1)}


IDLE = Figure(
    name="idle",
    title="Commands of an idle waiter",
    text=(
        "One holds, and one waits behind it in the same process; commands a second that the "
        "process sends meanwhile."
    ),
    measures=(
        Measure("held", "held, nobody waits", "commands/s"),
        Measure("waited", "held, one waits", "commands/s"),
    ),
    contenders=(OURS, REDIS_PY, REDIS_LOCK, COREDIS, GRELMICRO, NAIVE),
    measure=_measure,
    repeats=1,
)
