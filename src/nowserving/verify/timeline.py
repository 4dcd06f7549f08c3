"""The timeline of a conversation as SVG: a bar a turn, coloured by worker, violations in red.

Each turn of a conversation gets the topmost row that is free when its message comes: a thin line
while it waits, a bar while it works. Under a lock the bars climb down like stairs and never stand
above one another; without one they do, and what is done at the same time is red.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from nowserving.verify.rows import milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from nowserving.verify.check import Findings
    from nowserving.verify.turns import Worked

COLOURS = 8
"""How many worker colours the page has; more workers share them."""

_NANOSECONDS = 1_000_000_000
_ROW = 9.0  # pixels
_TALLEST = 240.0  # pixels of one conversation, however long its line
_BAR_SHARE = 0.78  # of a row's height
_CLASH_SHARE = 0.7  # of a bar's height: above it, the worker's colour stays to be seen
_NARROWEST_BAR = 1.5  # pixels
_PADDING = 4.0  # pixels


@dataclass(frozen=True)
class Scale:
    """Turns moments into pixels.

    Attributes:
        origin: The moment at the left edge, in nanoseconds.
        pixels: Pixels of one second.
        seconds: How many seconds are shown.
    """

    origin: int
    pixels: float
    seconds: float

    @property
    def width(self) -> float:
        """Pixels of the whole."""
        return self.seconds * self.pixels

    def x(self, moment: int) -> float:
        """Return the pixels from the left edge to a moment."""
        return (moment - self.origin) / _NANOSECONDS * self.pixels

    def since(self, moment: int) -> str:
        """Return a moment in words."""
        return f"{(moment - self.origin) / _NANOSECONDS:.3f} s"


def draw(turns: Sequence[Worked], lost: Iterable[int], findings: Findings, scale: Scale) -> str:
    """Draw one conversation.

    Args:
        turns: Its turns, in the order in which they began.
        lost: The moments at which its lost messages came.
        findings: What was violated in the run.
        scale: The timeline's.
    """
    placed = list(_rows(turns))
    count = 1 + max((row for _, row in placed), default=0)
    height = min(_ROW, _TALLEST / count)
    shapes = [_turn(turn, _PADDING + row * height, height, findings, scale) for turn, row in placed]
    shapes += _clashes(placed, height, scale)
    shapes += [_cross(scale.x(moment), scale.since(moment)) for moment in lost]
    total = count * height + 2 * _PADDING
    return (
        f'<svg width="{scale.width:.0f}" height="{total:.0f}" role="img" '
        f'aria-label="{len(turns)} turns">{"".join(shapes)}</svg>'
    )


def _rows(turns: Iterable[Worked]) -> Iterator[tuple[Worked, int]]:
    """Yield each turn with the topmost row that is free when its message comes."""
    free_from: list[int] = []
    for turn in sorted(turns, key=lambda turn: turn.arrival):
        free = (row for row, moment in enumerate(free_from) if moment <= turn.fired)
        row = next(free, len(free_from))
        free_from[row : row + 1] = [turn.left]
        yield turn, row


def _turn(turn: Worked, top: float, height: float, findings: Findings, scale: Scale) -> str:
    bar = height * _BAR_SHARE
    came, began, ended = (scale.x(moment) for moment in (turn.fired, turn.entered, turn.left))
    wrong = _wrongs(turn, findings)
    kind = f"w{turn.record.worker % COLOURS}" + (" wrong" if wrong else "")
    return (
        f'<g class="turn {kind}"><title>{escape(_details(turn, wrong, scale))}</title>'
        f"{_rect('wait', came, top + bar / 2 - 0.5, began - came, 1)}"
        f"{_rect('bar', began, top, max(_NARROWEST_BAR, ended - began), bar)}</g>"
    )


def _clashes(placed: Sequence[tuple[Worked, int]], height: float, scale: Scale) -> Iterator[str]:
    """Yield a red bar over each part of a turn in which an earlier one was still at work."""
    busy_until = 0
    for turn, row in sorted(placed, key=lambda item: (item[0].entered, item[0].arrival)):
        if turn.entered < busy_until:
            until = scale.x(min(busy_until, turn.left))
            began = scale.x(turn.entered)
            width = max(_NARROWEST_BAR, until - began)
            red = height * _BAR_SHARE * _CLASH_SHARE
            top = _PADDING + row * height + height * _BAR_SHARE - red
            yield _rect("clash", began, top, width, red)
        busy_until = max(busy_until, turn.left)


def _wrongs(turn: Worked, findings: Findings) -> list[str]:
    index = turn.record.index
    wrongs = {
        "overlaps an earlier turn": index in findings.overlaps,
        "out of order": index in findings.out_of_order,
        f"failed: {turn.record.error}": index in findings.lost,
    }
    return [wrong for wrong, found in wrongs.items() if found]


def _details(turn: Worked, wrongs: list[str], scale: Scale) -> str:
    record = turn.record
    ticket = () if record.token is None else (f"ticket {record.number}, token {record.token}",)
    lines = (
        f"message {record.index} on worker {record.worker}",
        *ticket,
        f"came at {scale.since(turn.fired)}",
        f"waited {milliseconds((turn.entered - turn.fired) / _NANOSECONDS)}",
        f"worked {milliseconds((turn.left - turn.entered) / _NANOSECONDS)}",
        *(wrong.upper() for wrong in wrongs),
    )
    return "\n".join(lines)


def _rect(kind: str, x: float, y: float, width: float, height: float) -> str:
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" '
        f'width="{max(0.0, width):.1f}" height="{height:.1f}"/>'
    )


def _cross(x: float, when: str) -> str:
    return (
        f'<g class="turn"><title>lost: came at {when}</title>'
        f'<path class="lost" d="M{x - 4:.1f} 4l8 8m0-8l-8 8"/></g>'
    )
