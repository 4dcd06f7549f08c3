"""A picture for every curve."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.figures import growth, waiters
from benchmarks.registry import CONTENDERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from benchmarks.plan import Plan
    from benchmarks.registry import Contender
    from benchmarks.results import Results
    from benchmarks.spread import Spread

_Curve = list[tuple[float, "Spread"]]


class PlotsUnavailableError(RuntimeError):
    """There is nothing to draw with."""


def draw(results: Results, plan: Plan, folder: Path) -> dict[str, Path]:
    """Draw what was measured.

    Args:
        results: What was found.
        plan: The sizes.
        folder: Where to put the pictures; it is made if it is not there.

    Returns:
        The picture's path by figure.

    Raises:
        PlotsUnavailableError: Without matplotlib.
    """
    try:
        from matplotlib.figure import Figure as Canvas  # noqa: PLC0415 - optional
    except ImportError as error:
        raise PlotsUnavailableError("no pictures: matplotlib is not installed") from error
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {}
    for name, (title, across, up, curves) in _pictures(results, plan).items():
        if not curves:
            continue
        canvas = Canvas(figsize=(8 if len(curves) > 1 else 6, 4), layout="constrained")
        axes = canvas.add_subplot()
        for label, curve in curves.items():
            _draw(axes, label, curve)
        axes.set(title=title, xlabel=across, ylabel=up, xscale="log")
        if len(curves) > 1:
            axes.set_yscale("log")
            axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
        else:
            axes.set_ylim(bottom=0)
        axes.grid(visible=True, alpha=0.3)
        drawn[name] = folder / f"benchmark-{name}.png"
        canvas.savefig(drawn[name], dpi=110)
    return drawn


def _draw(axes: Axes, label: str, curve: _Curve) -> None:
    at = [x for x, _ in curve]
    medians = [spread.median for _, spread in curve]
    reach = [
        [spread.median - spread.low for _, spread in curve],
        [spread.high - spread.median for _, spread in curve],
    ]
    axes.errorbar(at, medians, yerr=reach, marker="o", capsize=3, label=label)


def _pictures(results: Results, plan: Plan) -> dict[str, tuple[str, str, str, dict[str, _Curve]]]:
    known = {growth.label(size): float(size) for size in plan.known}
    waiting = {waiters.label(size): float(size) for size in plan.waiters}
    return {
        "throughput": (
            "Cycles a second, one process",
            "conversations at once",
            "cycles/s",
            dict(_crowds(results, plan.crowds, list(CONTENDERS.values()))),
        ),
        "growth": (
            "Cycle time by known conversations, Redis",
            "known conversations",
            "cycle p50, µs",
            _one(results, "growth", "p50", known),
        ),
        "growth-in-memory": (
            "Cycle time by known conversations, in memory",
            "known conversations",
            "cycle p50, µs",
            _one(results, "growth-in-memory", "p50", known),
        ),
        "waiters": (
            "Turn time by waiters in one line",
            "waiters",
            "turn, mean, µs",
            _one(results, "waiters", "turn", waiting),
        ),
    }


def _crowds(
    results: Results, sizes: Sequence[int], contenders: Sequence[Contender]
) -> Iterator[tuple[str, _Curve]]:
    for contender in contenders:
        curve = [
            (float(size), spread)
            for size in sizes
            if (spread := results.spread("throughput", f"1x{size}", contender.name)) is not None
        ]
        if curve:
            yield contender.name, curve


def _one(results: Results, figure: str, measure: str, sizes: dict[str, float]) -> dict[str, _Curve]:
    curve = [
        (size, spread)
        for contender, size in sizes.items()
        if (spread := results.spread(figure, measure, contender)) is not None
    ]
    return {"nowserving": curve} if curve else {}
