"""The time axis of a chart in a terminal: columns for moments, and idle times cut short."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_LONG = 0.05  # of all the time in which something happens: a longer idle time is cut


class Stretch(NamedTuple):
    """A time in which something happens, and the columns that it has.

    Attributes:
        begin: Unix time of its begin.
        end: Unix time of its end.
        column: Its first column.
        width: How many columns it has, at least one.
    """

    begin: float
    end: float
    column: int
    width: int


class TimeScale:
    """Turns moments into columns.

    Args:
        times: From when to when something happens, at least one, each begin before its end or at
            it. What is idle between them for long gets one column.
        columns: How many columns to use; it takes more if not every stretch has one else.

    Attributes:
        stretches: The times that are drawn to scale.
        columns: How many columns there are.
        gaps: The columns that stand for an idle time.
        seconds: How long all stretches are together.
    """

    def __init__(self, times: Iterable[tuple[float, float]], columns: int) -> None:
        busy = _joined(sorted(times), 0.0)
        whole = sum(end - begin for begin, end in busy)
        busy = _joined(busy, whole * _LONG)
        self.seconds = sum(end - begin for begin, end in busy)
        self.columns = max(columns, 2 * len(busy) - 1)
        self.stretches = _placed(busy, self.columns)
        self.gaps = [stretch.column - 1 for stretch in self.stretches[1:]]

    def column(self, moment: float) -> int:
        """Return the column in which a moment falls, that of a stretch nearby if none has it."""
        for stretch in self.stretches:
            if moment <= stretch.end:
                break
        length = max(stretch.end - stretch.begin, 1e-9)
        share = max(0.0, moment - stretch.begin) / length
        return stretch.column + min(stretch.width - 1, int(share * stretch.width))


def _placed(busy: Sequence[tuple[float, float]], columns: int) -> list[Stretch]:
    """Give each stretch one column, and share the others out by how long it lasts."""
    spare = columns - (2 * len(busy) - 1)
    lasting = sum(end - begin for begin, end in busy) > 0
    sums = [0.0, *accumulate(end - begin if lasting else 1.0 for begin, end in busy)]
    shares = [round(spare * each / sums[-1]) for each in sums]
    placed, column = [], 0
    for (begin, end), (before, after) in zip(busy, pairwise(shares), strict=True):
        width = 1 + after - before
        placed.append(Stretch(begin, end, column, width))
        column += width + 1
    return placed


def _joined(times: Sequence[tuple[float, float]], apart: float) -> list[tuple[float, float]]:
    """Return sorted times with those made one between which there is not more than so much."""
    joined: list[tuple[float, float]] = []
    for begin, end in times:
        if joined and begin - joined[-1][1] <= apart:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((begin, end))
    return joined
