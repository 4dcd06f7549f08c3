"""fasteners: a locked file a conversation; blocks its thread, and looks again and again."""

from __future__ import annotations

import contextlib
from functools import cache
from typing import TYPE_CHECKING, cast

import fasteners

from benchmarks.drivers import ThreadDriver
from benchmarks.peers.files import file_of, folder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.server import Address


@contextlib.asynccontextmanager
async def opened(address: Address) -> AsyncIterator[ThreadDriver]:
    """Open it."""
    where = folder(address, "fasteners")

    @cache
    def turn(name: str) -> contextlib.AbstractContextManager[object]:
        lock = fasteners.InterProcessLock(file_of(where, name))
        return cast("contextlib.AbstractContextManager[object]", lock)

    yield ThreadDriver(turn)
