"""From many numbers to the few that are told."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Spread(NamedTuple):
    """The middle of some values and how far they reach.

    Attributes:
        low: The smallest.
        median: The middle one.
        high: The largest.
    """

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread | None:
        """Return the spread of the values that are numbers; None if there is none."""
        known = [value for value in values if not math.isnan(value)]
        if not known:
            return None
        return cls(min(known), statistics.median(known), max(known))


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Return ours as a multiple of theirs, repeat by repeat: what ran side by side is compared."""
    return [a / b if b else math.nan for a, b in zip(ours, theirs, strict=False)]


def percentile(values: Iterable[float], percent: float) -> float:
    """Return the smallest value that ``percent`` of 100 do not exceed; NaN if there are none."""
    ranked = sorted(values)
    if not ranked:
        return math.nan
    return ranked[max(0, math.ceil(len(ranked) * percent / 100) - 1)]
