"""Figures for Prometheus: how long turns wait and are held, how they end, and whether all is well.

One line, once a process and store::

    from nowserving.integrations import prometheus

    prometheus.observe(store)

No metric names a conversation: a label with a value for each of them would grow without bound. In
prometheus_client's multi-process mode the figures of all processes are added up.
"""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING

try:
    from prometheus_client import REGISTRY
except ImportError as error:
    raise ImportError(
        "nowserving.integrations.prometheus needs prometheus_client: "
        f"pip install 'nowserving[prometheus]'. What failed: {error}",
        name=error.name,
    ) from error

from nowserving.integrations._checks import check
from nowserving.integrations.prometheus.collector import TallyCollector, collector_of
from nowserving.integrations.prometheus.multiprocess import is_multiprocess
from nowserving.integrations.prometheus.probe import Probe
from nowserving.integrations.prometheus.writing import SharedFiles, files

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from nowserving import LockStore

__all__ = ["Exporter", "observe"]


class Exporter:
    """Tells Prometheus the figures of a store, until it is stopped. :func:`observe` makes it.

    Attributes:
        name: What the store is called there: the value of the label ``store``.
    """

    def __init__(self, store: LockStore, name: str, outlet: TallyCollector | SharedFiles) -> None:
        self.name = name
        self._store = weakref.ref(store)
        self._outlet = outlet
        tally = outlet.add(name)
        tally.when_down = Probe(store, tally.is_down).begin
        self._observation = store.observe(tally)

    def stop(self) -> None:
        """Tell no more: the metrics of this store are gone. Does nothing the second time.

        In multi-process mode what was counted stays, as it does when a process ends. Turns under
        way are not followed any further.
        """
        with _changing:
            self._stop()

    def _stop(self) -> None:
        if self in _exporters:
            _exporters.remove(self)
            self._observation.stop()
            self._outlet.remove(self.name)

    def _make_way(self, store: LockStore, name: str, outlet: TallyCollector | SharedFiles) -> None:
        """Raise if a store can't be observed beside this one; stop if nobody has this one."""
        ours = self._store()
        if self._outlet is not outlet:
            return
        if ours is store:
            raise ValueError(
                f"this store is already observed for Prometheus, as {self.name!r}: its turns would "
                "be counted twice; stop() that first"
            )
        if self.name == name and ours is not None:
            raise ValueError(
                f"another store is already called {name!r} for Prometheus: give this one a name of "
                "its own, observe(store, 'a name')"
            )
        if ours is None:
            self._stop()


_exporters: list[Exporter] = []
_changing = threading.Lock()


def observe(
    store: LockStore, name: str = "default", *, registry: CollectorRegistry | None = None
) -> Exporter:
    """Tell Prometheus how the turns of a store go, from now on.

    Args:
        store: The store, of any kind.
        name: What it is called in the label ``store``. Stores of one program need different ones;
            a few that stay the same, not one a user.
        registry: Where the metrics are registered, prometheus_client's own by default. In its
            multi-process mode there is none: whoever is scraped reads the files of all processes.

    Returns:
        What :meth:`Exporter.stop` is called on, if ever.

    Raises:
        TypeError: That is no store, or the name is no string.
        ValueError: It is empty, or taken; the store is already observed for this registry; or
            ``PROMETHEUS_MULTIPROC_DIR`` is no folder.
    """
    check(store, name)
    with _changing:
        outlet = files() if is_multiprocess() else collector_of(registry or REGISTRY)
        for other in tuple(_exporters):
            other._make_way(store, name, outlet)  # noqa: SLF001 - it is made only here
        exporter = Exporter(store, name, outlet)
        _exporters.append(exporter)
    return exporter
