"""What a figure is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

from benchmarks.registry import CONTENDERS, OURS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from benchmarks.crew import Crew, Gate
    from benchmarks.plan import Plan
    from benchmarks.server import Address, Probe

_T = TypeVar("_T")


class Measure(NamedTuple):
    """One column of numbers.

    Attributes:
        key: Its name in the code.
        title: What the tables call it.
        unit: Of its values.
        better: Which way is better.
    """

    key: str
    title: str
    unit: str
    better: Literal["less", "more"] = "less"


@dataclass(frozen=True)
class Bench:
    """What every measurement needs.

    Attributes:
        crew: The workers.
        address: Where contenders keep their state; empty whenever a measurement begins.
        probe: Asks the server.
        plan: The sizes.
        repeat: Which repeat it is.
    """

    crew: Crew
    address: Address
    probe: Probe
    plan: Plan
    repeat: int = 0

    def run(self, job: Callable[[Gate], Awaitable[_T]], workers: int = 1) -> list[_T]:
        """Run a job in some workers (see ``Crew.run``)."""
        return self.crew.run(job, workers=workers)


@dataclass(frozen=True)
class Figure:
    """Something to be measured.

    Attributes:
        name: For ``--only``.
        title: Its heading.
        text: How it is measured, in a sentence or two.
        measures: The numbers it gives.
        contenders: Who is measured, in turns; ours first.
        parts: What is measured one after the other, each with all contenders in turns.
        measure: Measures one contender in one part; gives values by the measure's key. What a
            contender can't give is left out.
        prepare: Called once before the first repeat.
        repeats: How many repeats, if not the plan's: for what does not vary.
        grows: The contenders are sizes of one thing; each is compared with the first.
        rows: What a contender is, if not one: the head of its column.
    """

    name: str
    title: str
    text: str
    measures: tuple[Measure, ...]
    contenders: tuple[str, ...]
    measure: Callable[[Bench, str, str], Mapping[str, float]]
    parts: tuple[str, ...] = ("",)
    prepare: Callable[[Bench], None] | None = None
    repeats: int | None = None
    grows: bool = False
    rows: str = ""

    @property
    def ours(self) -> str:
        """The contender that the others are compared with."""
        return self.contenders[0]


def missing(contender: str) -> str | None:
    """Return why a contender can't be measured here; None if it can."""
    known = CONTENDERS.get(contender)
    return None if known is None else known.missing()


__all__ = ["OURS", "Bench", "Figure", "Measure", "missing"]
