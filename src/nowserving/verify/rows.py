"""The result's rows in words: the same in the terminal and on the page."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nowserving.verify.figures import Spread
    from nowserving.verify.result import Result, Settings

_NOTHING = "\N{EN DASH}"
_MILLISECONDS = 1_000.0
_DECIMALS = ((100.0, 0), (10.0, 1), (-math.inf, 2))  # from so many milliseconds, so many digits


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        label: What was counted or measured.
        value: The figure with its unit.
        promised: Whether it must be 0.
        broken: Whether it must be 0 and is not.
    """

    label: str
    value: str
    promised: bool = False
    broken: bool = False


def rows(result: Result) -> list[Row]:
    """Return the table of a result."""
    findings, figures = result.findings, result.figures
    return [
        Row("messages", f"{len(result.plan.deliveries):,}"),
        Row("conversations", f"{result.plan.conversations:,}"),
        _promise("overlaps", len(findings.overlaps)),
        _promise("out of order", len(findings.out_of_order)),
        _promise("lost", len(findings.lost)),
        *_answers(result),
        Row("longest line", f"{figures.longest_line:,}"),
        Row("hand-off p50 / p99", _spread(figures.hand_off)),
        Row("wait p50 / p99", _spread(figures.wait)),
        Row("throughput", f"{figures.throughput:,.0f} turns/s"),
    ]


def _answers(result: Result) -> list[Row]:
    """Return what shows only where a turn may answer for several messages."""
    if not result.settings.options:
        return []
    return [
        _promise("answered twice", len(result.findings.twice)),
        Row("turns", f"{result.figures.turns:,}"),
        Row("answer begins p50 / p99", _spread(result.figures.answer)),
    ]


def headline(result: Result) -> str:
    """Return the verdict in a sentence."""
    if not result.findings.violated:
        return "One turn at a time, in order, none lost."
    broken = [f"{row.value} {row.label}" for row in rows(result) if row.broken]
    return f"Violated: {', '.join(broken)}."


def subtitle(result: Result) -> str:
    """Return how the run was made, on one line."""
    settings, plan = result.settings, result.plan
    workers = "1 worker" if plan.workers == 1 else f"{plan.workers} workers"
    pace = f"{plan.speed:.3g} x trace time"
    options = "".join(f", {name}={value}" for name, value in settings.options.items())
    return f"{settings.source}, {workers}, {lock_in_words(settings)}, {pace}{options}"


def lock_in_words(settings: Settings) -> str:
    """Return whether and where locks were taken."""
    return "without a lock" if settings.store is None else f"lock in {settings.store}"


def milliseconds(seconds: float | None) -> str:
    """Return a duration in milliseconds; short ones with decimals, none as a dash."""
    if seconds is None:
        return _NOTHING
    value = seconds * _MILLISECONDS
    decimals = next(digits for least, digits in _DECIMALS if value >= least)
    return f"{value:,.{decimals}f} ms"


def _promise(label: str, count: int) -> Row:
    return Row(label, f"{count:,}", promised=True, broken=count > 0)


def _spread(spread: Spread) -> str:
    return f"{milliseconds(spread.p50)} / {milliseconds(spread.p99)}"
