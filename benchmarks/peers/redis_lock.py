"""python-redis-lock: blocks its thread."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, cast

import redis
import redis_lock

from benchmarks.drivers import ThreadDriver
from benchmarks.peers.settings import CONNECTIONS, LIFETIME
from benchmarks.server import HOST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.server import Address


@contextlib.asynccontextmanager
async def opened(address: Address) -> AsyncIterator[ThreadDriver]:
    """Open it."""
    client = redis.Redis(host=HOST, port=address.port, db=address.db, max_connections=CONNECTIONS)

    def turn(name: str) -> contextlib.AbstractContextManager[object]:
        lock = redis_lock.Lock(client, name, expire=LIFETIME)
        return cast("contextlib.AbstractContextManager[object]", lock)

    try:
        yield ThreadDriver(turn)
    finally:
        client.close()
