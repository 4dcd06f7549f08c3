"""Stores whose turns are written down while programs run: the law of turn events from outside.

A program makes its store by :func:`create`. What it was told stands in a file that outlives it, a
line an event; each of its processes writes there, and Prometheus's files stand beside it.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from nowserving import AllEvents, LockStore
from nowserving.testing.turn_log import AFTER, ENDS

if TYPE_CHECKING:
    from nowserving import TicketEvent

VARIABLE = "WATCHED_IN"
"""Names the folder; unset, nobody watches."""

METRICS_PORT = "METRICS_PORT"
HOST = "127.0.0.1"
_WITH_PROMETHEUS = "PROMETHEUS_MULTIPROC_DIR"


def create(url: str) -> LockStore:
    """Return the store of a URL, watched if that is wanted."""
    store = LockStore.create(url)
    folder = os.environ.get(VARIABLE)
    if folder is not None:
        store.observe(_Ledger(Path(folder)))
    if _WITH_PROMETHEUS in os.environ:
        from nowserving.integrations import prometheus  # noqa: PLC0415 - it reads the variable

        prometheus.observe(store)
    return store


def serve_figures() -> None:
    """Be scraped at ``METRICS_PORT``, if there is one, for all processes."""
    port = os.environ.get(METRICS_PORT)
    if port is not None:
        from prometheus_client import CollectorRegistry, start_http_server  # noqa: PLC0415
        from prometheus_client.multiprocess import MultiProcessCollector  # noqa: PLC0415

        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        start_http_server(int(port), HOST, registry)


class _Ledger(AllEvents):
    """Writes each event down in one step: the order of the lines is that of the events."""

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / "ledger", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def told(self, kind: str, event: TicketEvent) -> None:
        line = f"{os.getpid()} {event.turn} {kind} {event.outcome or '-'}\n"
        os.write(self._file, line.encode())


class Watched:
    """What was written down in a folder.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def variables(self) -> dict[str, str]:
        """Return the environment variables by which a program is watched."""
        figures = self.folder / "figures"
        figures.mkdir(exist_ok=True)
        (self.folder / "ledger").touch()
        return {VARIABLE: str(self.folder), _WITH_PROMETHEUS: str(figures)}

    def turns(self) -> dict[tuple[str, str], list[tuple[str, str]]]:
        """Return the events of each turn: their kinds and outcomes."""
        found = defaultdict(list)
        for line in (self.folder / "ledger").read_text().splitlines():
            process, turn, kind, outcome = line.split()
            found[process, turn].append((kind, outcome))
        return found

    def outcomes(self) -> Counter[str]:
        """Return how many turns ended, by how.

        Raises:
            AssertionError: One was told in an order that can't be, or no end.
        """
        ends: Counter[str] = Counter()
        for turn, events in self.turns().items():
            kinds = [kind for kind, _ in events]
            for before, kind in zip(["", *kinds], kinds, strict=False):
                assert kind in AFTER.get(before, ()), (turn, kinds)
            assert kinds[-1] in ENDS, (turn, kinds)
            kind, outcome = events[-1]
            ends[kind if outcome == "-" else outcome] += 1
        return ends

    def figures(self) -> Counter[str]:
        """Return what Prometheus is told: the same, and how many wait and hold if anybody does."""
        from prometheus_client import CollectorRegistry  # noqa: PLC0415 - not for the programs
        from prometheus_client.multiprocess import MultiProcessCollector  # noqa: PLC0415

        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(self.folder / "figures"))  # type: ignore[no-untyped-call]
        found: Counter[str] = Counter()
        for family in registry.collect():
            for sample in family.samples:
                if sample.name == "nowserving_turns_total":
                    found[sample.labels["outcome"]] += int(sample.value)
                elif sample.name == "nowserving_refused_total":
                    found["refused"] += int(sample.value)
                elif sample.name in {"nowserving_waiting", "nowserving_held"}:
                    found[sample.name] += int(sample.value)
        return +found
