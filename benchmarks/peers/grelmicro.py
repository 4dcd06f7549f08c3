"""The lock of grelmicro, over redis-py."""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING

from grelmicro.coordination.lock import Lock, LockConfig
from grelmicro.coordination.redis import RedisLockAdapter
from grelmicro.providers.redis import RedisProvider
from redis.asyncio import Redis

from benchmarks.drivers import AsyncDriver
from benchmarks.peers.settings import CONNECTIONS, LIFETIME, LOOK_EVERY
from benchmarks.server import HOST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.server import Address


@contextlib.asynccontextmanager
async def opened(address: Address) -> AsyncIterator[AsyncDriver]:
    """Open it; its settings are read once, as an application would."""
    client = Redis(host=HOST, port=address.port, db=address.db, max_connections=CONNECTIONS)
    provider = RedisProvider.from_client(client, own=True)
    config = LockConfig(worker=uuid.uuid4().hex, lease_duration=LIFETIME, retry_interval=LOOK_EVERY)
    async with provider, RedisLockAdapter(provider=provider) as backend:

        def turn(name: str) -> Lock:
            lock: Lock = Lock.from_config(name, config, backend=backend)
            return lock

        yield AsyncDriver(turn)
