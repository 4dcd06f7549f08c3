"""Whether messages are handled one at a time, in the order in which they came."""

from __future__ import annotations

from functools import partial
from itertools import chain
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
from benchmarks.stay import Stay, in_order, overlaps, overtaken

if TYPE_CHECKING:
    from benchmarks.crew import Gate
    from benchmarks.server import Address

_PROCESSES = 4
_EVERY, _HOLD = 0.005, 0.008  # seconds
_MARGIN = 0.02
"""Seconds by which another must have asked later for its being first to count as overtaking."""

_PATIENCE = 3.0
"""For how many times the work's own duration a message is waited for."""


async def _arrive(contender: str, address: Address, messages: int, gate: Gate) -> list[Stay]:
    async with CONTENDERS[contender].opened(address) as driver:
        await driver.cycles([f"warm-{gate.index}-{i}" for i in range(20)])
        start = gate.wait()
        moments = [start + i * _EVERY for i in range(gate.index, messages, _PROCESSES)]
        until = start + messages * _HOLD * _PATIENCE
        stays = await driver.arrivals("shared", moments, _HOLD, until)
        return [stay._replace(process=gate.index) for stay in stays]


def _measure(bench: Bench, contender: str, _part: str) -> dict[str, float]:
    messages = bench.plan.arrivals
    job = partial(_arrive, contender, bench.address, messages)
    served = in_order(chain(*bench.run(job, workers=_PROCESSES)))
    return {
        "overtaken": overtaken(served, _MARGIN),
        "overlaps": overlaps(served),
        "unserved": messages - len(served),
    }


FAIRNESS = Figure(
    name="fairness",
    title="Order and exclusion",
    text=(
        f"Messages of one conversation arrive every {_EVERY * 1e3:g} ms, in {_PROCESSES} "
        f"processes by turns, and each takes {_HOLD * 1e3:g} ms. Overtaken is who was served "
        f"after one who had asked more than {_MARGIN * 1e3:g} ms later; not served is who still "
        f"waited after {_PATIENCE:g} times what all the work takes."
    ),
    measures=(
        Measure("overtaken", "turns overtaken", ""),
        Measure("overlaps", "overlaps", ""),
        Measure("unserved", "not served", ""),
    ),
    contenders=(OURS, REDIS_PY, REDIS_LOCK, COREDIS, GRELMICRO, NAIVE),
    measure=_measure,
)
