"""Our SQLite store, for threads."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from benchmarks.drivers import ThreadDriver
from benchmarks.peers.files import folder
from nowserving import SQLiteLockStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.server import Address


@contextlib.asynccontextmanager
async def opened(address: Address) -> AsyncIterator[ThreadDriver]:
    """Open it."""
    async with SQLiteLockStore(folder(address, "nowserving") / "locks.db") as store:
        yield ThreadDriver(store.lock)
