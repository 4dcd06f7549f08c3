"""A look at a line from a test that has no event loop: cheaper than starting a command for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from nowserving import LockStore
from tests.support.crew import until

if TYPE_CHECKING:
    from nowserving import Line


def line_of(url: str, conversation_id: str) -> Line | None:
    """Return the line of a conversation."""

    async def look() -> Line | None:
        store = LockStore.create(url)
        try:
            return await store.inspect(conversation_id)
        finally:
            await store.aclose()

    return asyncio.run(look())


def waiting(url: str, conversation_id: str = "c") -> int:
    """Return how many wait in a conversation."""
    line = line_of(url, conversation_id)
    return 0 if line is None else len(line.waiting)


def until_waiting(url: str, count: int, conversation_id: str = "c", within: float = 30.0) -> None:
    """Wait until so many wait in a conversation."""
    until(lambda: waiting(url, conversation_id) == count, within)
