"""``nowserving watch``: what happens, as it happens, one line each."""

import contextlib
import json
from pathlib import Path
from typing import Annotated

import typer

from nowserving import HistoryEvent
from nowserving.cli import recorded, signals
from nowserving.cli.target import AsJson, Endpoints, StoreUrl, opened
from nowserving.cli.terminal import safe
from nowserving.history.explain import duration

_COLORS = {
    "served": typer.colors.GREEN,
    "waiting": typer.colors.YELLOW,
    "superseded": typer.colors.YELLOW,
    "absorbed": typer.colors.YELLOW,
    "refused": typer.colors.RED,
    "released": typer.colors.RED,
    "lost": typer.colors.RED,
    "store_down": typer.colors.RED,
    "dropped": typer.colors.RED,
}
_KIND = 10  # characters


def watch(
    conversation_id: Annotated[
        str | None,
        typer.Argument(metavar="ID", help="Only this conversation.", show_default="all of them"),
    ] = None,
    *,
    store: StoreUrl = None,
    endpoints: Endpoints = None,
    last: Annotated[
        int, typer.Option(min=0, metavar="N", help="Begin with the last N that are recorded.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Show what happens in a store as it happens, one line each; ends with Ctrl-C.

    The store has to keep a history (docs/history.md): this follows it, some tenths of a second
    behind. With --json, each line is an object.

    Exit status: 2 if nothing is recorded or the store can't be used, 130 after Ctrl-C.
    """
    try:
        signals.run(_follow(conversation_id, store, endpoints, last, as_json=as_json))
    except signals.Stopped as stopped:
        raise typer.Exit(stopped.status) from None


async def _follow(
    conversation_id: str | None,
    store: str | None,
    endpoints: Path | None,
    last: int,
    *,
    as_json: bool,
) -> None:
    async with opened(store, endpoints) as made:
        if not await made.events(limit=1):
            raise recorded.nothing(endpoints)
        before = await made.events(conversation_id, limit=last) if last else []
        since = before[0].at if before else None
        async with contextlib.aclosing(made.follow(conversation_id, since=since)) as events:
            async for event in events:
                typer.echo(json.dumps(event._asdict()) if as_json else line_of(event))


def line_of(event: HistoryEvent) -> str:
    """Return an event as a line for a terminal."""
    kind = typer.style(f"{event.kind:{_KIND}}", fg=_COLORS.get(event.kind))
    whose = [event.conversation_id] if event.conversation_id else []
    whose += [f"ticket {event.number}"] if event.number >= 0 else []
    whose += [f"message {event.message_id}"] if event.message_id is not None else []
    whose += [event.label] if event.label is not None else []
    told = ", ".join(filter(None, [" ".join(whose[:1]), *whose[1:], what_of(event)]))
    where = f"  [{event.host} {event.pid}]" if event.host else ""
    return f"{recorded.clock(event.at, milliseconds=True)}  {kind}  {safe(told + where)}"


def what_of(event: HistoryEvent) -> str:
    """Return what there is to say of an event beside what it is about."""
    waited = duration(event.waited)
    held = "" if event.held is None else duration(event.held)
    how = "" if event.predecessor in {"none", "done"} else f", behind one {event.predecessor}"
    told = {
        "waiting": f"{event.ahead} ahead",
        "served": f"after {waited}{how}",
        "left": f"{event.outcome}, {'held ' + held if held else 'waited ' + waited}",
        "superseded": f"waited {waited}",
        "absorbed": f"waited {waited}",
        "store_up": f"after {held}",
        "dropped": f"{event.dropped} events were not recorded",
    }
    return told.get(event.kind, event.reason)
