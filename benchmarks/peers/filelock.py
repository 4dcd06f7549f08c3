"""filelock: a locked file a conversation; blocks its thread, and looks again and again."""

from __future__ import annotations

import contextlib
from functools import cache
from typing import TYPE_CHECKING

from filelock import FileLock

from benchmarks.drivers import ThreadDriver
from benchmarks.peers.files import file_of, folder
from benchmarks.peers.settings import LOOK_EVERY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.server import Address


@contextlib.asynccontextmanager
async def opened(address: Address) -> AsyncIterator[ThreadDriver]:
    """Open it."""
    where = folder(address, "filelock")

    @cache
    def turn(name: str) -> FileLock:
        return FileLock(file_of(where, name), poll_interval=LOOK_EVERY)

    yield ThreadDriver(turn)
