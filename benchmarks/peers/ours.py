"""Our Redis store."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from benchmarks.drivers import AsyncDriver
from nowserving import LockStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.server import Address


@contextlib.asynccontextmanager
async def opened(address: Address) -> AsyncIterator[AsyncDriver]:
    """Open it."""
    async with LockStore.create(address.url) as store:
        yield AsyncDriver(store.lock)
