"""The floor of any lock in SQLite: two transactions that write a row, in the caller's thread.

With the settings of our store, so that a commit does not wait for the disk.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

from benchmarks.drivers import ThreadDriver
from benchmarks.peers.files import folder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from benchmarks.server import Address

_WRITE = "INSERT INTO floor VALUES (?, 1) ON CONFLICT DO UPDATE SET count = count + 1"


@contextlib.asynccontextmanager
async def opened(address: Address) -> AsyncIterator[ThreadDriver]:
    """Open it."""
    path = folder(address, "floor") / "floor.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("CREATE TABLE IF NOT EXISTS floor (name TEXT PRIMARY KEY, count INTEGER)")

    def transaction(name: str) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(_WRITE, (name,))
        connection.execute("COMMIT")

    @contextlib.contextmanager
    def turn(name: str) -> Iterator[None]:
        transaction(name)
        yield
        transaction(name)

    yield ThreadDriver(turn)
    connection.close()
