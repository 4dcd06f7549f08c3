"""``nowserving run``: a command that has the turn of a conversation, as ``flock`` runs one."""

import asyncio
import logging
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from nowserving._config import checks
from nowserving.cli import forwarding
from nowserving.cli.choices import WhenBusy
from nowserving.cli.command import NOT_EXECUTABLE, NOT_FOUND, Command, complain
from nowserving.cli.supervision import OnLost, Run
from nowserving.cli.target import ConversationId, Endpoints, StoreUrl, opened

_CONFLICT = 1
_LARGEST_STATUS = 255
_KILL_AFTER = 10.0  # seconds


def _seconds(context: typer.CallbackParam, value: float | None) -> float | None:
    try:
        return None if value is None else checks.seconds(context.name or "", value, zero=True)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _lifetime(value: float | None) -> float | None:
    try:
        return checks.seconds_or_none("lifetime", value)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def run(  # noqa: PLR0913 - one parameter an option
    conversation_id: ConversationId,
    command: Annotated[
        list[str],
        typer.Argument(
            metavar="COMMAND...",
            help="The command and its arguments, behind a --.",
            show_default=False,
        ),
    ],
    *,
    timeout: Annotated[
        float | None,
        typer.Option(
            callback=_seconds,
            metavar="S",
            help="Seconds to wait for the turn at most; 0 tries once.",
            show_default="no limit",
        ),
    ] = None,
    when_busy: Annotated[
        WhenBusy | None,
        typer.Option(
            help="What to do if somebody has the turn: queue waits; reject gives up; latest takes "
            "the place of all who wait; interrupt also stops the holder.",
            show_default="queue, or as the store's settings say",
        ),
    ] = None,
    on_lost: Annotated[
        OnLost,
        typer.Option(
            help="What to do with the command if the turn is lost while it runs: warn says so; "
            "kill sends it SIGTERM, and later SIGKILL.",
        ),
    ] = OnLost.WARN,
    kill_after: Annotated[
        float,
        typer.Option(
            callback=_seconds, metavar="S", help="Seconds between that SIGTERM and SIGKILL."
        ),
    ] = _KILL_AFTER,
    lifetime: Annotated[
        float | None,
        typer.Option(
            callback=_lifetime,
            metavar="S",
            help="Seconds after which the turn is free if this process is gone or stopped; it is "
            "renewed every third of that.",
            show_default="60, or as the store's settings say",
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT", help="What whoever looks at the line reads, at most 200 bytes."
        ),
    ] = None,
    message_id: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Give up if a message with this id is in line already, or was just done.",
        ),
    ] = None,
    conflict_exit_code: Annotated[
        int,
        typer.Option(
            min=0,
            max=_LARGEST_STATUS,
            metavar="N",
            help="The exit status if the turn never came.",
        ),
    ] = _CONFLICT,
    store: StoreUrl = None,
    endpoints: Endpoints = None,
) -> None:
    """Run a command while it is the conversation's turn, as flock(1) does.

    It waits for the turn, runs the command, and renews the turn for as long as the command runs.
    The command has standard input, output, errors and the terminal for its own, and finds the
    environment variables NOWSERVING_CONVERSATION_ID, NOWSERVING_TICKET and
    NOWSERVING_FENCING_TOKEN, a number that grows with every turn. SIGINT, SIGTERM, SIGHUP,
    SIGQUIT, SIGUSR1, SIGUSR2, SIGTSTP and SIGCONT are handed on. If this process is killed, Linux
    kills the command.

    Exit status: that of the command, 128+N if signal N has killed it; 1 (--conflict-exit-code) if
    the turn never came: the conversation was busy, the time was over, the message was known or
    superseded, the ticket was released; 2 if the store can't be used; 126 if the command can't be
    executed, 127 if there is none; 128+N if signal N came while it waited.
    """
    if not hasattr(os, "fork"):
        raise typer.BadParameter("run needs a system with fork.", param_hint="run")
    _check(command[0])
    # What it says of a lost lock is for whoever writes a program; `supervision` says it in ours.
    logging.getLogger("nowserving.lease").setLevel(logging.ERROR)
    options: dict[str, Any] = {
        "timeout": timeout,
        "when_busy": None if when_busy is None else when_busy.value,
        "lock_lifetime": lifetime,
        "label": label,
        "message_id": message_id,
    }
    mask = forwarding.block()
    held_back = Command(command, mask, own_group=not forwarding.has_terminal())
    supervised = Run(
        held_back,
        conversation_id,
        {name: value for name, value in options.items() if value is not None},
        on_lost=on_lost,
        kill_after=kill_after,
        conflict=conflict_exit_code,
    )
    try:
        status = asyncio.run(_run(supervised, store, endpoints))
    finally:
        held_back.discard()
    if supervised.killed_by == signal.SIGINT:
        _end_by(signal.SIGINT)
    raise typer.Exit(status)


async def _run(supervised: Run, store: str | None, endpoints: Path | None) -> int:
    async with opened(store, endpoints, may_create=True) as found:
        return await supervised.under(found)


def _check(command: str) -> None:
    """Exit as a shell does if there is no such command, before anybody is asked for a turn."""
    if shutil.which(command) is None:
        there = os.sep in command and Path(command).exists()
        complain(command, "cannot be executed" if there else "command not found")
        raise typer.Exit(NOT_EXECUTABLE if there else NOT_FOUND)


def _end_by(signum: signal.Signals) -> None:
    """End as the command did: only then does a shell's loop know that Ctrl-C was meant for it."""
    sys.stdout.flush()
    sys.stderr.flush()
    signal.signal(signum, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signum})
    signal.raise_signal(signum)
