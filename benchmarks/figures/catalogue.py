"""All figures, in the order in which they are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.figures.cost import COST
from benchmarks.figures.fairness import FAIRNESS
from benchmarks.figures.files import files
from benchmarks.figures.growth import growth, growth_in_memory, growth_in_sqlite
from benchmarks.figures.handoff import HANDOFF
from benchmarks.figures.history import history
from benchmarks.figures.idle import IDLE
from benchmarks.figures.memory import MEMORY
from benchmarks.figures.observing import observing
from benchmarks.figures.throughput import throughput
from benchmarks.figures.uncontended import IN_MEMORY, UNCONTENDED
from benchmarks.figures.waiters import line, line_in_sqlite

if TYPE_CHECKING:
    from benchmarks.figures.base import Figure
    from benchmarks.plan import Plan


def all_figures(plan: Plan) -> tuple[Figure, ...]:
    """Return the figures in the sizes of a plan."""
    return (
        UNCONTENDED,
        throughput(plan),
        HANDOFF,
        FAIRNESS,
        COST,
        IDLE,
        MEMORY,
        IN_MEMORY,
        observing(plan),
        history(plan),
        line(plan),
        *files(plan),
        line_in_sqlite(plan),
        growth_in_sqlite(plan),
        # Last: they leave a million records behind, in the server and in a worker.
        growth(plan),
        growth_in_memory(plan),
    )


def is_of_files(figure: Figure) -> bool:
    """Return whether a figure is of stores on one machine, which need no server."""
    return figure.name.startswith("files-")
