"""A line is lost, or goes back in time, while tickets of it live: numbers are given out twice."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import redis

from nowserving import LockError, LockStore
from tests.support.crew import assert_exact
from tests.support.redis_server import HOST
from tests.support.tasks import Turns

if TYPE_CHECKING:
    from tests.support.redis_server import RedisServer

WAIT = 0.2
SOON = 2 * WAIT + 0.4
KEY = "lock:{c}"


async def test_a_waiter_does_not_enter_on_the_number_of_another(
    server: RedisServer, store: LockStore
) -> None:
    before, after = Turns(store), Turns(store)
    before.start(hold=1.5)
    await before.until_inside()
    (waiter,) = before.start(hold=0.1, wait=WAIT)
    await before.until_in_line(2)
    await asyncio.to_thread(server.cli, "FLUSHDB")
    after.start(hold=0.1, wait=WAIT)
    await after.until_inside()
    after.start(hold=2 * SOON, wait=WAIT)  # has the waiter's number, and is served
    await asyncio.wait({waiter}, timeout=SOON)
    assert waiter.done()
    assert [type(error) for error in before.errors] == [LockError]
    await before.finish()
    await after.finish()
    assert [turn.number for turn in before.done] == [0]
    assert [turn.number for turn in after.done] == [0, 1]
    assert_exact(after.done)
    assert not after.losses


async def test_a_holder_is_not_kept_by_another_of_its_number(
    server: RedisServer, store: LockStore
) -> None:
    async with store.lock("c", 30.0, WAIT) as old:
        await asyncio.to_thread(server.cli, "FLUSHDB")
        after = Turns(store)
        after.start(hold=SOON, wait=WAIT)
        await asyncio.wait_for(old.lost_event.wait(), SOON)
        assert after.inside == 1
        await after.finish()
    assert [(turn.number, turn.token > old.fencing_token) for turn in after.done] == [(0, True)]
    assert not after.losses


async def test_a_waiter_is_not_thrown_out_with_another_of_its_number(
    server: RedisServer, store: LockStore
) -> None:
    before, after = Turns(store), Turns(store)
    before.start(hold=2 * SOON)
    await before.until_inside()
    before.start(2, wait=WAIT)
    await before.until_in_line(3)
    await asyncio.to_thread(server.cli, "FLUSHDB")
    after.start(hold=SOON, wait=WAIT)
    after.start(2, wait=WAIT)
    await after.finish()
    await before.finish()
    assert [type(error) for error in before.errors] == [LockError] * 2
    assert not after.errors
    assert [turn.number for turn in after.done] == [0, 1, 2]
    assert_exact(after.done)


async def test_tickets_that_a_record_forgot_are_told_though_nothing_else_changed(
    server: RedisServer, store: LockStore
) -> None:
    """Without a new connection, too: as when the old primary only hangs."""
    turns = Turns(store)
    turns.start(hold=4 * SOON)
    await turns.until_inside()
    turns.start(2, wait=WAIT)
    await turns.until_in_line(3)
    await asyncio.sleep(SOON)  # all of them were polled
    with redis.Redis(HOST, server.port, db=1) as client:
        kept = client.dump(KEY)
        late = turns.start(3, wait=WAIT)
        await turns.until_in_line(6)
        await asyncio.sleep(SOON)
        client.restore(KEY, 60_000, kept, replace=True)
        told = time.monotonic()
        await asyncio.wait(late, timeout=SOON)
    assert time.monotonic() - told < SOON
    assert all(task.done() for task in late)
    await turns.finish()
    assert [type(error) for error in turns.errors] == [LockError] * 3
    assert [turn.number for turn in turns.done] == [0, 1, 2]
    assert_exact(turns.done)
