"""The command line."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from benchmarks import machine, report, runner
from benchmarks.crew import Crew
from benchmarks.figures.base import Bench
from benchmarks.figures.catalogue import all_figures, is_of_files
from benchmarks.own_redis import own_redis
from benchmarks.plan import FULL, QUICK
from benchmarks.plots import PlotsUnavailableError, draw
from benchmarks.server import Address, Probe

if TYPE_CHECKING:
    from benchmarks.plan import Plan
    from benchmarks.results import Results

_WORKERS = 4

_RASA_VENV = ".venv-rasa"
"""Where ``scripts/test-rasa`` installs Rasa."""


def main() -> None:
    """Measure and tell."""
    options = _parser().parse_args()
    plan: Plan = QUICK if options.quick else FULL
    if options.repeats:
        plan = dataclasses.replace(plan, repeats=options.repeats)
    figures = [
        figure
        for figure in all_figures(plan)
        if (figure.name in options.only if options.only else is_of_files(figure) == options.files)
    ]
    with own_redis() as url:
        address = Address(urlsplit(url).port or 0)
        with Probe(address.port) as probe, Crew(_WORKERS) as crew:
            line = machine.describe(probe.version())
            print(line, flush=True)  # noqa: T201 - what the command is for
            results = runner.run(Bench(crew, address, probe, plan), figures)
    page = report.document(
        line, _commands(), figures, results, plan, _plots(results, plan, options.write)
    )
    if options.write:
        options.write.parent.mkdir(parents=True, exist_ok=True)
        options.write.write_text(page, "utf-8")
    print(page)  # noqa: T201


def _plots(results: Results, plan: Plan, page: Path | None) -> dict[str, str]:
    if page is None:
        return {}
    try:
        drawn = draw(results, plan, page.parent / "img")
    except PlotsUnavailableError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return {}
    return {name: os.path.relpath(path, page.parent) for name, path in drawn.items()}


def _commands() -> tuple[str, str]:
    """Return how to repeat this: what to install, and what to call."""
    install, python = "pip install -e '.[redis]' -r benchmarks/requirements.txt", "python"
    if Path(sys.prefix) == Path.cwd() / _RASA_VENV:
        install, python = "scripts/test-rasa -k surface", f"{_RASA_VENV}/bin/python"
    return install, " ".join((python, "-m benchmarks", *sys.argv[1:]))


def _parser() -> argparse.ArgumentParser:
    names = [figure.name for figure in all_figures(FULL)]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure nowserving and other locks in turns on one Redis of their own.",
    )
    parser.add_argument("--quick", action="store_true", help="a short run, for a first look")
    parser.add_argument(
        "--only",
        action="append",
        choices=names,
        metavar="NAME",
        help=f"measure only this (may be repeated): {', '.join(names)}",
    )
    parser.add_argument(
        "--files", action="store_true", help="measure what needs no server, instead of the others"
    )
    parser.add_argument("--repeats", type=int, help="how often everything is measured")
    parser.add_argument(
        "--write", type=Path, metavar="PAGE", help="write the page, and pictures beside it in img/"
    )
    return parser
