"""The floor of a lock in memory: one ``asyncio.Lock`` a name, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from typing import TYPE_CHECKING

from benchmarks.drivers import AsyncDriver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.server import Address


@contextlib.asynccontextmanager
async def opened(address: Address) -> AsyncIterator[AsyncDriver]:  # noqa: ARG001 - has no server
    """Open it."""
    locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
    yield AsyncDriver(locks.__getitem__)
