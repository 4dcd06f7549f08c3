"""``nowserving status``: how much of a store is in use, where it is worst, and by whom."""

import enum
import json
import time
from pathlib import Path
from typing import Annotated

import typer

from nowserving import LockError, LockStore, StoreUnavailable, Survey, SurveyOrder
from nowserving.cli import overview, signals
from nowserving.cli.target import AsJson, Endpoints, StoreUrl, opened
from nowserving.cli.terminal import console

_MOST_LINES = 10_000
_PROCESSES = 20
"""How many are listed; JSON has all."""


class Order(enum.Enum):
    """Which lines come first, as it is typed."""

    WAITING = "waiting"
    OLDEST_WAIT = "oldest-wait"
    HELD_FOR = "held-for"


ORDERS: dict[Order, SurveyOrder] = {
    Order.WAITING: "waiting",
    Order.OLDEST_WAIT: "oldest_wait",
    Order.HELD_FOR: "held_for",
}


def status(
    *,
    lines: Annotated[
        int,
        typer.Option("--lines", "-n", min=0, max=_MOST_LINES, help="How many lines to show."),
    ] = 10,
    order: Annotated[
        Order,
        typer.Option(
            help="Which come first: where most wait, or those that have waited, or have been "
            "held, for longest."
        ),
    ] = Order.WAITING,
    store: StoreUrl = None,
    endpoints: Endpoints = None,
    as_json: AsJson = False,
) -> None:
    """Show how much is in use: conversations, the longest lines, the oldest wait, the processes.

    A conversation is in use while somebody holds its lock or waits for it. However many are, nobody
    is held up by looking, and nothing is changed.

    Exit status: 0, also if nothing is in use; 2 if the store can't be asked.
    """
    seen, now = signals.run_to_exit(_look(lines, ORDERS[order], store, endpoints))
    if as_json:
        typer.echo(json.dumps(overview.as_dict(seen, now), indent=2))
    else:
        _show(seen, now)


async def _look(
    lines: int, order: SurveyOrder, store: str | None, endpoints: Path | None
) -> tuple[Survey, float]:
    async with opened(store, endpoints) as found:
        return await surveyed(found, lines, order), time.time()


async def surveyed(store: LockStore, lines: int, order: SurveyOrder) -> Survey:
    """Survey a store.

    Args:
        store: The store.
        lines: How many lines are to be in it.
        order: Which of them.

    Raises:
        typer.BadParameter: If it can't know its lines.
        StoreUnavailable: If it does not answer in time.
    """
    try:
        return await store.survey(lines, order)
    except StoreUnavailable:
        raise
    except LockError as error:  # a custom store
        raise typer.BadParameter(str(error), param_hint="--store") from None


def _show(seen: Survey, now: float) -> None:
    out = console()
    out.print(f"{overview.headline(seen)}.", style="bold", soft_wrap=True)
    if seen.lines:
        out.print()
        out.print(overview.lines_table(seen.lines, now, out.width))
        more = seen.conversations - len(seen.lines)
        if more > 0:
            out.print(f"and {more:,} more (--lines)", style="dim")
    if seen.processes:
        out.print()
        out.print(overview.processes_table(seen.processes[:_PROCESSES]))
        if len(seen.processes) > _PROCESSES:
            out.print(f"and {len(seen.processes) - _PROCESSES:,} more (--json)", style="dim")
    if seen.unreadable:
        out.print()
        out.print(overview.unreadable(seen), style="yellow", soft_wrap=True)
