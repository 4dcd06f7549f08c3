"""Our SQLite store, for threads."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from benchmarks.drivers import ThreadDriver
from benchmarks.peers.files import folder
from nowserving import SQLiteLockStore
from nowserving._runtime.portal import run_inline

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from benchmarks.server import Address
    from benchmarks.stay import Stay


class _Driver(ThreadDriver):
    """In a thread of its own: a plain ``with`` refuses to block an event loop's."""

    async def cycles(self, names: Sequence[str]) -> list[float]:
        return await asyncio.to_thread(run_inline, super().cycles(names))

    async def alternate(self, name: str, hold: float, rest: float, until: float) -> list[Stay]:
        return await asyncio.to_thread(run_inline, super().alternate(name, hold, rest, until))


@contextlib.asynccontextmanager
async def opened(address: Address) -> AsyncIterator[ThreadDriver]:
    """Open it."""
    async with SQLiteLockStore(folder(address, "nowserving") / "locks.db") as store:
        yield _Driver(store.lock)
