"""The floor of any lock in asyncio that makes two round trips: nothing but the trips."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from benchmarks.drivers import AsyncDriver
from benchmarks.floors.evalsha import NOTHING
from benchmarks.floors.wire import BareWire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.server import Address


class _TwoTrips:
    __slots__ = ("_name", "_sha", "_wire")

    def __init__(self, wire: BareWire, sha: str, name: str) -> None:
        self._wire, self._sha, self._name = wire, sha, name

    async def __aenter__(self) -> None:
        await self._wire.ask("EVALSHA", self._sha, 1, self._name)

    async def __aexit__(self, *exc: object) -> None:
        await self._wire.ask("EVALSHA", self._sha, 1, self._name)


@contextlib.asynccontextmanager
async def opened(address: Address) -> AsyncIterator[AsyncDriver]:
    """Open it."""
    wire = await BareWire.dialled(address)
    sha: bytes = await wire.ask("SCRIPT", "LOAD", NOTHING)
    yield AsyncDriver(lambda name: _TwoTrips(wire, sha.decode(), name))
    wire.close()
