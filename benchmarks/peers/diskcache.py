"""diskcache's lock: a row of an SQLite database; blocks its thread, and looks every 1 ms."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, cast

import diskcache

from benchmarks.drivers import ThreadDriver
from benchmarks.peers.files import folder
from benchmarks.peers.settings import LIFETIME

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.server import Address


@contextlib.asynccontextmanager
async def opened(address: Address) -> AsyncIterator[ThreadDriver]:
    """Open it."""
    with diskcache.Cache(str(folder(address, "diskcache"))) as cache:

        def turn(name: str) -> contextlib.AbstractContextManager[object]:
            lock = diskcache.Lock(cache, name, expire=LIFETIME)
            return cast("contextlib.AbstractContextManager[object]", lock)

        yield ThreadDriver(turn)
