"""The settings of an SQLite store, listed once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nowserving._config import history as past
from nowserving._config import readers
from nowserving._config.defaults import as_default
from nowserving._config.settings import readers_of

DEFAULT_BUSY_TIMEOUT_IN_SECONDS = 10.0
"""Seconds within which a call is answered, by default."""


def database_file(name: str, value: object) -> str:
    """Read the path of a database's file."""
    read = readers.path(name, value)
    if read == ":memory:" or read.startswith("file:"):
        raise ValueError(
            f"{name}={read!r} is no file's path. For one process there is InMemoryLockStore(); "
            "a file is named as any other, without file:"
        )
    return read


@dataclass(frozen=True)
class SQLiteSettings:
    """The settings of ``SQLiteLockStore``, which are its arguments, and are described there."""

    path: str = field(metadata={"read": database_file})
    busy_timeout: float = field(
        default=DEFAULT_BUSY_TIMEOUT_IN_SECONDS, metadata={"read": readers.seconds}
    )
    history: int = field(default=0, metadata={"read": past.READERS["history"]})
    history_total: int = field(default=past.TOTAL, metadata={"read": past.READERS["history_total"]})
    history_ttl: float = field(default=past.TTL, metadata={"read": past.READERS["history_ttl"]})


READERS = readers_of(SQLiteSettings)
"""How each setting is read."""

DEFAULTS: dict[str, Any] = {
    "busy_timeout": as_default(DEFAULT_BUSY_TIMEOUT_IN_SECONDS),
    **past.DEFAULTS,
}
"""The defaults in the signature; they count as not given."""
