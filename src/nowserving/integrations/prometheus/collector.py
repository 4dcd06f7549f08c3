"""The figures of one process, handed to prometheus_client when it is asked for them."""

from __future__ import annotations

import itertools
import weakref
from typing import TYPE_CHECKING

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)

from nowserving.integrations.prometheus import figures as told
from nowserving.integrations.prometheus.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

_STORE = ("store",)


class TallyCollector:
    """Tells a registry the figures of all stores that are observed for it."""

    def __init__(self) -> None:
        self._tallies: dict[str, Tally] = {}

    def add(self, store: str) -> Tally:
        """Return something that counts; its figures are told under this name of the store."""
        self._tallies[store] = tally = Tally()
        return tally

    def remove(self, store: str) -> None:
        """Tell them no more."""
        self._tallies.pop(store, None)

    def describe(self) -> Iterable[Metric]:
        """Return the metrics without values: a registry wants to know their names."""
        return _Families().all()

    def collect(self) -> Iterable[Metric]:
        """Return the metrics as they are now."""
        families = _Families()
        for store, tally in list(self._tallies.items()):
            families.put_in(store, tally.figures())
        return families.all()


class _Families:
    """The metrics of one scrape."""

    def __init__(self) -> None:
        self._waits = _histogram(told.WAIT)
        self._holds = _histogram(told.HOLD)
        self._handoffs = _histogram(told.HANDOFF)
        self._turns = _counter(told.TURNS, "outcome")
        self._refused = _counter(told.REFUSED, "reason")
        self._lost = _counter(told.LOST)
        self._waiting = _gauge(told.WAITING)
        self._held = _gauge(told.HELD)
        self._oldest_wait = _gauge(told.OLDEST_WAIT)
        self._store_up = _gauge(told.STORE_UP)

    def put_in(self, store: str, now: told.Figures) -> None:
        """Add the figures of a store."""
        labels = (store,)
        _add(self._waits, labels, told.SECONDS, now.waits)
        _add(self._holds, labels, told.SECONDS, now.holds)
        _add(self._handoffs, labels, told.HANDOFF_SECONDS, now.handoffs)
        for outcome, count in now.outcomes.items():
            self._turns.add_metric((store, outcome), count)
        for reason, count in now.reasons.items():
            self._refused.add_metric((store, reason), count)
        self._lost.add_metric(labels, now.lost)
        self._waiting.add_metric(labels, now.waiting)
        self._held.add_metric(labels, now.held)
        self._oldest_wait.add_metric(labels, now.oldest_wait)
        self._store_up.add_metric(labels, now.up)

    def all(self) -> list[Metric]:
        """Return them in the order in which they are told."""
        return list(vars(self).values())


def _histogram(metric: told.Metric) -> HistogramMetricFamily:
    return HistogramMetricFamily(*metric, labels=_STORE)


def _counter(metric: told.Metric, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(*metric, labels=(*_STORE, *labels))


def _gauge(metric: told.Metric) -> GaugeMetricFamily:
    return GaugeMetricFamily(*metric, labels=_STORE)


def _add(
    family: HistogramMetricFamily,
    labels: Sequence[str],
    bounds: Sequence[float],
    buckets: told.Buckets,
) -> None:
    names = [*map(str, bounds), "+Inf"]
    up_to = itertools.accumulate(buckets.counts)
    family.add_metric(labels, list(zip(names, up_to, strict=True)), buckets.total)


_collectors: weakref.WeakKeyDictionary[CollectorRegistry, TallyCollector] = (
    weakref.WeakKeyDictionary()
)


def collector_of(registry: CollectorRegistry) -> TallyCollector:
    """Return the one collector of a registry, which is registered there.

    Raises:
        ValueError: Somebody else has registered metrics under these names.
    """
    collector = _collectors.get(registry)
    if collector is None:
        collector = TallyCollector()
        registry.register(collector)
        _collectors[registry] = collector
    return collector
