"""``naive``: a ticket store that reads, changes and writes back in separate commands.

Our own code, after the facts that are known of such stores: the whole line is one JSON value, a
turn takes seven commands, each of them blocks the event loop, and a waiter looks once a second.
Between a read and its write another process may write too: then a ticket is gone, or there are
two of one number. The benchmark shows what that costs.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import TYPE_CHECKING

import redis

from benchmarks.drivers import AsyncDriver
from benchmarks.peers.settings import LIFETIME
from benchmarks.server import HOST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.server import Address

_LOOK_EVERY = 1.0


class Line:
    """The tickets of one conversation: (number, expiry) pairs, the first is served.

    Args:
        text: As stored; None where nothing is stored.
    """

    def __init__(self, text: str | None) -> None:
        now = time.time()
        stored = json.loads(text)["tickets"] if text else []
        self.tickets = [(number, expires) for number, expires in stored if expires > now]

    def issue(self) -> int:
        """Append a ticket and return its number."""
        number: int = self.tickets[-1][0] + 1 if self.tickets else 0
        self.tickets.append((number, time.time() + LIFETIME))
        return number

    def serves(self, number: int) -> bool:
        """Return whether this number is served."""
        return bool(self.tickets) and self.tickets[0][0] == number

    def remove(self, number: int) -> None:
        """Take a ticket out."""
        self.tickets = [ticket for ticket in self.tickets if ticket[0] != number]

    def dumps(self) -> str:
        """Return what is stored."""
        return json.dumps({"tickets": self.tickets})


class NaiveStore:
    """The store.

    Args:
        client: A blocking client.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    @contextlib.asynccontextmanager
    async def lock(self, name: str) -> AsyncIterator[None]:
        """Wait for the turn, hold it, and leave."""
        number = self._issue(name)
        try:
            while not self._read(name).serves(number):  # noqa: ASYNC110 - that is what it shows
                await asyncio.sleep(_LOOK_EVERY)
            yield
        finally:
            self._finish(name, number)

    def _issue(self, name: str) -> int:
        line = self._read(name)
        number = line.issue()
        self._client.set(name, line.dumps())
        return number

    def _finish(self, name: str, number: int) -> None:
        line = self._read(name)
        line.remove(number)
        self._client.set(name, line.dumps())
        if not self._read(name).tickets:
            self._client.delete(name)

    def _read(self, name: str) -> Line:
        text = self._client.get(name)
        return Line(text if isinstance(text, str) else None)


@contextlib.asynccontextmanager
async def opened(address: Address) -> AsyncIterator[AsyncDriver]:
    """Open it."""
    client = redis.Redis(host=HOST, port=address.port, db=address.db, decode_responses=True)
    try:
        yield AsyncDriver(NaiveStore(client).lock)
    finally:
        client.close()
