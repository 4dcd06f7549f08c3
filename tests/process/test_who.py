"""Which process has a ticket: noted in Redis once a process, read by whoever looks at a line."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nowserving import LockStore
    from tests.support.redis_server import RedisServer


async def noted(server: RedisServer) -> None:
    """Wait until this process is noted."""
    with server.client() as client:
        while not list(client.scan_iter("lock:process:*")):  # noqa: ASYNC110 - it is in Redis
            await asyncio.sleep(0.05)


async def test_a_line_shows_whose_its_tickets_are(server: RedisServer, store: LockStore) -> None:
    async with store.lock("c"):
        issued = await store.take_ticket("c")
        await noted(server)
        line = await store.inspect("c")
        assert line is not None
        assert line.holder is not None
        assert (line.holder.host, line.holder.pid) == (socket.gethostname(), os.getpid())
        (waiting,) = line.waiting
        assert (waiting.number, waiting.host, waiting.pid) == (issued, None, None)
    with server.client() as client:
        (note,) = list(client.scan_iter("lock:process:*"))
        assert 86_400 < client.ttl(note) <= 172_800


async def test_a_process_is_noted_once(server: RedisServer, store: LockStore) -> None:
    for name in ("c", "d", "c"):
        async with store.lock(name):
            pass
    await noted(server)
    with server.client() as client:
        assert len(list(client.scan_iter("lock:process:*"))) == 1


async def test_whose_note_is_gone_nobody_knows(server: RedisServer, store: LockStore) -> None:
    async with store.lock("c"):
        await noted(server)
        with server.client() as client:
            for note in list(client.scan_iter("lock:process:*")):
                client.delete(note)
        line = await store.inspect("c")
        assert line is not None
        assert line.holder is not None
        assert (line.holder.host, line.holder.pid) == (None, None)
