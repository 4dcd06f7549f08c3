"""How ``verify`` looks in a terminal: a bar while it runs, a table at its end."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from nowserving.verify.rows import headline, rows, subtitle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nowserving.verify.result import Result
    from nowserving.verify.turns import TurnRecord

aside = Console(stderr=True, highlight=False)
"""Where everything goes that is not the result."""


@contextlib.contextmanager
def progress(title: str, messages: int) -> Iterator[Callable[[TurnRecord], None]]:
    """Show a bar on standard error while messages are handled, if that is a terminal.

    Args:
        title: Stands before the bar.
        messages: How many there are.

    Yields:
        What to call with the record of each message.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("messages"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=aside, transient=True, disable=not aside.is_terminal) as bar:
        task = bar.add_task(escape(title), total=messages)
        yield lambda _: bar.advance(task)


def show(result: Result) -> None:
    """Print the table on standard output, and what else went wrong on standard error."""
    console = Console(highlight=False)
    table = Table(box=box.ROUNDED, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for row in rows(result):
        colour = "bold red" if row.broken else "green" if row.promised else ""
        table.add_row(row.label, row.value, style=colour)
    console.print(escape(subtitle(result)), soft_wrap=True)
    console.print(table)
    colour = "bold red" if result.findings.violated else "bold green"
    console.print(escape(headline(result)), style=colour)
    for note in result.notes:
        aside.print(f"[yellow]note:[/] {escape(note)}", soft_wrap=True)
