"""``settle`` over Redis: nobody polls for it, and what is lost on the way costs no turn."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from nowserving import LockError, LockStore, LockSuperseded
from tests.process.test_costs import calls
from tests.process.test_redis_clock import HOUR, set_clock
from tests.support.crew import until

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from tests.support.proxy import Proxy
    from tests.support.redis_server import RedisServer

SETTLE = 0.5
NO_POLLS = 600.0


async def turn(store: LockStore, message_id: str, **how: Any) -> tuple[object, ...]:
    how = {"when_busy": "latest", "settle": SETTLE, **how}
    async with store.lock("c", 60, NO_POLLS, message_id=message_id, **how) as lock:
        return lock.superseded


async def waits(store: LockStore, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Start a turn, and wait until it is in line."""
    task = asyncio.create_task(coroutine)
    await asyncio.to_thread(until, lambda: bool(numbers(store)))
    return task


def numbers(store: LockStore) -> list[int]:
    lock = store.get_lock("c")
    return [] if lock is None else [ticket.number for ticket in lock.tickets]


async def test_a_burst_costs_its_takes_and_one_question_when_it_is_over(
    server: RedisServer, store: LockStore
) -> None:
    async with store.lock("c"):
        pass
    server.cli("CONFIG", "RESETSTAT")
    burst = [asyncio.create_task(turn(store, f"m{index}")) for index in range(5)]
    await asyncio.sleep(SETTLE * 0.8)
    asked = calls(server)["evalsha"]
    assert asked <= 5 + 2 * 4  # whoever is superseded gives its ticket back, and asks who holds
    ends = await asyncio.gather(*burst, return_exceptions=True)
    assert [type(end) for end in ends[:-1]] == [LockSuperseded] * 4
    assert ends[-1] == ("m0", "m1", "m2", "m3")
    # When it is over, once more if that was a moment too early; for whom it answers; and the leave.
    assert calls(server)["evalsha"] <= asked + 4


async def test_a_holder_that_leaves_early_tells_until_when_the_line_settles(
    server: RedisServer, store: LockStore
) -> None:
    async with store.lock("c"):
        arrived = time.monotonic()
        waiter = asyncio.create_task(turn(store, "m"))
        await asyncio.to_thread(until, lambda: len(numbers(store)) == 2)
        server.cli("CONFIG", "RESETSTAT")
    assert await waiter == ()
    assert SETTLE * 0.9 <= time.monotonic() - arrived < SETTLE + 5
    assert calls(server)["evalsha"] <= 4  # two leaves, and a question or two


async def test_the_clock_is_set_back_under_a_line_that_settles(
    server: RedisServer, store: LockStore
) -> None:
    waiter = await waits(store, turn(store, "m", settle=1.0))
    began = time.monotonic()
    set_clock(server, -HOUR)
    assert await waiter == ()
    assert time.monotonic() - began < 1.0 + 5


async def test_whoever_settles_learns_that_the_data_is_lost(
    server: RedisServer, store: LockStore
) -> None:
    waiter = await waits(store, turn(store, "m"))
    server.cli("FLUSHALL")
    with pytest.raises(LockError):
        await waiter
    assert await turn(store, "m") == ()


@pytest.mark.parametrize("what", ["request", "reply"])
async def test_a_lost_take_supersedes_once_and_answers_for_all(
    proxy: Proxy, server: RedisServer, what: Any
) -> None:
    async with (
        LockStore.create(proxy.url(socket_timeout=2)) as behind,
        LockStore.create(server.url()) as direct,
    ):
        async with behind.lock("warm-up", 1.0):
            pass
        waiter = await waits(direct, turn(direct, "first", settle=5.0))
        proxy.cut("take", what)
        newest = asyncio.create_task(turn(behind, "second"))
        with pytest.raises(LockSuperseded):
            await waiter
        assert await newest == ("first",)


async def test_a_lost_reply_to_what_it_answers_for_is_asked_again(
    proxy: Proxy, server: RedisServer
) -> None:
    async with (
        LockStore.create(proxy.url(socket_timeout=2)) as behind,
        LockStore.create(server.url()) as direct,
    ):
        async with behind.lock("warm-up", 1.0):
            pass
        waiter = await waits(direct, turn(direct, "first", settle=50.0))
        proxy.cut("superseded", "reply")
        assert await turn(behind, "second", settle=None) == ("first",)
        with pytest.raises(LockSuperseded):
            await waiter
