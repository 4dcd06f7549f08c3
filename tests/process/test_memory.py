"""What a conversation takes of Redis's memory."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

from tests.support.tasks import Turns

if TYPE_CHECKING:
    from nowserving import LockStore
    from tests.support.redis_server import RedisServer

PACKED = {"listpack", "ziplist"}  # by the server's version


async def test_a_record_stays_packed_however_many_tickets_were_drawn(
    server: RedisServer, store: LockStore
) -> None:
    """Redis keeps a hash packed while no value in it is longer than 64 bytes."""
    queue: Any = store._runtime.queue
    queue._link_counter = itertools.count(9)
    queue._link()._counter = itertools.count(10_000_000)
    turns = Turns(store)
    for renewed in (False, True, False):
        turns.start(hold=0.1, lifetime=600.0, auto_renew=renewed)
    await turns.until_in_line(3)
    with server.client() as client:
        encodings = {client.object("encoding", "lock:{c}")}
        while not all(task.done() for task in turns.tasks):
            await asyncio.sleep(0.02)
            encodings.add(client.object("encoding", "lock:{c}"))
    assert encodings <= PACKED
    assert [turn.number for turn in turns.done] == [0, 1, 2]
