"""``nowserving show``: who is in line for one conversation."""

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from nowserving import Line, LineTicket, LockError
from nowserving.cli import plot, signals
from nowserving.cli.target import AsJson, ConversationId, Endpoints, StoreUrl, opened
from nowserving.cli.terminal import console, safe
from nowserving.cli.words import NOTHING, duration, process
from nowserving.history.turns import RecordedTurn, turns_of

NOBODY = 1
"""The exit status if nobody is in line."""

_MOST = 100  # waiting tickets in the table
_EVENTS = 10_000  # of a history, to be drawn: as many as a conversation may have

_COLUMNS = {
    "place": 0,
    "ticket": 0,
    "for": 0,
    "lease left": 76,
    "message": 46,
    "label": 92,
    "process": 60,
}
"""The columns of the table, and how wide a terminal has to be to show each, in characters."""

_OF_TEXT = {"message", "label", "process"}  # others have chosen them, so they may be long

_EXPLAINED = {
    "settles": "settles: it waits until nothing newer has come for a while",
    "absorbed": "absorbed: the holder has taken its message into its own turn",
}


def show(
    conversation_id: ConversationId,
    *,
    as_plot: Annotated[
        bool,
        typer.Option(
            "--plot",
            help="Draw who waited and who held, along the time: those in line now, and the last "
            "turns if the store keeps a history.",
        ),
    ] = False,
    store: StoreUrl = None,
    endpoints: Endpoints = None,
    as_json: AsJson = False,
) -> None:
    """Show who is in line for a conversation.

    First the holder: which message, for how long, and when its lease ends unless it is renewed.
    Then those who wait, in their order: how long already, and what becomes of them. Nothing is
    changed by looking.

    Exit status: 0 if somebody is in line (with --plot, if there was a turn to draw), 1 if nobody
    is, 2 if the store can't be asked.
    """
    line, recorded = signals.run_to_exit(_look(conversation_id, store, endpoints, past=as_plot))
    now = time.time()
    turns = plot.turns_of(recorded, line, now) if as_plot else []
    if as_json:
        told = as_dict(conversation_id, line, now)
        if as_plot:
            told["turns"] = [turn._asdict() for turn in turns]
        typer.echo(json.dumps(told, indent=2))
    elif turns:
        plot.show(turns, now)
    elif line is None:
        typer.echo(f"Nobody is in line for {safe(conversation_id)}.")
    else:
        _show(conversation_id, line, now)
    if line is None and not turns:
        raise typer.Exit(NOBODY)


async def _look(
    conversation_id: str, store: str | None, endpoints: Path | None, *, past: bool
) -> tuple[Line | None, list[RecordedTurn]]:
    async with opened(store, endpoints) as found:
        recorded: list[RecordedTurn] = []
        if past:
            # A custom store keeps no history; what is in line can be drawn all the same.
            with contextlib.suppress(LockError):
                recorded = turns_of(await found.events(conversation_id, limit=_EVENTS))
        return await found.inspect(conversation_id), recorded


def as_dict(conversation_id: str, line: Line | None, now: float) -> dict[str, Any]:
    """Return a line as JSON tells it.

    Args:
        conversation_id: Whose line it is.
        line: The line, None if nobody is in it.
        now: Unix time when it was looked at.
    """
    holder = None if line is None else line.holder
    waiting = () if line is None else line.waiting
    return {
        "conversation_id": conversation_id,
        "holder": None if holder is None else ticket_as_dict(holder, now),
        "waiting": [
            {"position": position, **ticket_as_dict(ticket, now)}
            for position, ticket in enumerate(waiting, start=1)
        ],
    }


def ticket_as_dict(ticket: LineTicket, now: float) -> dict[str, Any]:
    """Return one ticket of a line as JSON tells it; durations are seconds, ``since`` Unix time."""
    return {
        "number": ticket.number,
        "message_id": ticket.message_id,
        "label": ticket.label,
        "host": ticket.host,
        "pid": ticket.pid,
        "since": ticket.since,
        "for": None if ticket.since is None else round(max(0.0, now - ticket.since), 3),
        "expires_in": round(ticket.expires_in, 3),
        "settling": ticket.settling,
        "absorbed": ticket.absorbed,
    }


def _show(conversation_id: str, line: Line, now: float) -> None:
    out = console()
    table = Table(box=None, header_style="dim", pad_edge=False)
    shown = [title for title, from_width in _COLUMNS.items() if from_width <= out.width]
    for title in shown:
        of_text = title in _OF_TEXT
        table.add_column(
            title,
            justify="left" if of_text or title == "place" else "right",
            no_wrap=not of_text,
            overflow="fold",
        )

    def add(place: str, ticket: LineTicket, style: str | None = None) -> None:
        texts = dict(zip(_COLUMNS, _row(place, ticket, now), strict=True))
        table.add_row(*(texts[title] for title in shown), style=style)

    if line.holder is not None:
        add("holds", line.holder, "bold")
    for position, ticket in enumerate(line.waiting[:_MOST], start=1):
        state = _state(ticket)
        add(f"{position}{f' {state}' * bool(state)}", ticket)
    holds = "one holds" if line.holder else "nobody holds"
    out.print(f"{safe(conversation_id)}: {holds}, {len(line.waiting):,} waiting", soft_wrap=True)
    out.print(table)
    if len(line.waiting) > _MOST:
        out.print(f"and {len(line.waiting) - _MOST:,} more; --json tells all", style="dim")
    for state in sorted({_state(ticket) for ticket in line.waiting[:_MOST]} - {""}):
        out.print(_EXPLAINED[state], style="dim")


def _state(ticket: LineTicket) -> str:
    return "absorbed" if ticket.absorbed else "settles" if ticket.settling else ""


def _row(place: str, ticket: LineTicket, now: float) -> Iterator[str]:
    yield place
    yield str(ticket.number)
    yield duration(None if ticket.since is None else now - ticket.since)
    yield duration(ticket.expires_in)
    yield NOTHING if ticket.message_id is None else safe(ticket.message_id)
    yield NOTHING if ticket.label is None else safe(ticket.label)
    yield process(ticket.host, ticket.pid)
