"""The tables, as Markdown: the same on the screen and in the docs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.goals import judged
from benchmarks.registry import CONTENDERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from benchmarks.figures.base import Figure
    from benchmarks.plan import Plan
    from benchmarks.results import Results
    from benchmarks.spread import Spread

_HOW = (
    "The last of these commands made this page and its pictures. Without `--write` it only prints; "
    "`--quick` makes a short run, `--only NAME` measures one figure."
)
_READ = (
    "All contenders take turns in one run, {repeats} times. Absolute numbers belong "
    "to this machine; the ratios are what to look at. A cell is the median of the repeats and, in "
    "brackets, the least and the greatest. Ratios compare what ran side by side in one repeat: "
    "*ours ÷ it* is ours as a multiple of the other, whichever way is better."
)

_EXACT_FROM, _TENTHS_FROM, _HUNDREDTHS_FROM = 100, 10, 1


def document(  # noqa: PLR0913 - what a page is made of
    machine: str,
    commands: Sequence[str],
    figures: Sequence[Figure],
    results: Results,
    plan: Plan,
    plots: Mapping[str, str],
) -> str:
    """Return the whole page.

    Args:
        machine: The machine line.
        commands: What made this page, from the installation on.
        figures: What was measured.
        results: What was found.
        plan: The sizes.
        plots: The picture's path by figure, as seen from the page.
    """
    return "\n".join(
        (
            "# Benchmarks",
            "",
            f"Measured on: {machine}",
            "",
            _HOW,
            "",
            "```",
            *commands,
            "```",
            "",
            _READ.format(repeats=plan.repeats),
            "",
            "## Goals",
            "",
            *_goals(figures, results, plan),
            "",
            *_sections(figures, results, plots),
            "## Who is compared",
            "",
            *_contenders(figures),
            "",
        )
    )


def _goals(figures: Iterable[Figure], results: Results, plan: Plan) -> Iterator[str]:
    names = {figure.name for figure in figures}
    yield "| figure | at least | aim | measured | verdict |"
    yield "| --- | --- | --- | --- | --- |"
    for goal, found, word in judged(results, plan):
        if goal.source[0] not in names:
            continue
        times = " x" if goal.against is not None else ""
        at_least, aim = (
            "" if limit is None else f"{limit:g}{times}" for limit in (goal.at_least, goal.aim)
        )
        yield _row((goal.text, at_least, aim, _cell(found, times), word))


def _sections(
    figures: Iterable[Figure], results: Results, plots: Mapping[str, str]
) -> Iterator[str]:
    for figure in figures:
        yield from (f"## {figure.title}", "", figure.text, "")
        if figure.name in plots:
            yield from (f"![{figure.title}]({plots[figure.name]})", "")
        yield from _table(figure, results)
        yield ""


def _table(figure: Figure, results: Results) -> Iterator[str]:
    versus = f"it ÷ {figure.ours}" if figure.grows else "ours ÷ it"
    heads = [figure.rows or ("size" if figure.grows else "contender")]
    for measure in figure.measures:
        unit = f", {measure.unit}" if measure.unit else ""
        heads += [f"{measure.title}{unit}", versus]
    yield _row(heads)
    yield _row(["---"] * len(heads))
    for contender in figure.contenders:
        cells = [_titled(contender)]
        why = results.failures.get((figure.name, contender))
        for measure in figure.measures:
            spread = results.spread(figure.name, measure.key, contender)
            ratio = None
            if contender != figure.ours:
                pair = (contender, figure.ours) if figure.grows else (figure.ours, contender)
                ratio = results.ratio(figure.name, measure.key, *pair)
            first = measure is figure.measures[0]
            nothing = why if why is not None and first else "-"
            cells += [_cell(spread) if spread else nothing, _cell(ratio, " x")]
        yield _row(cells)


def _contenders(figures: Iterable[Figure]) -> Iterator[str]:
    named = {contender for figure in figures for contender in figure.contenders}
    for contender in CONTENDERS.values():
        if contender.name in named:
            yield f"* **{contender.titled()}**: {contender.text}"


def _titled(contender: str) -> str:
    known = CONTENDERS.get(contender)
    return contender if known is None else known.titled()


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(spread: Spread | None, suffix: str = "") -> str:
    if spread is None:
        return ""
    if spread.low == spread.high:
        return f"{number(spread.median)}{suffix}"
    return f"{number(spread.median)}{suffix} ({number(spread.low)} to {number(spread.high)})"


def number(value: float) -> str:
    """Return a number with about three digits that mean something."""
    if value == int(value):
        return f"{value:,.0f}"
    if value >= _EXACT_FROM:
        return f"{value:,.0f}"
    if value >= _TENTHS_FROM:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= _HUNDREDTHS_FROM else f"{value:.3f}"
