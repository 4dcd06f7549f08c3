"""Measures all figures: repeat by repeat, and in each of them every contender in turn."""

from __future__ import annotations

import dataclasses
import math
import sys
import time
from typing import TYPE_CHECKING

from benchmarks.crew import JobError
from benchmarks.figures.base import missing
from benchmarks.results import Results

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.figures.base import Bench, Figure


def run(bench: Bench, figures: Sequence[Figure]) -> Results:
    """Measure.

    Args:
        bench: What measurements need.
        figures: What to measure.
    """
    results = Results()
    for figure in figures:
        began = time.monotonic()
        _say(f"{figure.title} …")
        present = _present(bench, figure, results)
        for repeat in range(figure.repeats or bench.plan.repeats):
            one = dataclasses.replace(bench, repeat=repeat)
            for part in figure.parts:
                for contender in _rotated(present, repeat):
                    _measure(one, figure, part, contender, results)
        _say(f" {time.monotonic() - began:.0f} s\n")
    return results


def _present(bench: Bench, figure: Figure, results: Results) -> list[str]:
    """Prepare a figure and return who can be measured; note why others can't."""
    why_all = None
    if figure.prepare is not None:
        try:
            figure.prepare(bench)
        except JobError as error:
            why_all = _last_line(error)
    present = []
    for contender in figure.contenders:
        why = why_all or missing(contender)
        if why is None:
            present.append(contender)
        else:
            results.failures[figure.name, contender] = why
    return present


def _rotated(contenders: Sequence[str], by: int) -> list[str]:
    """Return them in turn with another one first: none always follows the same neighbour's end."""
    start = by % len(contenders) if contenders else 0
    return [*contenders[start:], *contenders[:start]]


def _measure(bench: Bench, figure: Figure, part: str, contender: str, results: Results) -> None:
    bench.probe.flush(bench.address.db)
    try:
        found = figure.measure(bench, contender, part)
    except JobError as error:
        # It is told in the table; the others go on.
        results.failures[figure.name, contender] = _last_line(error)
        _say(f"\n  {contender}, {part or 'all'}: {error}\n")
        found = {}
    for measure in figure.measures:
        if len(figure.parts) == 1 or measure.key == part:
            value = found.get(measure.key, math.nan)
            results.values[figure.name, measure.key, contender].append(value)


def _last_line(error: JobError) -> str:
    return str(error).strip().splitlines()[-1]


def _say(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
