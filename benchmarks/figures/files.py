"""The same figures without a server: our SQLite store and locks of files, on one machine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks.figures.handoff import DATAGRAM, HANDOFF
from benchmarks.figures.throughput import throughput
from benchmarks.figures.uncontended import UNCONTENDED
from benchmarks.registry import (
    DISKCACHE,
    FASTENERS,
    FILELOCK,
    FILELOCK_ASYNC,
    PORTALOCKER,
    SQLITE,
    SQLITE_THREADS,
    TRANSACTIONS,
)

if TYPE_CHECKING:
    from benchmarks.figures.base import Figure
    from benchmarks.plan import Plan

_CONTENDERS = (
    SQLITE,
    SQLITE_THREADS,
    FILELOCK,
    FILELOCK_ASYNC,
    FASTENERS,
    PORTALOCKER,
    DISKCACHE,
)

_CROWDS = ("1x100", "2x100", "4x100")


def files(plan: Plan) -> tuple[Figure, ...]:
    """Return the figures for the sizes of a plan."""
    crowds = throughput(plan)
    return (
        replace(
            UNCONTENDED,
            name="files-uncontended",
            title="Uncontended cycle without a server",
            contenders=(*_CONTENDERS, TRANSACTIONS),
        ),
        replace(
            crowds,
            name="files-throughput",
            title="Cycles a second without a server",
            contenders=_CONTENDERS,
            parts=_CROWDS,
            measures=tuple(each for each in crowds.measures if each.key in _CROWDS),
        ),
        replace(
            HANDOFF,
            name="files-hand-off",
            title="Hand-off across processes without a server",
            contenders=(*_CONTENDERS, DATAGRAM),
        ),
    )
