"""``nowserving whatif``: the recorded messages again, under other options."""

import json
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from nowserving.cli import recorded, signals
from nowserving.cli.choices import WhenBusy, positive
from nowserving.cli.target import AsJson, Endpoints, StoreUrl, opened
from nowserving.cli.terminal import console
from nowserving.history.explain import duration
from nowserving.history.replay import Rules
from nowserving.history.turns import RecordedTurn, turns_of
from nowserving.history.whatif import Comparison, Figures, compare

NOTHING_TO_REPLAY = 1


class WhenFull(str, Enum):
    """What a message does when enough wait already."""

    REJECT = "reject"
    DROP_OLDEST = "drop_oldest"


def whatif(  # noqa: PLR0913 - one parameter an option
    conversation_id: Annotated[
        str | None,
        typer.Argument(metavar="ID", help="Only this conversation.", show_default="all of them"),
    ] = None,
    *,
    store: StoreUrl = None,
    endpoints: Endpoints = None,
    when_busy: Annotated[
        WhenBusy, typer.Option(help="What a message does in a busy conversation.")
    ] = WhenBusy.QUEUE,
    settle: Annotated[
        float | None,
        typer.Option(
            callback=positive,
            help="Seconds for which nothing newer has to come before a turn begins.",
            metavar="S",
            show_default="a turn begins at once",
        ),
    ] = None,
    settle_max: Annotated[
        float | None,
        typer.Option(
            callback=positive,
            help="Seconds since the first message of a burst after which it begins anyway.",
            metavar="S",
            show_default="no limit",
        ),
    ] = None,
    max_waiting: Annotated[
        int | None,
        typer.Option(min=0, help="How many may wait.", metavar="N", show_default="no limit"),
    ] = None,
    when_full: Annotated[
        WhenFull, typer.Option(help="What a message does when so many wait already.")
    ] = WhenFull.REJECT,
    as_json: AsJson = False,
) -> None:
    """Replay the recorded messages under other options, and compare.

    They come when they came, and each turn takes as long as it took; who is served, refused or has
    to leave is decided as the store decides it, in virtual time. The store has to keep a history
    (docs/history.md).

    Exit status: 0, 1 if no whole turn is recorded, 2 if nothing is or the store can't be used.
    """
    if settle_max is not None and settle is None:
        raise typer.BadParameter("it limits --settle: give both.", param_hint="--settle-max")
    if when_full is not WhenFull.REJECT and max_waiting is None:
        raise typer.BadParameter(
            "it says what to do when --max-waiting are there: give both.", param_hint="--when-full"
        )
    rules = Rules(when_busy.value, max_waiting, when_full.value, settle, settle_max)
    try:
        compared = compare(signals.run(_read(conversation_id, store, endpoints)), rules)
    except signals.Stopped as stopped:
        raise typer.Exit(stopped.status) from None
    if compared is None:
        typer.echo("No turn is recorded from its beginning to its end.", err=True)
        raise typer.Exit(NOTHING_TO_REPLAY)
    if as_json:
        typer.echo(json.dumps({"options": vars(rules), **compared.as_dict()}))
    else:
        _show(compared, rules)


async def _read(
    conversation_id: str | None, store: str | None, endpoints: Path | None
) -> list[RecordedTurn]:
    async with opened(store, endpoints) as made:
        return turns_of(await recorded.read(made, conversation_id, endpoints))


def _show(compared: Comparison, rules: Rules) -> None:
    out = console()
    out.print(
        f"{compared.recorded.messages:,} messages in {compared.conversations:,} conversations "
        f"within {duration(compared.seconds)}, replayed with {_said(rules)}.",
        soft_wrap=True,
    )
    table = Table(box=None, pad_edge=False)
    for name in ("", "recorded", "replayed"):
        table.add_column(name, justify="right" if name else "left")
    before, after = compared.recorded, compared.replayed
    for name, was, would_be in zip(_ROWS, _column(before), _column(after), strict=True):
        if {was, would_be} != {"0"}:
            table.add_row(name, was, would_be)
    out.print(table)
    fewer = compared.fewer_turns
    out.print(f"{abs(fewer):.1%} {'more' if fewer < 0 else 'fewer'} turns.")
    if compared.estimated:
        out.print(
            f"{compared.estimated:,} turns were not recorded to their usual end: they take the "
            "median of their conversation.",
            soft_wrap=True,
        )
    if compared.left_out:
        out.print(f"{compared.left_out:,} turns are left out: beginning or end is not recorded.")


def _said(rules: Rules) -> str:
    said = {name: value for name, value in vars(rules).items() if value is not None}
    if rules.max_waiting is None:
        del said["when_full"]
    return ", ".join(f"{name}={value}" for name, value in said.items())


_ROWS = (
    "turns",
    "  interrupted",
    "superseded",
    "refused",
    "gave up",
    "time at work",
    "wait for the turn, median",
    "  99 of 100",
    "  longest",
    "answer begins after, median",
    "  99 of 100",
    "  longest",
)


def _column(figures: Figures) -> list[str]:
    counts = (
        figures.turns,
        figures.interrupted,
        figures.superseded,
        figures.refused,
        figures.gave_up,
    )
    spreads = [
        "-" if seconds is None else duration(seconds)
        for spread in (figures.wait, figures.answer)
        for seconds in (spread.p50, spread.p99, spread.longest)
    ]
    return [*(f"{count:,}" for count in counts), duration(figures.busy), *spreads]
