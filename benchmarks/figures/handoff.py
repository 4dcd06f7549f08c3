"""How long a conversation stands idle between one holder and the next."""

from __future__ import annotations

from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from benchmarks.figures.base import Bench, Figure, Measure
from benchmarks.floors import datagram, publish
from benchmarks.registry import (
    CONTENDERS,
    COREDIS,
    GRELMICRO,
    NAIVE,
    OURS,
    REDIS_LOCK,
    REDIS_PY,
)
from benchmarks.spread import percentile
from benchmarks.stay import Stay, hand_offs, in_order

if TYPE_CHECKING:
    from benchmarks.crew import Gate
    from benchmarks.server import Address

PUBLISH = "floor: publish to subscriber, redis-py"
BARE_PUBLISH = "floor: publish to subscriber, bare"
DATAGRAM = "floor: a datagram"
_FLOORS = {
    PUBLISH: publish.latencies,
    BARE_PUBLISH: publish.bare_latencies,
    DATAGRAM: datagram.latencies,
}

_MILLISECONDS = 1e3
_HOLD, _REST = 0.004, 0.001  # seconds


async def _alternate(contender: str, address: Address, seconds: float, gate: Gate) -> list[Stay]:
    async with CONTENDERS[contender].opened(address) as driver:
        await driver.cycles([f"warm-{gate.index}-{i}" for i in range(20)])
        start = gate.wait()
        stays = await driver.alternate("shared", _HOLD, _REST, start + seconds)
        return [stay._replace(process=gate.index) for stay in stays]


def _measure(bench: Bench, contender: str, _part: str) -> dict[str, float]:
    seconds = bench.plan.line_seconds
    if contender in _FLOORS:
        job = partial(_FLOORS[contender], bench.address, _HOLD, seconds)
        took = list(chain(*bench.run(job, workers=2)))
    else:
        found = bench.run(partial(_alternate, contender, bench.address, seconds), workers=2)
        took = list(hand_offs(in_order(chain(*found))))
    if not took:
        return {"seen": 0}
    return {
        "p50": percentile(took, 50) * _MILLISECONDS,
        "p99": percentile(took, 99) * _MILLISECONDS,
        "seen": len(took),
    }


HANDOFF = Figure(
    name="hand-off",
    title="Hand-off across processes",
    text=(
        f"Two processes share one conversation; each holds it {_HOLD * 1e3:g} ms, rests "
        f"{_REST * 1e3:g} ms and asks again, so that one of them always waits. From the begin of "
        "the holder's leave to the begin of the next body in the other process, on the clock "
        "that both share."
    ),
    measures=(
        Measure("p50", "hand-off p50", "ms"),
        Measure("p99", "hand-off p99", "ms"),
        Measure("seen", "hand-offs seen", "", "more"),
    ),
    contenders=(
        OURS,
        REDIS_PY,
        REDIS_LOCK,
        COREDIS,
        GRELMICRO,
        NAIVE,
        PUBLISH,
        BARE_PUBLISH,
    ),
    measure=_measure,
)
