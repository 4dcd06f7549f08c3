"""When a call is on its way: at once, though the loop is blocked right after it; and in order."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

import pytest

from nowserving import LockStore
from tests.support.monitor import Monitor
from tests.support.tasks import Turns

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.redis_server import RedisServer

BLOCKED = 0.3  # seconds
SOON = 0.1  # much less than that, with room for a noisy machine
NAMES = ["a", "b", "same", "c", "same", "d", "same", "e", "f"]


def key(name: str) -> str:
    return f"lock:{{{name}}}"


async def ask_and_block(store: LockStore) -> list[tuple[str, float]]:
    """Enter turns in one step of the loop, block it, and return who asked when."""
    asked: list[tuple[str, float]] = []

    async def enter(name: str) -> None:
        asked.append((name, time.time()))
        async with store.lock(name):
            pass

    async def block() -> None:
        time.sleep(BLOCKED)  # noqa: ASYNC251 - as somebody's handler does

    await asyncio.gather(*map(enter, NAMES))  # connections stand, and have been of use
    asked.clear()
    await asyncio.gather(*map(enter, NAMES), block())
    return asked


@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
def test_a_take_is_on_its_way_before_the_loop_blocks(server: RedisServer, kind: str) -> None:
    async def work() -> list[tuple[str, float]]:
        async with LockStore.create(server.url()) as store:
            return await ask_and_block(store)

    make: Any = asyncio if kind == "asyncio" else pytest.importorskip("uvloop")
    loop = make.new_event_loop()
    with Monitor(server) as monitor:
        asked = loop.run_until_complete(work())
        time.sleep(0.1)
    loop.close()
    for name in set(NAMES):
        count = NAMES.count(name)
        arrived = monitor.arrivals("EVALSHA", key(name), "take")[-count:]
        times = [moment for who, moment in asked if who == name]
        for one, moment in zip(arrived, times, strict=True):
            assert one.at - moment < SOON
    owners = [
        one.words[one.words.index("take") + 2] for one in monitor.arrivals(key("same"), "take")
    ]
    last = [int(owner.rpartition(".")[2]) for owner in owners[-3:]]
    assert last == sorted(last), "those of one conversation in the order in which they asked"


async def test_many_at_once_still_share_round_trips(server: RedisServer) -> None:
    async with LockStore.create(server.url()) as store:

        async def cycles(name: str) -> None:
            for _ in range(50):
                async with store.lock(name):
                    pass

        await asyncio.gather(*(cycles(f"c{index}") for index in range(100)))
        stats = server.cli("INFO", "commandstats")
        assert 2 * 100 * 50 / stats["cmdstat_evalsha"]["calls"] > 10, "verbs in a round trip"


# In order, whatever Redis refuses meanwhile


def flush(server: RedisServer) -> None:
    server.cli("SCRIPT", "FLUSH")


def pause(server: RedisServer) -> None:
    server.cli("CLIENT", "PAUSE", "60", "ALL")
    time.sleep(0.06)


def want_replicas(server: RedisServer) -> None:
    server.cli("CONFIG", "SET", "min-replicas-to-write", "1")
    time.sleep(0.1)
    server.cli("CONFIG", "SET", "min-replicas-to-write", "0")


def keep_busy(server: RedisServer) -> None:
    with contextlib.suppress(Exception):  # it ends by an error
        server.cli("EVAL", "local t = redis.call('TIME') repeat local n = redis.call('TIME') until "
                   "(n[1] - t[1]) * 1e6 + n[2] - t[2] > 150000", 0)  # fmt: skip


def kill(server: RedisServer) -> None:
    server.cli("CLIENT", "KILL", "TYPE", "normal")


@pytest.mark.parametrize("refuse", [flush, pause, want_replicas, keep_busy, kill])
async def test_order_while_redis_refuses(
    server: RedisServer, refuse: Callable[[RedisServer], None]
) -> None:
    server.cli("CONFIG", "SET", "lua-time-limit", "10")
    async with LockStore.create(server.url(socket_timeout=8)) as store:
        turns = Turns(store)
        turns.start()
        await turns.finish()
        over = time.monotonic() + 3.0
        refusing = asyncio.create_task(again_and_again(refuse, server, over))
        while time.monotonic() < over:
            turns.start(8, wait=0.1)
            await asyncio.sleep(0.07)
        await refusing
        await turns.finish()
        assert not turns.errors
        assert [turn.turn for turn in turns.done] == list(range(len(turns.tasks)))
        assert [turn.number for turn in turns.done] == list(range(len(turns.tasks)))


async def again_and_again(
    refuse: Callable[[RedisServer], None], server: RedisServer, over: float
) -> None:
    while time.monotonic() < over:
        await asyncio.to_thread(refuse, server)
        await asyncio.sleep(0.03)
