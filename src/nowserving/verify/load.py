"""How many messages worked and waited over the time of a run, as a small chart."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nowserving.verify.timeline import Scale
    from nowserving.verify.turns import Worked

_POINTS = 270
_WIDTH, _HEIGHT = 1_080.0, 110.0  # pixels; the page stretches the width
_TOP = 6.0  # pixels above the peak


def draw_load(turns: Sequence[Worked], scale: Scale) -> str:
    """Draw the load as two areas on one another: working below, waiting above.

    Args:
        turns: Those of all conversations.
        scale: The timeline's, for its start and its length.
    """
    working = _levels([(turn.entered, turn.left) for turn in turns], scale)
    waiting = _levels([(turn.fired, turn.entered) for turn in turns], scale)
    both = [below + above for below, above in zip(working, waiting, strict=True)]
    peak = max(1, *both)
    label = f"At most {max(working)} messages worked and {max(waiting)} waited at a time."
    return (
        f'<figure><svg viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" preserveAspectRatio="none" '
        f'role="img" aria-label="{label}">'
        f'<path class="waiting" d="{_area(both, peak)}"/>'
        f'<path class="working" d="{_area(working, peak)}"/></svg>'
        f"<figcaption>{label}</figcaption></figure>"
    )


def _levels(intervals: Sequence[tuple[int, int]], scale: Scale) -> list[int]:
    """Return how many intervals cover each of the chart's points in time."""
    steps = [0] * (_POINTS + 1)
    for begin, end in intervals:
        steps[_point(begin, scale)] += 1
        steps[_point(end, scale)] -= 1
    levels = []
    level = 0
    for step in steps:
        level += step
        levels.append(level)
    return levels


def _point(moment: int, scale: Scale) -> int:
    return min(_POINTS, round(scale.x(moment) / scale.width * _POINTS))


def _area(levels: Sequence[int], peak: int) -> str:
    step = _WIDTH / _POINTS
    points = (
        f"L{index * step:.1f} {_HEIGHT - level / peak * (_HEIGHT - _TOP):.1f}"
        for index, level in enumerate(levels)
    )
    return f"M0 {_HEIGHT:.0f}{''.join(points)}L{_WIDTH:.0f} {_HEIGHT:.0f}Z"
