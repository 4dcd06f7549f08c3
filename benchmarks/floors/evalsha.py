"""The floor of a lock over redis-py: two scripts that do nothing, one after the other."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from redis.asyncio import Redis

from benchmarks.drivers import AsyncDriver
from benchmarks.peers.settings import CONNECTIONS
from benchmarks.server import HOST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.server import Address

NOTHING = "return '1'"


class _TwoTrips:
    __slots__ = ("_client", "_name", "_sha")

    def __init__(self, client: Redis, sha: str, name: str) -> None:
        self._client, self._sha, self._name = client, sha, name

    async def __aenter__(self) -> None:
        await self._trip()

    async def __aexit__(self, *exc: object) -> None:
        await self._trip()

    async def _trip(self) -> None:
        reply: Any = self._client.evalsha(self._sha, 1, self._name)
        await reply


@contextlib.asynccontextmanager
async def opened(address: Address) -> AsyncIterator[AsyncDriver]:
    """Open it."""
    client = Redis(host=HOST, port=address.port, db=address.db, max_connections=CONNECTIONS)
    async with client:
        sha = await client.script_load(NOTHING)
        yield AsyncDriver(lambda name: _TwoTrips(client, sha, name))
