"""What is too much for one call of a verb: it fails alone, and not the batch it travels in."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from nowserving import StoreUnavailable, Ticket, TicketLock
from nowserving.stores.redis.queue import RedisQueue

if TYPE_CHECKING:
    from nowserving import LockStore

MANY = 20_000


async def test_a_verb_with_too_many_arguments_fails_alone(store: LockStore) -> None:
    queue = store._runtime.queue
    assert isinstance(queue, RedisQueue)

    async def turn(index: int) -> str:
        async with store.lock(f"c{index}"):
            return "served"

    too_much = queue._call("too much", "line", *range(MANY))
    # One is on its way, so that all others share the next batch of either session.
    done = await asyncio.gather(
        *(turn(index) for index in range(10)),
        too_much,
        *(turn(index) for index in range(10, 20)),
        return_exceptions=True,
    )
    failed = done.pop(10)
    assert isinstance(failed, StoreUnavailable)
    assert "too many results to unpack" in str(failed)
    assert done == ["served"] * 20


async def test_a_long_line_is_saved_beside_other_calls(store: LockStore) -> None:
    expires = time.time() + 60
    lock = TicketLock("long", [Ticket(number, expires) for number in range(MANY)])

    async def turn(index: int) -> None:
        async with store.lock(f"c{index}"):
            pass

    queue = store._runtime.queue
    await asyncio.gather(*map(turn, range(10)), queue.save(lock), *map(turn, range(10, 20)))
    line = await queue.line("long")
    assert line is not None
    assert [ticket.number for ticket in line.tickets] == list(range(MANY))
    await queue.delete("long")
