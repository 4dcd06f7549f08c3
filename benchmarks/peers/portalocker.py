"""portalocker: a locked file a conversation; blocks its thread, and looks again and again."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, cast

import portalocker

from benchmarks.drivers import ThreadDriver
from benchmarks.peers.files import file_of, folder
from benchmarks.peers.settings import LIFETIME, LOOK_EVERY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.server import Address


@contextlib.asynccontextmanager
async def opened(address: Address) -> AsyncIterator[ThreadDriver]:
    """Open it."""
    where = folder(address, "portalocker")

    def turn(name: str) -> contextlib.AbstractContextManager[object]:
        lock = portalocker.Lock(file_of(where, name), timeout=LIFETIME, check_interval=LOOK_EVERY)
        return cast("contextlib.AbstractContextManager[object]", lock)

    yield ThreadDriver(turn)
