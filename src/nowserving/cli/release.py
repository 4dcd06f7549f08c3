"""``nowserving release``: takes a ticket out of its line, whoever has it."""

import json
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from nowserving import IssuedTicket, LineTicket, LockError, StoreUnavailable
from nowserving._config import checks
from nowserving.cli import signals
from nowserving.cli.show import ticket_as_dict
from nowserving.cli.target import AsJson, ConversationId, Endpoints, StoreUrl, opened
from nowserving.cli.terminal import safe
from nowserving.cli.words import whose

NOT_RELEASED = 1
"""The exit status if nothing was released."""


def _ticket(value: str | None) -> str | None:
    if value is not None:
        try:
            IssuedTicket.parse(value)
        except ValueError:
            raise typer.BadParameter("give its number, as show tells it.") from None
    return value


def _reason(value: str) -> str:
    try:
        return checks.label_or_none("reason", value or None) or ""
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def release(  # noqa: PLR0913 - one parameter an option
    conversation_id: ConversationId,
    *,
    ticket: Annotated[
        str | None,
        typer.Option(
            "--ticket",
            metavar="N",
            callback=_ticket,
            help="The number of the ticket, as show tells it.",
            show_default="that of whoever holds the lock",
        ),
    ] = None,
    reason: Annotated[
        str,
        typer.Option(
            "--reason",
            metavar="TEXT",
            callback=_reason,
            help="What its owner is told, at most 200 bytes.",
        ),
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")] = False,
    store: StoreUrl = None,
    endpoints: Endpoints = None,
    as_json: AsJson = False,
) -> None:
    """Take a ticket out of its line, whoever has it; the next one is served.

    At a terminal it shows whose ticket that is, and asks first. Its owner is told at once: a
    holder's lock is lost, a waiter gives up. A holder that does not look whether its lock is lost
    works on, beside the next one.

    Exit status: 0 if it was released, 1 if there was nothing to release or you said no, 2 if the
    store can't be asked, 130 after Ctrl-C.
    """
    asked = None if ticket is None else IssuedTicket.parse(ticket)
    found = signals.run_to_exit(_find(conversation_id, asked, store, endpoints))
    now = time.time()
    released = False
    if found is None:
        whom = "Nobody holds the lock" if asked is None else f"Ticket {int(asked)} is not in line"
        typer.echo(f"{whom} for {safe(conversation_id)}: nothing to release.", err=True)
    elif not yes and sys.stdin.isatty() and not _agreed(conversation_id, found, now):
        typer.echo("Nothing was released.", err=True)
    else:
        # Who was shown, and nobody else who may hold the lock by now.
        chosen = IssuedTicket(found.number) if asked is None else asked
        released = signals.run_to_exit(_release(conversation_id, chosen, reason, store, endpoints))
        said = "Released" if released else "Nothing to release, it has left meanwhile"
        typer.echo(f"{said}: {whose(found, now)}.", err=as_json or not released)
    if as_json:
        told = None if found is None else ticket_as_dict(found, now)
        answer = {"conversation_id": conversation_id, "released": released, "ticket": told}
        typer.echo(json.dumps(answer, indent=2))
    if not released:
        raise typer.Exit(NOT_RELEASED)


def _agreed(conversation_id: str, ticket: LineTicket, now: float) -> bool:
    typer.echo(f"In line for {safe(conversation_id)}: {whose(ticket, now)}.", err=True)
    try:
        with signals.stoppable():
            return typer.confirm("Release it?", err=True)
    except signals.Stopped as stopped:
        typer.echo("\nNothing was released.", err=True)
        raise typer.Exit(stopped.status) from None


async def _find(
    conversation_id: str, asked: IssuedTicket | None, store: str | None, endpoints: Path | None
) -> LineTicket | None:
    """Return the ticket that is meant, by default the holder's; None if it is not in line."""
    async with opened(store, endpoints) as found:
        line = await found.inspect(conversation_id)
    if line is None or asked is None:
        return None if line is None else line.holder
    tickets = (*filter(None, [line.holder]), *line.waiting)
    return next((ticket for ticket in tickets if ticket.number == asked), None)


async def _release(
    conversation_id: str,
    asked: IssuedTicket,
    reason: str,
    store: str | None,
    endpoints: Path | None,
) -> bool:
    async with opened(store, endpoints) as found:
        try:
            return await found.release(conversation_id, asked, reason)
        except StoreUnavailable:
            raise
        except LockError as error:  # a custom store may not be able to
            raise typer.BadParameter(str(error), param_hint="--store") from None
