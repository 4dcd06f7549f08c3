"""``nowserving doctor``: examine what a store stands on."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.table import Table
from rich.text import Text

from nowserving import Examination, Finding, Verdict
from nowserving.cli import signals
from nowserving.cli.target import AsJson, Endpoints, StoreUrl, opened
from nowserving.cli.terminal import console, safe

BROKEN, NOT_STRICTLY_FINE = 1, 3
"""Exit statuses."""

_STYLES: dict[Verdict, str] = {
    "fine": "green",
    "note": "cyan",
    "warning": "yellow",
    "broken": "bold red",
}


def doctor(
    *,
    store: StoreUrl = None,
    endpoints: Endpoints = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 3 if there are warnings.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Examine what a store stands on, and say what it means for its promises.

    Address, version, permissions (each command is tried), eviction, persistence, replicas,
    sentinels, cluster, clock, latency, pushes; of SQLite the file, its file system and the
    processes beside. Everything is tried on names that can be no conversation's, and taken away
    again. A store that does not exist is not made.

    Exit status: 0 if nothing is broken, 1 if anything is, 2 if it could not be tried, 3 with
    --strict if nothing is broken and there are warnings.
    """
    try:
        examination = signals.run(_examine(store, endpoints))
    except signals.Stopped as stopped:
        raise typer.Exit(stopped.status) from None
    if as_json:
        typer.echo(json.dumps(examination.as_dict(), indent=2))
    else:
        _show(examination)
    if examination.verdict == "broken":
        raise typer.Exit(BROKEN)
    if strict and examination.verdict == "warning":
        raise typer.Exit(NOT_STRICTLY_FINE)


async def _examine(store: str | None, endpoints: Path | None) -> Examination:
    # "May create" lets a path pass where nothing is: an examination makes nothing, and says so.
    async with opened(store, endpoints, may_create=True) as made:
        return await made.examine()


class _Alike(NamedTuple):
    """Findings that say the same of several subjects.

    Attributes:
        first: One of them.
        found: What was found, and of whom.
    """

    first: Finding
    found: dict[str, list[str]]


def _show(examination: Examination) -> None:
    findings = examination.findings
    names = len({finding.subject for finding in findings}) > 1
    page = Table.grid(padding=(0, 2))
    page.add_column()
    page.add_column()
    page.add_column(overflow="fold")
    for alike in _alike(findings):
        verdict = alike.first.verdict
        mark, what = Text(verdict, _STYLES[verdict]), Text(alike.first.check, "bold")
        for each in _lines(alike, names=names):
            page.add_row(mark, what, each)
            mark = what = Text()
    out = console()
    out.print(Text(safe(examination.store), "bold"), soft_wrap=True)
    out.print()
    out.print(page)
    out.print()
    out.print(Text(_summed(findings), _STYLES[examination.verdict]))


def _summed(findings: Sequence[Finding]) -> str:
    counts = Counter(finding.verdict for finding in findings)
    plurals: dict[Verdict, str] = {"warning": "warnings", "note": "notes"}
    return ", ".join(
        f"{counts[each]} {each if counts[each] == 1 else plurals.get(each, each)}"
        for each in reversed([*_STYLES])
        if counts[each]
    )


def _alike(findings: Sequence[Finding]) -> list[_Alike]:
    groups: dict[tuple[str, ...], _Alike] = {}
    for finding in findings:
        same = finding.check, finding.verdict, finding.meaning, finding.remedy
        alike = groups.setdefault(same, _Alike(finding, {}))
        alike.found.setdefault(finding.found, []).append(finding.subject)
    return list(groups.values())


def _lines(alike: _Alike, *, names: bool) -> Iterator[Text]:
    for found, subjects in alike.found.items():
        line = Text(safe(found))
        if names:
            line.append(f"  ({safe(', '.join(subjects))})", "dim")
        yield line
    yield Text(safe(alike.first.meaning), "dim")
    if alike.first.remedy:
        yield Text(f"Remedy: {safe(alike.first.remedy)}")
