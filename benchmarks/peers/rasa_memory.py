"""Rasa's own in-memory lock store, where Rasa is installed (it wants an environment of its own)."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from rasa.core.lock_store import (  # type: ignore[attr-defined]  # our stand-in has no stores
    InMemoryLockStore,
)

from benchmarks.drivers import AsyncDriver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.server import Address


@contextlib.asynccontextmanager
async def opened(address: Address) -> AsyncIterator[AsyncDriver]:  # noqa: ARG001 - has no server
    """Open it."""
    yield AsyncDriver(InMemoryLockStore().lock)
