"""Redis pauses, freezes, goes away, forgets: the event loop goes on, and every wait ends."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from nowserving import LockLost, LockStore, StoreUnavailable
from tests.support.crew import assert_exact
from tests.support.tasks import Lag, Turns, until

if TYPE_CHECKING:
    from nowserving import HeldLock
    from tests.process.conftest import Measured
    from tests.support.proxy import Proxy
    from tests.support.redis_server import RedisServer

ROOM = 1.0  # seconds, on a noisy machine


async def test_a_paused_redis_does_not_hold_up_the_loop(
    server: RedisServer, measured: Measured
) -> None:
    async with LockStore.create(server.url(socket_timeout=10)) as store:
        turns = Turns(store)
        turns.start()
        await turns.finish()
        await asyncio.to_thread(server.cli, "CLIENT", "PAUSE", "2000", "ALL")
        began = time.monotonic()
        async with Lag() as lag:
            turns.start(5)
            await turns.finish()
        took = time.monotonic() - began

    measured("lag_seconds", lag.worst)
    assert lag.worst < 0.2
    assert not turns.errors
    assert 1.5 < took < 2.0 + ROOM
    assert_exact(turns.done)


async def test_a_waiter_of_a_store_that_closes_meanwhile_is_not_cancelled(
    server: RedisServer,
) -> None:
    store = LockStore.create(server.url(socket_timeout=3))
    turns = Turns(store)
    turns.start()
    await turns.finish()
    await asyncio.to_thread(server.pause)
    (waiter,) = turns.start(on_lost="cancel")
    await asyncio.sleep(0.1)
    await store.aclose()
    await asyncio.to_thread(server.resume)
    await asyncio.wait({waiter}, timeout=5.0)
    assert not waiter.cancelled()
    assert len(turns.errors) == 1


async def test_a_connection_after_an_outage_is_not_blamed_for_it(
    server: RedisServer, proxy: Proxy
) -> None:
    """It has as much time for the calls that have waited for it as any other has for its own."""
    async with LockStore.create(proxy.url(socket_timeout=6)) as store:
        turns = Turns(store)
        turns.start()
        await turns.finish()
        await asyncio.to_thread(server.pause)
        turns.start(20)
        await asyncio.sleep(3.3)  # the connection is given up after half of the time
        proxy.cut("take", "late reply")
        await asyncio.to_thread(server.resume)
        await until(lambda: proxy.held)
        before = proxy.connections
        await asyncio.sleep(0.6)
        assert (proxy.held, proxy.connections) == (1, before), "it was given up, too"
        proxy.reply()
        await turns.finish()
        assert not turns.errors


async def test_a_long_lease_does_not_hold_up_the_renewal_of_a_short_one(
    server: RedisServer, store: LockStore
) -> None:
    queue = store._runtime.queue
    async with store.lock("long", 60.0), store.lock("short", 3.0):
        handles = [lease.handle for lease in store._runtime.live()]
        await queue.renew([(handles[0], 60.0)])
        await asyncio.to_thread(server.pause)
        began = time.monotonic()
        answers = await queue.renew(list(zip(handles, (60.0, 3.0), strict=True)))
        assert time.monotonic() - began < 0.5 + ROOM
        assert {type(answer) for answer in answers} == {StoreUnavailable}
        await asyncio.to_thread(server.resume)


@pytest.mark.parametrize("outage", ["frozen", "down"])
async def test_an_outage_is_told_in_time_and_ends_by_itself(
    server: RedisServer, outage: str
) -> None:
    async with LockStore.create(server.url(socket_timeout=0.5)) as store:
        turns = Turns(store)
        turns.start()
        await turns.finish()
        await asyncio.to_thread(server.pause if outage == "frozen" else server.stop)

        began = time.monotonic()
        async with Lag() as lag:
            with pytest.raises(StoreUnavailable) as told:
                async with store.lock("c"):
                    pass
            assert time.monotonic() - began < 0.5 + ROOM
            with pytest.raises(StoreUnavailable):
                await asyncio.to_thread(store.get_lock, "c")
            assert time.monotonic() - began < 2 * (0.5 + ROOM)
        assert lag.worst < 0.2
        assert "socket_timeout=0.5" in str(told.value)

        await asyncio.to_thread(server.resume if outage == "frozen" else server.start)
        turns.start(3)
        await turns.finish()
        assert not turns.errors
        assert len(turns.done) == 4
        assert_exact(turns.done)
        # What was asked for during the outage, and given up, stands in nobody's way.
        assert await asyncio.to_thread(store.get_lock, "c") is None


async def test_an_outage_in_the_middle_ends_for_all(server: RedisServer) -> None:
    """A holder and waiters stand in line when Redis freezes for longer than socket_timeout."""
    async with LockStore.create(server.url(socket_timeout=0.3)) as store:
        turns = Turns(store)
        turns.start(hold=0.3, wait=0.1)
        turns.start(9, hold=0.01, wait=0.1)
        await turns.until_in_line(10)
        server.pause()
        await asyncio.sleep(1.0)
        server.resume()
        turns.start(5, wait=0.1)
        await turns.finish()
        assert all(type(error) is StoreUnavailable for error in turns.errors)
        assert len(turns.done) + len(turns.errors) == 15
        assert len(turns.done) >= 6  # the holder and those who came afterwards at least
        assert_exact(turns.done)
        await turns.until_in_line(0)


async def test_a_frozen_redis_can_not_hide_that_a_lease_has_ended(
    server: RedisServer, measured: Measured
) -> None:
    store = LockStore.create(server.url(socket_timeout=1.5))
    lifetime = 0.9
    expiring: list[float] = []
    lost: list[float] = []

    def tell(_lock: HeldLock) -> None:
        expiring.append(time.monotonic())

    async def work() -> None:
        options: Any = {"auto_renew": True, "on_lost": "cancel", "on_expiring": tell}
        async with store.lock("c", lifetime, **options) as lock:
            server.pause()
            try:
                await lock.lost_event.wait()
                await asyncio.sleep(3600)
            finally:
                lost.append(time.monotonic())

    frozen = time.monotonic()
    try:
        with pytest.raises(LockLost):
            await asyncio.wait_for(work(), lifetime + 10.0)
    finally:
        server.resume()
    assert len(lost) == len(expiring) == 1
    assert frozen + lifetime / 2 < expiring[0] < lost[0]
    assert lost[0] < frozen + lifetime + 0.5
    measured("seconds", lost[0] - frozen)
    async with store, store.lock("c", timeout=1.0):
        pass


async def test_renewal_outlives_a_short_outage(server: RedisServer, store: LockStore) -> None:
    turns = Turns(store)
    turns.start(hold=2.5, lifetime=1.5, auto_renew=True, wait=0.2)
    turns.start(3, lifetime=1.5, auto_renew=True, wait=0.2)
    await turns.until_in_line(4)
    server.pause()
    await asyncio.sleep(0.8)
    server.resume()
    await turns.finish()
    assert not turns.errors
    assert not turns.losses
    assert [turn.number for turn in turns.done] == [0, 1, 2, 3]


async def test_script_flush_in_mid_use(server: RedisServer, store: LockStore) -> None:
    turns = Turns(store)
    turns.start(60, hold=0.01)
    for _ in range(10):
        await asyncio.sleep(0.05)
        await asyncio.to_thread(server.cli, "SCRIPT", "FLUSH")
    await turns.finish()
    assert not turns.errors
    assert [turn.number for turn in turns.done] == list(range(60))
    assert_exact(turns.done)


async def test_a_restart_with_data_keeps_line_and_order(
    server: RedisServer, store: LockStore
) -> None:
    turns = Turns(store)
    turns.start(hold=1.0, wait=0.2, auto_renew=True)
    turns.start(5, hold=0.02, wait=0.2)
    turns.start(5, hold=0.02, wait=0.2, auto_renew=True)
    await turns.until_in_line(11)
    await asyncio.to_thread(server.restart, keep_data=True, down=0.3)
    turns.start(3, wait=0.2)
    await turns.finish()
    assert not turns.errors
    assert not turns.losses
    assert [turn.number for turn in turns.done] == list(range(14))
    assert_exact(turns.done)


@pytest.mark.parametrize("kill", [False, True])
async def test_a_restart_without_data_ends_every_wait(
    server: RedisServer, store: LockStore, *, kill: bool
) -> None:
    old = Turns(store)
    old.start(hold=1.3, wait=0.2, auto_renew=True)
    old.start(5, hold=0.02, wait=0.2, auto_renew=True)
    old.start(5, hold=0.02, wait=0.2)
    await old.until_in_line(11)
    if kill:
        await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.restart, keep_data=False)
    new = Turns(store)
    new.start(20, hold=0.01, wait=0.2)
    await new.finish()
    await old.finish()

    # The waiters' places are gone, and nobody walks in on a number that begins anew.
    assert len(old.errors) == 10
    assert [turn.number for turn in old.done] == [0]
    assert old.losses == [0]
    assert not new.errors
    assert len(new.done) == 20
    assert_exact(new.done)
    # ... and a fencing token still tells the old holder from the new ones.
    assert old.done[0].token < new.done[0].token


async def test_client_kill_in_mid_use(server: RedisServer, store: LockStore) -> None:
    turns = Turns(store)
    for _ in range(10):
        turns.start(20, hold=0.002, wait=0.2)
        turns.start(5, hold=0.002, wait=0.2, auto_renew=True)
        await asyncio.sleep(0.03)
        for kind in ("normal", "pubsub"):
            await asyncio.to_thread(server.cli, "CLIENT", "KILL", "TYPE", kind)
    await turns.finish()
    assert not turns.errors
    # No ticket was doubled (numbers without a gap), none lost its place.
    assert [turn.number for turn in turns.done] == list(range(250))
    assert [turn.turn for turn in turns.done] == list(range(250))
    assert_exact(turns.done)
