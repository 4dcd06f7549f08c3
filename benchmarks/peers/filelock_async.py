"""filelock's lock for event loops: the same, in threads of the loop's."""

from __future__ import annotations

import contextlib
from functools import cache
from typing import TYPE_CHECKING

from filelock import AsyncFileLock

from benchmarks.drivers import AsyncDriver
from benchmarks.peers.files import file_of, folder
from benchmarks.peers.settings import LOOK_EVERY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.server import Address


@contextlib.asynccontextmanager
async def opened(address: Address) -> AsyncIterator[AsyncDriver]:
    """Open it."""
    where = folder(address, "filelock")

    @cache
    def turn(name: str) -> AsyncFileLock:
        return AsyncFileLock(file_of(where, name), poll_interval=LOOK_EVERY)

    yield AsyncDriver(turn)
