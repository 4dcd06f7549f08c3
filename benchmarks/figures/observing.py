"""What it costs to be observed."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.drivers import AsyncDriver
from benchmarks.figures.base import Bench, Figure, Measure
from benchmarks.spread import percentile
from nowserving import LockStore, Observer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.crew import Gate
    from benchmarks.plan import Plan
    from benchmarks.server import Address
    from nowserving import TicketEvent

NOBODY = "nobody observes"
IDLE = "an observer that does nothing"
PROMETHEUS = "Prometheus"
OPENTELEMETRY = "OpenTelemetry's SDK"

ALONE, CROWD = "alone", "crowd"
_AT_ONCE = 100
_WARM_UP = 0.1  # seconds
_MICROSECONDS = 1e6
_SHARE = 0.3
"""A measurement is that part of others: the shorter it is, the nearer are those to be compared."""

_TIMES = 4
"""So many more of them are made."""


class _Idle(Observer):
    """Wants to be told of each event."""

    def asked(self, event: TicketEvent) -> None:
        """It is asked for."""

    def waiting(self, event: TicketEvent) -> None:
        """It waits."""

    def served(self, event: TicketEvent) -> None:
        """It is served."""

    def left(self, event: TicketEvent) -> None:
        """It is over."""


def _idle(store: LockStore) -> None:
    store.observe(_Idle())


def _prometheus(store: LockStore) -> None:
    from prometheus_client import CollectorRegistry  # noqa: PLC0415 - it may not be installed

    from nowserving.integrations import prometheus  # noqa: PLC0415

    prometheus.observe(store, registry=CollectorRegistry())


def _opentelemetry(store: LockStore) -> None:
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - it may not be installed

    from nowserving.integrations import opentelemetry  # noqa: PLC0415

    opentelemetry.observe(store, tracer_provider=TracerProvider())


_OBSERVED: Mapping[str, Callable[[LockStore], None]] = {
    NOBODY: lambda _: None,
    IDLE: _idle,
    PROMETHEUS: _prometheus,
    OPENTELEMETRY: _opentelemetry,
}


async def _alone(contender: str, address: Address, count: int, _gate: Gate) -> float:
    async with LockStore.create(address.url) as store:
        _OBSERVED[contender](store)
        driver = AsyncDriver(store.lock)
        names = [f"conversation-{i % 100}" for i in range(count)]
        await driver.cycles(names[:50])
        return percentile(await driver.cycles(names), 50)


async def _crowd(contender: str, address: Address, seconds: float, _gate: Gate) -> float:
    async with LockStore.create(address.url) as store:
        _OBSERVED[contender](store)
        driver = AsyncDriver(store.lock)
        names = [f"conversation-{i}" for i in range(_AT_ONCE)]
        await driver.crowd(names, time.monotonic() + _WARM_UP)
        began = time.monotonic()
        count = await driver.crowd(names, began + seconds)
        return (time.monotonic() - began) / count


def _measure(bench: Bench, contender: str, part: str) -> dict[str, float]:
    address, plan = bench.address, bench.plan
    if part == ALONE:
        job = partial(_alone, contender, address, int(plan.cycles * _SHARE))
    else:
        job = partial(_crowd, contender, address, plan.crowd_seconds * _SHARE)
    (found,) = bench.run(job)
    return {part: found * _MICROSECONDS}


def observing(plan: Plan) -> Figure:
    """Return the figure for the sizes of a plan."""
    return Figure(
        name="observing",
        title="What it costs to be observed",
        text=(
            "The same store, observed by nobody and by one each; short measurements in turns, so "
            "that those that are compared are near each other. OpenTelemetry records every span, "
            "and exports none."
        ),
        measures=(
            Measure(ALONE, "uncontended cycle p50", "µs"),
            Measure(CROWD, f"{_AT_ONCE} at once", "µs a cycle"),
        ),
        contenders=tuple(_OBSERVED),
        parts=(ALONE, CROWD),
        measure=_measure,
        repeats=plan.repeats * _TIMES,
        grows=True,
        rows="observed by",
    )
