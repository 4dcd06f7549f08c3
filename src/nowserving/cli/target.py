"""Which store a command works with: ``--store``, ``--endpoints``, or ``NOWSERVING_STORE``."""

import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from nowserving import (
    CorruptLock,
    EndpointConfig,
    IncompatibleRecord,
    InMemoryLockStore,
    LockStore,
    RasaException,
    SQLiteLockStore,
    StoreClosed,
    StoreUnavailable,
)
from nowserving._config.urls import shown
from nowserving.cli.endpoints import read_lock_store

VARIABLE = "NOWSERVING_STORE"
"""The environment variable that names the store where no option does."""

CANNOT = 2
"""The exit status of whatever could not be tried."""

StoreUrl = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="URL",
        help="The store: redis://host:6379/1, sqlite:////var/lib/locks.db, ...",
        show_default=f"the environment variable {VARIABLE}",
    ),
]
"""The option ``--store``."""

Endpoints = Annotated[
    Path | None,
    typer.Option(
        "--endpoints",
        metavar="FILE",
        help="Rasa's endpoints.yml: the store of its section lock_store, with ${VARIABLES} from "
        "the environment.",
        show_default=False,
    ),
]
"""The option ``--endpoints``."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")]
"""The option ``--json``."""


def _not_empty(value: str) -> str:
    if not value:
        raise typer.BadParameter("a conversation's id is not empty.")
    return value


ConversationId = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        callback=_not_empty,
        help="The conversation. One that begins with - goes behind a --; bash writes what can't be "
        "typed as $'...'.",
        show_default=False,
    ),
]
"""The argument ``ID``."""


@dataclass(frozen=True)
class Target:
    """A store that was named, and not made yet.

    Attributes:
        config: What :meth:`nowserving.LockStore.create` takes.
        option: How it was named, for errors.
        name: What it may be called on a screen; holds no secret.
    """

    config: str | EndpointConfig = field(repr=False)  # may hold a password
    option: str
    name: str


def chosen(store: str | None, endpoints: Path | None) -> Target:
    """Return the store that the options name.

    Args:
        store: What ``--store`` says.
        endpoints: What ``--endpoints`` says.

    Raises:
        typer.BadParameter: If both name one, if none does, nor the environment, or if the file
            can't be read.
    """
    if store is not None and endpoints is not None:
        raise typer.BadParameter(
            "--store names a store as well: give one of them.", param_hint="--endpoints"
        )
    if endpoints is not None:
        try:
            section = read_lock_store(endpoints)
        except RasaException as error:
            raise typer.BadParameter(str(error), param_hint="--endpoints") from None
        return Target(section, "--endpoints", f"the lock store of {endpoints}")
    if store is not None:
        return Target(store, "--store", shown(store))
    url = os.environ.get(VARIABLE, "")
    if not url:
        raise typer.BadParameter(
            f"no store is named: give --store URL or --endpoints FILE, or set {VARIABLE}.",
            param_hint="--store",
        )
    return Target(url, VARIABLE, shown(url))


@contextlib.asynccontextmanager
async def opened(
    store: str | None, endpoints: Path | None, *, may_create: bool = False
) -> AsyncIterator[LockStore]:
    """Open the store that the options name, and close it at the end of the block.

    Args:
        store: What ``--store`` says.
        endpoints: What ``--endpoints`` says.
        may_create: Whether a database may be made that is not there. Whoever only looks at one that
            is not there has most likely mistyped its path.

    Raises:
        typer.BadParameter: If none is named, it can't be made, or does not answer, also when that
            happens within the block: the command could not be tried. No secret is in it.
    """
    target = chosen(store, endpoints)
    try:
        made = LockStore.create(target.config)
    except (RasaException, ValueError, TypeError) as error:
        raise _refusal(target, error) from None
    try:
        _check_use(made, target, may_create=may_create)
        yield made
    except (StoreUnavailable, StoreClosed, CorruptLock, IncompatibleRecord) as error:
        raise _refusal(target, error) from None
    finally:
        await made.aclose()


def _check_use(made: LockStore, target: Target, *, may_create: bool) -> None:
    if isinstance(made, SQLiteLockStore) and not may_create and not Path(made.path).exists():
        raise typer.BadParameter(
            f"there is no database {made.path}: nobody has taken a lock there yet, or that is not "
            "the path that the bot uses.",
            param_hint=target.option,
        )
    if isinstance(made, InMemoryLockStore):
        typer.echo(
            "note: a store in memory is this process's own; what others lock is not in it.",
            err=True,
        )


def _refusal(target: Target, error: Exception) -> typer.BadParameter:
    return typer.BadParameter(f"{target.name} cannot be used: {error}", param_hint=target.option)
