"""A lease rests on what the store has said, and on nothing else: late answers, early news."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from nowserving import LockStore
from tests.support.tasks import until

if TYPE_CHECKING:
    from tests.support.proxy import Proxy
    from tests.support.redis_server import RedisServer


async def test_an_answer_that_is_late_takes_nothing_of_a_lease_that_was_renewed_since(
    server: RedisServer, proxy: Proxy
) -> None:
    """A poll is answered behind a renewal that was asked for after it."""
    lifetime = 3.0
    async with (
        LockStore.create(proxy.url(socket_timeout=20)) as store,
        LockStore.create(server.url()) as other,
        store.lock("c", lifetime, 0.1, auto_renew=True) as lock,
    ):
        proxy.cut("poll", "late reply")
        await until(lambda: proxy.held)
        polled = expires(other)
        await until(lambda: expires(other) > polled + lifetime / 6)  # renewed
        await asyncio.sleep(0.2)  # and the answer has arrived
        proxy.reply()
        async with store.lock("another", 10.0):  # behind the poll, over the same connection
            pass
        assert lock.tickets[0].expires > polled + lifetime / 6


async def test_a_push_that_leaves_a_short_lease_is_not_trusted(store: LockStore) -> None:
    """The store has given the turn a whole lifetime; how long it lasts, only the store can tell."""
    lifetime = 4.0
    async with store.lock("c", 60.0):
        asked = time.monotonic()
        waiter = asyncio.create_task(hold(store, lifetime, until_past=asked + lifetime))
        await asyncio.sleep(0.6 * lifetime)
    assert await waiter == "not lost"


async def hold(store: LockStore, lifetime: float, until_past: float) -> str:
    async with store.lock("c", lifetime, 30.0) as lock:
        # A body that blocks its loop: nothing can be asked meanwhile.
        time.sleep(max(until_past + 0.2 - time.monotonic(), 0))  # noqa: ASYNC251
        return "lost" if lock.lost else "not lost"


def expires(store: LockStore) -> float:
    lock = store.get_lock("c")
    assert lock is not None
    return lock.tickets[0].expires
