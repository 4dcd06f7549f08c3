"""Our in-memory store."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from benchmarks.drivers import AsyncDriver
from nowserving import LockStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.server import Address


@contextlib.asynccontextmanager
async def opened(address: Address) -> AsyncIterator[AsyncDriver]:  # noqa: ARG001 - has no server
    """Open it."""
    async with LockStore.create("memory://") as store:
        yield AsyncDriver(store.lock)
