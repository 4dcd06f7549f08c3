"""One reading of the store for all who look: repeated while somebody follows, shared by all.

A follower that reads slowly gets the newest reading when it comes back, never a backlog.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

T = TypeVar("T")

EVERY = 1.0
"""Seconds from one reading to the next, at least."""

_SHARE = 4
"""A reading that takes long is followed by a pause of so many times as long."""


class Reading(NamedTuple, Generic[T]):
    """What was read.

    Attributes:
        version: Counts the readings of a feed.
        value: What it was.
    """

    version: int
    value: T


class Feed(Generic[T]):
    """Reads as long as somebody follows.

    Args:
        read: What reads; it may take its time, and must not raise.
        every: Seconds from one reading to the next.
    """

    def __init__(self, read: Callable[[], Awaitable[T]], every: float = EVERY) -> None:
        self._read = read
        self._every = every
        self._bells: set[asyncio.Event] = set()
        self._task: asyncio.Task[None] | None = None
        self.newest: Reading[T] | None = None
        self.followers = 0

    @contextlib.contextmanager
    def follow(self, bell: asyncio.Event) -> Iterator[None]:
        """Have the feed read inside the block, and the bell set at each new reading.

        Args:
            bell: One for all that its owner follows; the owner clears it.
        """
        self._bells.add(bell)
        self.followers += 1
        if self._task is None:
            # In nobody's context: it outlives the request that happened to come first.
            loop = asyncio.get_running_loop()
            self._task = contextvars.Context().run(loop.create_task, self._run())
        if self.newest is not None:
            bell.set()
        try:
            yield
        finally:
            self._bells.discard(bell)
            self.followers -= 1
            if not self.followers and self._task is not None:
                self._task.cancel()
                self._task = None
                self.newest = None  # whoever comes next does not want to see what was

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        version = 0
        while True:
            began = loop.time()
            value = await self._read()
            version += 1
            self.newest = Reading(version, value)
            for bell in self._bells:
                bell.set()
            took = loop.time() - began
            await asyncio.sleep(max(self._every - took, _SHARE * took))
