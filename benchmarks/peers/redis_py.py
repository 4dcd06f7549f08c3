"""redis-py's own lock, the asynchronous one."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from redis.asyncio import Redis

from benchmarks.drivers import AsyncDriver
from benchmarks.peers.settings import CONNECTIONS, LIFETIME, LOOK_EVERY
from benchmarks.server import HOST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from redis.asyncio.lock import Lock

    from benchmarks.server import Address


@contextlib.asynccontextmanager
async def opened(address: Address) -> AsyncIterator[AsyncDriver]:
    """Open it."""
    client = Redis(host=HOST, port=address.port, db=address.db, max_connections=CONNECTIONS)

    def turn(name: str) -> Lock:
        return client.lock(name, timeout=LIFETIME, sleep=LOOK_EVERY)

    async with client:
        yield AsyncDriver(turn)
