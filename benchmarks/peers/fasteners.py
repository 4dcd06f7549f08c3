"""fasteners: a locked file a conversation; blocks its thread, and looks again and again."""

from __future__ import annotations

import contextlib
from functools import cache
from typing import TYPE_CHECKING

import fasteners

from benchmarks.drivers import ThreadDriver
from benchmarks.peers.files import file_of, folder
from benchmarks.peers.settings import LOOK_EVERY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from benchmarks.server import Address


@contextlib.asynccontextmanager
async def opened(address: Address) -> AsyncIterator[ThreadDriver]:
    """Open it."""
    where = folder(address, "fasteners")

    @cache
    def lock_of(name: str) -> fasteners.InterProcessLock:
        return fasteners.InterProcessLock(file_of(where, name))

    @contextlib.contextmanager
    def turn(name: str) -> Iterator[None]:
        lock = lock_of(name)
        # Its own `with` looks after 10 ms, then ever more seldom, up to 100 ms.
        lock.acquire(delay=LOOK_EVERY, max_delay=LOOK_EVERY)
        try:
            yield
        finally:
            lock.release()

    yield ThreadDriver(turn)
