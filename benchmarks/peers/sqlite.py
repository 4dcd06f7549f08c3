"""Our SQLite store."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from benchmarks.drivers import AsyncDriver
from benchmarks.peers.files import folder
from nowserving import SQLiteLockStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.server import Address


@contextlib.asynccontextmanager
async def opened(address: Address) -> AsyncIterator[AsyncDriver]:
    """Open it."""
    async with SQLiteLockStore(folder(address, "nowserving") / "locks.db") as store:
        yield AsyncDriver(store.lock)
