"""An old turn that is left once more, by a helper and its caller say, when another one runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nowserving import LockReentered, LockStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from nowserving._turns.turn import Turn
    from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.timeout(20)


@pytest.fixture
async def store(url: str) -> AsyncIterator[LockStore]:
    async with LockStore.create(url) as store:
        yield store


def leave(turn: Turn) -> None:
    turn.__exit__(None, None, None)


def test_the_threads_new_turn_stays_known(each: LockStore) -> None:
    old, new = each.lock("c"), each.lock("c")
    old.__enter__()
    leave(old)
    lock = new.__enter__()
    leave(old)
    assert not lock.lost
    with pytest.raises(LockReentered), each.lock("c", timeout=1.0):
        pass
    with each.lock("c", reentrant=True, timeout=1.0) as again:
        assert again.ticket == lock.ticket
    leave(new)
    assert each.get_lock("c") is None


async def test_the_tasks_new_turn_stays_known(store: LockStore) -> None:
    old, new = store.lock("c"), store.lock("c")
    await old.__aenter__()
    await old.__aexit__(None, None, None)
    lock = await new.__aenter__()
    await old.__aexit__(None, None, None)
    assert not lock.lost
    with pytest.raises(LockReentered):
        async with store.lock("c", timeout=1.0):
            pass
    async with store.lock("c", reentrant=True, timeout=1.0) as again:
        assert again.ticket == lock.ticket
    await new.__aexit__(None, None, None)
    assert store.get_lock("c") is None


def test_closing_gives_the_threads_new_turn_back(
    clean_redis: RedisServer, outside: LockStore
) -> None:
    with LockStore.create(clean_redis.url()) as store:
        old, new = store.lock("c"), store.lock("c")
        old.__enter__()
        leave(old)
        new.__enter__()
        leave(old)
    assert outside.get_lock("c") is None


async def test_closing_gives_the_tasks_new_turn_back(
    clean_redis: RedisServer, outside: LockStore
) -> None:
    async with LockStore.create(clean_redis.url()) as store:
        old, new = store.lock("c"), store.lock("c")
        await old.__aenter__()
        await old.__aexit__(None, None, None)
        await new.__aenter__()
        await old.__aexit__(None, None, None)
    assert outside.get_lock("c") is None
