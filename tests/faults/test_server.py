"""One server that refuses, forgets, fills up or is not there: progress, or an error in time."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import TYPE_CHECKING

import pytest

from nowserving import LockStore, RedisLockStore, StoreUnavailable
from tests.support.crew import assert_exact
from tests.support.proxy import Proxy
from tests.support.redis_server import HOST, RedisServer
from tests.support.tasks import Turns, until

if TYPE_CHECKING:
    from tests.faults.conftest import Told


async def enter(store: LockStore, conversation: str = "c") -> None:
    async with store.lock(conversation):
        pass


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


# Not there


async def test_where_nobody_listens_is_told_after_a_second(told: Told) -> None:
    async with RedisLockStore(HOST, free_port()) as store:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match="can't be reached"):
            await enter(store)
        assert 0.9 < time.monotonic() - began < 4.0
    assert told.times("does not serve") == 1


async def test_a_server_that_starts_a_moment_later_is_reached() -> None:
    server = RedisServer()
    with server:
        server.stop()
        async with LockStore.create(server.url()) as store:
            entering = asyncio.create_task(enter(store))
            await asyncio.sleep(0.2)
            await asyncio.to_thread(server.start)
            await entering


async def test_an_outage_is_waited_out_and_told_once(server: RedisServer, told: Told) -> None:
    async with LockStore.create(server.url(socket_timeout=8)) as store:
        await enter(store)
        await asyncio.to_thread(server.stop)
        entering = [asyncio.create_task(enter(store, f"c{index}")) for index in range(20)]
        await asyncio.sleep(2.0)
        await asyncio.to_thread(server.start)
        await asyncio.gather(*entering)
        assert told.times("does not serve") == 1
        assert told.times("serves again, after") == 1


async def test_an_address_that_swallows_everything_is_told_in_time() -> None:
    with socket.socket() as listening:  # nobody ever accepts or answers
        listening.bind((HOST, 0))
        listening.listen(1)
        store = RedisLockStore(HOST, listening.getsockname()[1], socket_timeout=1.0)
        async with store:
            began = time.monotonic()
            with pytest.raises(StoreUnavailable, match="did not answer in time"):
                await enter(store)
            assert time.monotonic() - began < 3.0


async def test_a_connection_that_is_dead_without_a_word_is_replaced(server: RedisServer) -> None:
    """Half of the time is for finding out, the other half for asking again elsewhere."""
    with Proxy(server.port) as proxy:
        async with LockStore.create(proxy.url(socket_timeout=2)) as store:
            await enter(store)
            turns = Turns(store)
            turns.start(hold=0.3)
            await turns.until_in_line(1)
            await asyncio.to_thread(server.pause)
            turns.start(3)
            await asyncio.sleep(1.3)
            await asyncio.to_thread(server.resume)
            await turns.finish()
            assert not turns.errors
            assert [turn.number for turn in turns.done] == [1, 2, 3, 4]
            assert_exact(turns.done)


# Refusals


async def test_a_full_memory_refuses_takes_and_lets_holders_renew_and_leave(
    server: RedisServer,
) -> None:
    async with LockStore.create(server.url(socket_timeout=2)) as store:
        async with store.lock("c", 0.9, auto_renew=True) as lock:
            server.cli("CONFIG", "SET", "maxmemory", "1")
            with pytest.raises(StoreUnavailable, match="OOM"):
                await enter(store, "d")
            await asyncio.sleep(1.5)
            assert not lock.lost
        assert await asyncio.to_thread(store.get_lock, "c") is None
        server.cli("CONFIG", "SET", "maxmemory", "0")
        await enter(store, "d")


async def test_a_full_memory_lets_the_next_in_line_in(server: RedisServer) -> None:
    async with LockStore.create(server.url(socket_timeout=2)) as store:
        turns = Turns(store)
        turns.start(hold=0.4)
        turns.start(3, hold=0.01, wait=0.2)
        await turns.until_in_line(4)
        server.cli("CONFIG", "SET", "maxmemory", "1")
        await turns.finish()
        assert not turns.errors
        assert_exact(turns.done)


async def test_a_primary_that_was_demoted_is_tried_until_it_is_one_again(
    server: RedisServer, told: Told
) -> None:
    with RedisServer() as other:
        async with LockStore.create(server.url(socket_timeout=6)) as store:
            await enter(store)
            server.cli("REPLICAOF", HOST, other.port)
            entering = asyncio.create_task(enter(store))
            await asyncio.sleep(1.0)
            assert not entering.done()
            server.cli("REPLICAOF", "NO", "ONE")
            await entering
            assert told.times("READONLY") == 1


async def test_a_password_that_is_asked_for_is_told_at_once(server: RedisServer) -> None:
    server.cli("CONFIG", "SET", "requirepass", "secret")
    async with LockStore.create(server.url()) as store:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match=r"(?i)auth"):
            await enter(store)
        assert time.monotonic() - began < 4.0


# Wake-ups and warnings


async def test_an_inbox_that_hears_nothing_is_opened_anew(server: RedisServer, told: Told) -> None:
    """The network forgot the subscription, and says nothing, not even to a question."""
    with Proxy(server.port) as proxy:
        async with LockStore.create(proxy.url(socket_timeout=1)) as store:
            await hand_over(store, wait=0.1)
            before = proxy.subscriptions
            proxy.deafen()
            await hand_over(store, wait=0.1)  # only a poll tells of it
            await until(lambda: proxy.subscriptions > before)
            assert told.times("does not push wake-ups") == 1
            await hand_over(store, wait=60.0)  # the new subscription brings it


async def test_an_inbox_that_answers_but_hears_nothing_is_opened_anew(
    server: RedisServer, told: Told
) -> None:
    """As in a cluster whose nodes do not hear each other; a miss or two may be bad luck."""
    server.cli("ACL", "SETUSER", "default", "-publish")
    with Proxy(server.port) as proxy:
        async with LockStore.create(proxy.url(socket_timeout=1)) as store:
            await hand_over(store, wait=0.1)
            before = proxy.subscriptions
            await hand_over(store, wait=0.1)
            await asyncio.sleep(0.3)
            assert proxy.subscriptions == before
            await hand_over(store, wait=0.1)
            await until(lambda: proxy.subscriptions > before)
            assert told.times("does not push wake-ups") == 1
            server.cli("ACL", "SETUSER", "default", "+publish")
            await hand_over(store, wait=60.0)


async def test_an_inbox_that_hears_is_left_alone(server: RedisServer, told: Told) -> None:
    """Polls find many a ticket served; but its push came before."""

    def pings() -> int:
        stats = server.cli("INFO", "commandstats").get("cmdstat_ping", {})
        return int(stats.get("calls", 0))

    async with LockStore.create(server.url()) as store:
        await hand_over(store, wait=60.0)
        before = pings()
        await hand_over(store, wait=0.05, hold=0.3)
        await asyncio.sleep(0.1)
        assert pings() == before
    assert told.times("does not push wake-ups") == 0


async def hand_over(store: LockStore, wait: float, hold: float = 0.0) -> None:
    """Have one turn follow another, within 20 seconds."""
    turns = Turns(store)
    turns.start(hold=0.3)
    await turns.until_in_line(1)
    turns.start(hold=hold, wait=wait)
    await turns.finish()
    assert not turns.errors


@pytest.mark.parametrize(
    ("policy", "memory", "warned"),
    [
        ("allkeys-lru", "100mb", 1),
        ("volatile-ttl", "100mb", 1),
        ("allkeys-lru", "0", 0),
        ("noeviction", "100mb", 0),
    ],
)
async def test_a_policy_that_drops_locks_is_warned_about_once(
    server: RedisServer, told: Told, policy: str, memory: str, warned: int
) -> None:
    server.cli("CONFIG", "SET", "maxmemory-policy", policy)
    server.cli("CONFIG", "SET", "maxmemory", memory)
    async with LockStore.create(server.url()) as store:
        for _ in range(3):
            await enter(store)
        await asyncio.sleep(0.1)
    assert told.times("maxmemory-policy") == warned
