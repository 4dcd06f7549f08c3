"""The figures of many processes: prometheus_client's multi-process mode.

Each process has files in ``PROMETHEUS_MULTIPROC_DIR``, and whoever is scraped adds all of them up.
Writing there costs a microsecond a value, and what is written grows stale by itself: how long the
oldest has waited. So a thread writes what has changed, a few times a second. It ends when nothing
happens any more, and the next turn starts another. What is left is written at the very end of the
process (``writing.py``).
"""

from __future__ import annotations

import contextlib
import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram, values
from prometheus_client.multiprocess import mark_process_dead

from nowserving.integrations.prometheus import figures as told

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_VARIABLES = ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir")
_STORE = ("store",)


def is_multiprocess() -> bool:
    """Return whether prometheus_client is in this mode; it decides when it is first imported."""
    return values.ValueClass is not values.MutexValue


def folder() -> Path:
    """Return where the files are.

    Raises:
        ValueError: There is no such folder.
    """
    named = next(filter(None, map(os.environ.get, _VARIABLES)), "")
    if not Path(named).is_dir():
        raise ValueError(
            f"PROMETHEUS_MULTIPROC_DIR is {named!r}, which is no folder: make it, empty, before "
            "the first worker starts, or unset the variable for a single process"
        )
    return Path(named)


class _Total(Histogram):
    """A histogram to which many values are added at once."""

    def add(self, before: told.Buckets, now: told.Buckets) -> None:
        """Add what has come between two moments."""
        for bucket, old, new in zip(self._buckets, before.counts, now.counts, strict=True):
            if new != old:
                bucket.inc(new - old)
        if now.total != before.total:
            self._sum.inc(now.total - before.total)


class _Metrics:
    """The metrics of this process. Made at the first write: see :class:`Page`."""

    def __init__(self) -> None:
        self.waits = _histogram(told.WAIT, told.SECONDS)
        self.holds = _histogram(told.HOLD, told.SECONDS)
        self.handoffs = _histogram(told.HANDOFF, told.HANDOFF_SECONDS)
        self.turns = Counter(*told.TURNS, (*_STORE, "outcome"), registry=None)
        self.refused = Counter(*told.REFUSED, (*_STORE, "reason"), registry=None)
        self.lost = Counter(*told.LOST, _STORE, registry=None)
        self.waiting = Gauge(*told.WAITING, _STORE, registry=None, multiprocess_mode="livesum")
        self.held = Gauge(*told.HELD, _STORE, registry=None, multiprocess_mode="livesum")
        self.oldest_wait = Gauge(
            *told.OLDEST_WAIT, _STORE, registry=None, multiprocess_mode="livemax"
        )
        self.store_up = Gauge(*told.STORE_UP, _STORE, registry=None, multiprocess_mode="livemin")


def _histogram(metric: told.Metric, bounds: Sequence[float]) -> _Total:
    return _Total(*metric, _STORE, registry=None, buckets=bounds)


_metrics = functools.cache(_Metrics)


class Page:
    """What stands in the files for one store.

    It is made when the first turn of this process is told of. A server that only forks its workers
    then has none, and they inherit none: prometheus_client would begin it at zero for each of them,
    which reads as a store that is down.
    """

    def __init__(self, store: str) -> None:
        metrics = _metrics()
        self._waits = metrics.waits.labels(store)
        self._holds = metrics.holds.labels(store)
        self._handoffs = metrics.handoffs.labels(store)
        self._turns = {each: metrics.turns.labels(store, each) for each in told.OUTCOMES}
        self._refused = {each: metrics.refused.labels(store, each) for each in told.REASONS}
        self._lost = metrics.lost.labels(store)
        self._waiting = metrics.waiting.labels(store)
        self._held = metrics.held.labels(store)
        self._oldest_wait = metrics.oldest_wait.labels(store)
        self._store_up = metrics.store_up.labels(store)

    def write(self, before: told.Figures, now: told.Figures) -> None:
        """Add what has been counted between two moments, and put the rest down as it is now."""
        self._store_up.set(now.up)  # first: in a forked child it may stand at zero
        self._waiting.set(now.waiting)
        self._held.set(now.held)
        self._oldest_wait.set(now.oldest_wait)
        self._waits.add(before.waits, now.waits)
        self._holds.add(before.holds, now.holds)
        self._handoffs.add(before.handoffs, now.handoffs)
        _raise_by(self._turns, before.outcomes, now.outcomes)
        _raise_by(self._refused, before.reasons, now.reasons)
        if now.lost != before.lost:
            self._lost.inc(now.lost - before.lost)


def _raise_by(
    counters: Mapping[str, Counter], before: Mapping[str, int], now: Mapping[str, int]
) -> None:
    for each, counter in counters.items():
        if now[each] != before[each]:
            counter.inc(now[each] - before[each])


def forget_the_dead(where: Path) -> None:
    """Remove the gauges of processes that ended without a word: nobody waits there any more.

    prometheus_client leaves that to whoever starts the workers, and few can tell it. It is done
    only where files are named after process ids, as they are unless somebody has changed that.
    """
    ours = os.getpid()
    gauges = {_process_of(path) for path in where.glob("gauge_live*_*.db")}
    if ours in gauges:
        for process in gauges - {ours, None}:
            if process is not None and not _is_alive(process):
                with contextlib.suppress(FileNotFoundError):  # another worker does so as well
                    mark_process_dead(process, str(where))  # type: ignore[no-untyped-call]


def _process_of(path: Path) -> int | None:
    last = path.stem.rpartition("_")[2]
    return int(last) if last.isdecimal() else None


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is somebody else's
        return True
    return True
