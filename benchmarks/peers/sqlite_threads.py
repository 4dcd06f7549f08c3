"""Our SQLite store, for threads."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, TypeVar

from benchmarks.drivers import ThreadDriver
from benchmarks.peers.files import folder
from nowserving import SQLiteLockStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Sequence

    from benchmarks.server import Address
    from benchmarks.stay import Stay

_T = TypeVar("_T")


class _Driver(ThreadDriver):
    """In a thread of its own: a plain ``with`` refuses to block an event loop's."""

    async def cycles(self, names: Sequence[str]) -> list[float]:
        return await asyncio.to_thread(_run, super().cycles(names))

    async def alternate(self, name: str, hold: float, rest: float, until: float) -> list[Stay]:
        return await asyncio.to_thread(_run, super().alternate(name, hold, rest, until))


def _run(never_waits: Coroutine[Any, Any, _T]) -> _T:
    try:
        never_waits.send(None)
    except StopIteration as end:
        result: _T = end.value
        return result
    raise AssertionError


@contextlib.asynccontextmanager
async def opened(address: Address) -> AsyncIterator[ThreadDriver]:
    """Open it."""
    async with SQLiteLockStore(folder(address, "nowserving") / "locks.db") as store:
        yield _Driver(store.lock)
