"""The figures of many processes: prometheus_client's multi-process mode.

Each process has files in ``PROMETHEUS_MULTIPROC_DIR``, and whoever is scraped adds all of them up.
Writing there costs a microsecond a value, and what is written grows stale by itself: how long the
oldest has waited. So a thread writes what has changed, a few times a second. It ends when nothing
happens any more, and the next turn starts another. What is left is written at the very end of the
process.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import itertools
import logging
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client import Counter, Gauge, Histogram, values
from prometheus_client.multiprocess import mark_process_dead

from nowserving._host.forks import on_fork, pause_for_forks
from nowserving.integrations.prometheus import figures as told
from nowserving.integrations.prometheus.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

logger = logging.getLogger("nowserving.prometheus")

_EVERY = 0.2
"""Seconds between two writes, and how old what is scraped may be."""

_SWEPT_EVERY = 25
"""Writes between two looks for processes that are gone: 5 seconds."""

_FORK_WAITS = 1.0
"""Seconds for which a fork waits for a write, which takes far less than a millisecond."""

_FINALISERS = ("multiprocessing.util", "billiard.util")
"""Where processes end without ``atexit``."""

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
    """The metrics of this process. Made at the first write: see :class:`_Page`."""

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


class _Page:
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


class _Book:
    """One store: what is counted in this process, and how much of that is written."""

    def __init__(self, store: str, tally: Tally) -> None:
        self.tally = tally
        self.page: _Page | None = None
        self._store = store
        self._written: told.Figures | None = None

    def write(self, *, is_last: bool) -> bool:
        """Write what has changed; return whether anything had."""
        now = self.tally.figures()
        if is_last:
            now = now.at_rest()
        if now == self._written or (self.page is None and now == told.NOTHING):
            return False
        if self.page is None:
            self.page = _Page(self._store)
        self.page.write(self._written or told.NOTHING, now)
        self._written = now
        return True

    def forked(self) -> None:
        """Know that nothing is written for this process yet."""
        self._written = None


class SharedFiles:
    """Writes the figures of all observed stores of this process to its files."""

    def __init__(self) -> None:
        self._books: dict[str, _Book] = {}
        self._is_over = False
        self._ends_in = -1  # the process whose end is known to come here
        self._begin()
        pause_for_forks(self)
        on_fork(self)
        atexit.register(self._end)  # now: what gives tickets back at the end may come later

    def _begin(self) -> None:
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._writing = threading.Lock()

    def add(self, store: str) -> Tally:
        """Return something that counts; its figures are written under this name of the store.

        Raises:
            ValueError: There is no folder to write to.
        """
        folder()
        tally = Tally(self)
        self._books[store] = _Book(store, tally)
        return tally

    def remove(self, store: str) -> None:
        """Write the figures of a store once more, as of a process that has ended, and no more."""
        with self._writing:
            book = self._books.pop(store, None)
            if book is not None:
                book.write(is_last=True)

    def wake(self) -> None:
        """Have written what is put down from now on; on the thread of a turn."""
        self._know_of_the_end()
        if self._is_over:
            self._write()
        else:
            self._start()

    def _know_of_the_end(self) -> None:
        # Not in a fork's own hook: a child of multiprocessing forgets right behind it what it has
        # inherited.
        if self._ends_in != os.getpid():
            self._ends_in = os.getpid()
            for name in _FINALISERS:
                util: Any = sys.modules.get(name)
                if util is not None:  # behind the tickets that are given back, whose is 0
                    util.Finalize(None, self._end, exitpriority=-1)

    def _start(self) -> None:
        if self._starting.acquire(blocking=False):
            # Whoever does not get it is no loss: what he has put down is written by the thread that
            # is started here, or by one that is about to end, which looks once more.
            try:
                if self._thread is None:
                    self._start_thread()
            finally:
                self._starting.release()

    def _start_thread(self) -> None:
        self._thread = threading.Thread(target=self._run, name="nowserving-prometheus", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # none can be started: too many, or the interpreter is about to end
            self._thread = None
            self._write()

    def _run(self) -> None:
        for writes in itertools.count():
            time.sleep(_EVERY)
            try:
                is_busy = self._write()
                if writes % _SWEPT_EVERY == 0:
                    forget_the_dead(folder())
            except Exception:
                logger.exception("The figures for Prometheus could not be written")
                break
            if not is_busy:
                break
        # Whoever puts something down from here on either has it written below or finds that the
        # tally rests, and starts another thread.
        self._thread = None
        for book in list(self._books.values()):
            book.tally.rest()
        with contextlib.suppress(Exception):  # which was told above
            self._write()

    def write_in_passing(self) -> None:
        """Write, unless somebody does so already; on the thread of a turn."""
        if self._writing.acquire(blocking=False):
            try:
                self._write_all()
            finally:
                self._writing.release()

    def _write(self) -> bool:
        with self._writing:
            return self._write_all()

    def _write_all(self) -> bool:
        changed = [book.write(is_last=self._is_over) for book in list(self._books.values())]
        return any(changed)

    def _end(self) -> None:
        self._is_over = True
        for book in list(self._books.values()):
            book.tally.rest()
        with contextlib.suppress(Exception):  # nobody reads it any more
            self._write()

    # Forks. A child inherits every lock as it is, and no thread that would release it: neither
    # ours nor the one of prometheus_client, which is held only within a write.

    def before_fork(self) -> bool:
        """Come to rest: no write is under way until :meth:`after_fork`."""
        return self._writing.acquire(timeout=_FORK_WAITS)

    def after_fork(self) -> None:
        """Go on in the parent."""
        self._writing.release()

    def forked(self) -> None:
        """Begin anew in a child."""
        self._begin()
        for book in list(self._books.values()):
            book.forked()
            if book.page is not None:  # it would stand at zero as soon as the child counts anything
                self._start()


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


files = functools.cache(SharedFiles)
"""Return what writes for this process."""
