"""What was measured."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from benchmarks.spread import Spread, ratios


@dataclass
class Results:
    """All values of a run, repeat by repeat.

    Attributes:
        values: By figure, measure and contender.
        failures: Why a contender has no value in a figure, by figure and contender.
    """

    values: defaultdict[tuple[str, str, str], list[float]] = field(
        default_factory=lambda: defaultdict(list)
    )
    failures: dict[tuple[str, str], str] = field(default_factory=dict)

    def spread(self, figure: str, measure: str, contender: str) -> Spread | None:
        """Return how far a contender's values reach; None without any."""
        return Spread.of(self.values.get((figure, measure, contender), ()))

    def ratio(self, figure: str, measure: str, ours: str, theirs: str) -> Spread | None:
        """Return how far ours as a multiple of theirs reaches; None if either is missing."""
        mine = self.values.get((figure, measure, ours), [])
        other = self.values.get((figure, measure, theirs), [])
        return Spread.of(ratios(mine, other))
