"""The lock of coredis."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from coredis import Redis
from coredis.patterns.lock import Lock

from benchmarks.drivers import AsyncDriver
from benchmarks.peers.settings import LIFETIME, LOOK_EVERY
from benchmarks.server import HOST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.server import Address


@contextlib.asynccontextmanager
async def opened(address: Address) -> AsyncIterator[AsyncDriver]:
    """Open it."""
    client = Redis(host=HOST, port=address.port, db=address.db, decode_responses=True)

    def turn(name: str) -> Lock[str]:
        return Lock(client, name, timeout=LIFETIME, sleep=LOOK_EVERY)

    async with client:
        yield AsyncDriver(turn)
