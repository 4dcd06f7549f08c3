"""``naive`` in memory: the same tickets in a dictionary, and still a look every second."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.drivers import AsyncDriver
from benchmarks.peers.settings import LIFETIME

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.server import Address

_LOOK_EVERY = 1.0


class _Ticket(NamedTuple):
    number: int
    expires: float

    def has_expired(self) -> bool:
        return time.time() > self.expires


class _Line:
    """One conversation's tickets; every look drops the expired ones first."""

    def __init__(self) -> None:
        self.tickets: deque[_Ticket] = deque()

    def drop_expired(self) -> None:
        for ticket in list(self.tickets):
            if ticket.has_expired():
                self.tickets.remove(ticket)

    def issue(self) -> int:
        self.drop_expired()
        number = self.tickets[-1].number + 1 if self.tickets else 0
        self.tickets.append(_Ticket(number, time.time() + LIFETIME))
        return number

    def now_serving(self) -> int:
        self.drop_expired()
        return self.tickets[0].number if self.tickets else 0

    def remove(self, number: int) -> None:
        for ticket in list(self.tickets):
            if ticket.number == number:
                self.tickets.remove(ticket)


class NaiveMemoryStore:
    """The store."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}

    @contextlib.asynccontextmanager
    async def lock(self, name: str) -> AsyncIterator[None]:
        """Wait for the turn, hold it, and leave."""
        line = self._lines.get(name) or _Line()
        number = line.issue()
        self._lines[name] = line
        try:
            while self._waits(name, number):  # noqa: ASYNC110 - that is what it shows
                await asyncio.sleep(_LOOK_EVERY)
            yield
        finally:
            line = self._lines[name]
            line.remove(number)
            self._lines[name] = line
            line.drop_expired()
            if not line.tickets:
                del self._lines[name]

    def _waits(self, name: str, number: int) -> bool:
        line = self._lines.get(name)
        return line is not None and line.now_serving() != number


@contextlib.asynccontextmanager
async def opened(address: Address) -> AsyncIterator[AsyncDriver]:  # noqa: ARG001 - has no server
    """Open it."""
    yield AsyncDriver(NaiveMemoryStore().lock)
