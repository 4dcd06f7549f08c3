"""One reading of the store for all who look: repeated while somebody follows, shared by all.

A follower that reads slowly gets the newest reading when it comes back, never a backlog.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

EVERY = 1.0
"""Seconds from one reading to the next, at least."""


class Answer(NamedTuple):
    """What a reading brings.

    Attributes:
        value: What was read, as it is sent.
        took: Seconds for which somebody worked for it; 0 if it failed.
    """

    value: bytes
    took: float


class Reading(NamedTuple):
    """What was read.

    Attributes:
        version: Counts the readings of a feed.
        value: What was read.
    """

    version: int
    value: bytes


class Feed:
    """Reads as long as somebody follows.

    Args:
        read: What reads; it may take its time, and must not raise.
        every: Seconds from one reading to the next.
    """

    def __init__(self, read: Callable[[], Awaitable[Answer]], every: float = EVERY) -> None:
        self._read = read
        self._every = every
        self._bells: set[asyncio.Event] = set()
        self._task: asyncio.Task[None] | None = None
        self.newest: Reading | None = None
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
            value, took = await self._read()
            version += 1
            self.newest = Reading(version, value)
            for bell in self._bells:
                bell.set()
            # Whoever has worked long for the answer rests as long.
            await asyncio.sleep(max(began + self._every - loop.time(), took))
