"""A verb's caller waits so long and no longer; the connection and everybody else go on."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from nowserving import LockStore, StoreUnavailable
from nowserving.protocol.queue import status_of
from nowserving.protocol.status import Admission, State
from nowserving.stores.redis.queue import RedisQueue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from tests.support.proxy import Proxy
    from tests.support.redis_server import RedisServer

ROOM = 0.3  # seconds, on a noisy machine
ADMISSION = Admission(30.0)


@pytest.fixture
async def queue(proxy: Proxy) -> AsyncIterator[RedisQueue]:
    """A connected queue that waits four seconds for an answer."""
    async with LockStore.create(proxy.url(socket_timeout=4)) as store:
        async with store.lock("warm-up"):
            pass
        found = store._runtime.queue
        assert isinstance(found, RedisQueue)
        yield found


async def given_up(verb: Awaitable[Any], within: float) -> bool:
    """Return whether a verb raised ``TimeoutError`` just in time."""
    began = time.monotonic()
    with pytest.raises(asyncio.TimeoutError):
        await verb
    return within <= time.monotonic() - began < within + ROOM


async def test_a_caller_that_waits_no_longer_costs_nobody_anything(
    server: RedisServer, proxy: Proxy, queue: RedisQueue, caplog: pytest.LogCaptureFixture
) -> None:
    taken, patient, hasty = (queue.handle(name) for name in ("c", "c", "d"))
    await queue.take(taken, ADMISSION)
    for name in "cd":  # all its connections stand
        await queue.line(name)
    before = proxy.connections
    await asyncio.to_thread(server.pause)
    leaving = asyncio.create_task(given_up(queue.leave(taken, "done", within=0.3), 0.3))
    await asyncio.sleep(0)  # it is on its way
    waiting = asyncio.create_task(queue.take(patient, ADMISSION))
    assert await given_up(queue.take(hasty, ADMISSION, within=0.1), 0.1)
    assert await given_up(status_of(queue, patient, within=0.1), 0.1)
    assert await leaving
    await asyncio.to_thread(server.resume)
    assert (await waiting).state is State.SERVED, "the leave was carried out"
    assert (await status_of(queue, patient)).state is State.SERVED, "and no answer is mistaken"
    assert proxy.connections == before, "no connection was given up"
    assert not caplog.records


async def test_what_was_not_sent_yet_is_not_sent_any_more(server: RedisServer) -> None:
    server.stop()
    async with LockStore.create(server.url(socket_timeout=4)) as store:
        queue: Any = store._runtime.queue
        handle, other = queue.handle("c"), queue.handle("d")
        kept = asyncio.create_task(queue.take(other, ADMISSION))
        assert await given_up(queue.take(handle, ADMISSION, within=0.1), 0.1)
        departure = await asyncio.wait_for(queue.leave(handle, "abandoned"), 0.1)
        assert not departure.left, "and nothing has to be asked for that"
        await asyncio.to_thread(server.start)
        await kept
        assert await queue.line("c") is None


async def test_a_store_that_does_not_answer_is_told_first(
    server: RedisServer, queue: RedisQueue
) -> None:
    await asyncio.to_thread(server.pause)
    handle = queue.handle("c")
    with pytest.raises(StoreUnavailable, match="did not answer in time"):
        await queue.take(handle, ADMISSION, within=4.0)


async def test_a_limit_for_each_call_is_no_timer_for_each_call(queue: RedisQueue) -> None:
    async def turn(name: str) -> None:
        handle = queue.handle(name)
        await queue.take(handle, ADMISSION, within=2.0)
        await queue.leave(handle, "done", within=1.0)

    loop = asyncio.get_running_loop()
    with mock.patch.object(loop, "call_at", wraps=loop.call_at) as timers:
        for _ in range(20):
            await asyncio.gather(*(turn(f"c{index}") for index in range(20)))
    assert timers.call_count < 10
