"""``nowserving why``: for whom, and for how long, the messages of a conversation have waited."""

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from nowserving.cli import recorded, signals
from nowserving.cli.target import AsJson, Endpoints, StoreUrl, opened
from nowserving.cli.terminal import safe
from nowserving.history.explain import Wait, waits_of, words_of
from nowserving.history.turns import RecordedTurn, turns_of

NOBODY_WAITED = 1


def why(  # noqa: PLR0913 - one parameter an option
    conversation_id: Annotated[
        str, typer.Argument(metavar="ID", help="The conversation.", show_default=False)
    ],
    *,
    store: StoreUrl = None,
    endpoints: Endpoints = None,
    last: Annotated[int, typer.Option(min=1, metavar="N", help="Tell the last N waits.")] = 5,
    ticket: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Only the wait of this ticket.", show_default="any"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say why the messages of a conversation waited, from the store's history.

    Who held the lock meanwhile, on which machine, for which message, for how long, and how that
    ended. The store has to keep a history (docs/history.md).

    Exit status: 0 if there was a wait to tell of, 1 if nobody has waited, 2 if nothing is recorded
    or the store can't be used.
    """
    try:
        turns = signals.run(_read(conversation_id, store, endpoints))
    except signals.Stopped as stopped:
        raise typer.Exit(stopped.status) from None
    waits = waits_of(turns, time.time())
    if ticket is not None:
        waits = [wait for wait in waits if wait.turn.number == ticket]
    waits = waits[-last:]
    if as_json:
        typer.echo(json.dumps({"conversation_id": conversation_id, "waits": _dicts(waits)}))
    elif waits:
        for wait in waits:
            typer.echo(f"{recorded.clock(wait.turn.asked or 0.0)}  {safe(words_of(wait))}")
    else:
        typer.echo(_no_wait(turns, ticket), err=True)
    raise typer.Exit(0 if waits else NOBODY_WAITED)


async def _read(
    conversation_id: str, store: str | None, endpoints: Path | None
) -> list[RecordedTurn]:
    async with opened(store, endpoints) as made:
        return turns_of(await recorded.read(made, conversation_id, endpoints))


def _dicts(waits: list[Wait]) -> list[object]:
    return [wait.as_dict() for wait in waits]


def _no_wait(turns: list[RecordedTurn], ticket: int | None) -> str:
    if not turns:
        return "Nothing is recorded of this conversation."
    if ticket is not None:
        return f"No wait of ticket {ticket} is recorded."
    since = recorded.clock(turns[0].asked or 0.0)
    return f"Nobody has waited: {len(turns)} turns are recorded since {since}."
