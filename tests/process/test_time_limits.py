"""Redis falls silent: every limit that a caller has set holds all the same.

It is stopped, so that connections stand and nothing is answered. What is left to tidy up then goes
on behind the caller's back.
"""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from nowserving import LockStore, LockTimeout, StoreClosed, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Self

    from nowserving import HeldLock
    from tests.support.proxy import Proxy
    from tests.support.redis_server import RedisServer

ROOM = 0.4  # seconds, on a noisy machine; what was wrong took a second and more


class Clock:
    """How long something took."""

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.took = time.monotonic() - self._began


async def until(done: Any, within: float = 10.0) -> None:
    give_up = time.monotonic() + within
    while not await asyncio.to_thread(done):
        assert time.monotonic() < give_up
        await asyncio.sleep(0.02)


@pytest.fixture
def silent(server: RedisServer) -> Iterator[RedisServer]:
    """Goes on only when the test is over, or when it says so."""
    yield server
    server.resume()


async def connected(store: LockStore) -> None:
    async with store.lock("connected"):
        pass


async def test_a_timeout_bounds_the_take_too(silent: RedisServer) -> None:
    async with LockStore.create(silent.url(socket_timeout=4)) as store:
        await connected(store)
        silent.pause()
        with Clock() as clock, pytest.raises(LockTimeout, match="not answered") as told:
            async with store.lock("c", timeout=0.5):
                pytest.fail("the body ran")
        assert 0.5 <= clock.took < 0.5 + ROOM
        assert told.value.number is None
        silent.resume()
        await until(lambda: store.get_lock("c") is None)  # a late take is refused


async def test_a_timeout_bounds_the_last_look_too(silent: RedisServer) -> None:
    """A waiter whose lease is over asks once more, and is not answered."""
    async with LockStore.create(silent.url(socket_timeout=6)) as store, store.lock("c"):

        async def wait() -> None:
            async with store.lock("c", 1.0, timeout=1.5):
                pytest.fail("the body ran")

        with Clock() as clock:
            waiter = asyncio.create_task(wait())
            await asyncio.sleep(0.3)
            silent.pause()
            with pytest.raises(LockTimeout):
                await waiter
        assert clock.took < 1.5 + ROOM
        silent.resume()


def test_a_timeout_bounds_a_threads_take(silent: RedisServer) -> None:
    with LockStore.create(silent.url(socket_timeout=4)) as store:
        with store.lock("connected"):
            pass
        silent.pause()
        with Clock() as clock, pytest.raises(LockTimeout), store.lock("c", timeout=0.5):
            pytest.fail("the body ran")
        assert clock.took < 0.5 + ROOM
        silent.resume()


async def test_unavailable_comes_within_the_socket_timeout(silent: RedisServer) -> None:
    async with LockStore.create(silent.url(socket_timeout=1)) as store:
        await connected(store)
        silent.pause()
        with Clock() as clock, pytest.raises(StoreUnavailable):
            async with store.lock("c"):
                pytest.fail("the body ran")
        assert clock.took < 1.0 + ROOM
        silent.resume()
        await until(lambda: store.get_lock("c") is None)


async def test_a_store_is_closed_although_nobody_answers(silent: RedisServer) -> None:
    store = LockStore.create(silent.url(socket_timeout=10))
    told: list[float] = []

    async def wait() -> None:
        with pytest.raises(StoreClosed):
            async with store.lock("c"):
                pytest.fail("the body ran")
        told.append(time.monotonic())

    entered = asyncio.Event()

    async def hold() -> None:
        async with store.lock("c"):
            entered.set()
            await asyncio.sleep(3600)

    holder = asyncio.create_task(hold())
    await entered.wait()
    waiters = [asyncio.create_task(wait()) for _ in range(3)]
    await asyncio.sleep(0.1)
    silent.pause()
    waiters += [asyncio.create_task(wait()) for _ in range(3)]  # their takes are not answered
    await asyncio.sleep(0.1)
    began = time.monotonic()
    with Clock() as clock:
        await store.aclose(drain=0.3)
    assert clock.took < 0.3 + 1.0 + ROOM
    await asyncio.gather(*waiters)
    assert max(told) - began < ROOM
    holder.cancel()
    await asyncio.gather(holder, return_exceptions=True)


@pytest.mark.parametrize("way", ["async", "sync"])
async def test_a_body_that_ended_well_is_not_held_up(silent: RedisServer, way: str) -> None:
    async with LockStore.create(silent.url(socket_timeout=10)) as store:
        await connected(store)
        if way == "async":
            async with store.lock("c") as lock:
                silent.pause()
                began = time.monotonic()
        else:
            began, lock = await asyncio.to_thread(_hold_while_it_falls_silent, store, silent)
        assert time.monotonic() - began < 1.0 + ROOM
        assert not lock.lost
        silent.resume()
        await until(lambda: store.get_lock("c") is None)


def _hold_while_it_falls_silent(store: LockStore, server: RedisServer) -> tuple[float, HeldLock]:
    with store.lock("c") as lock:
        server.pause()
        return time.monotonic(), lock


def test_a_blocking_on_expiring_stops_nobody_elses_renewals(silent: RedisServer) -> None:
    """A thread's turn can't be renewed, since it was released; its callback blocks for long."""
    lifetime, called, go_on = 1.5, threading.Event(), threading.Event()

    def block(_: HeldLock) -> None:
        called.set()
        go_on.wait(20)

    with LockStore.create(silent.url(socket_timeout=1)) as store, ExitStack() as stack:
        one = store.lock("one", lifetime, auto_renew=True, on_expiring=block)
        stack.enter_context(one)
        other = stack.enter_context(store.lock("other", 4 * lifetime, auto_renew=True))
        silent.pause()
        assert called.wait(2 * lifetime)
        silent.resume()
        time.sleep(5 * lifetime)
        assert not other.lost
        go_on.set()


async def test_no_turn_begins_while_the_one_before_is_not_lost(
    server: RedisServer, proxy: Proxy
) -> None:
    """Pushes are swallowed: only a poll tells a waiter that it is served, since some while."""
    proxy.swallow_messages = True
    overlaps: list[float] = []
    lifetime, wait = 1.5, 1.0

    async def leave_soon(store: LockStore) -> None:
        async with store.lock("c", 60):
            # Between two polls of the waiter's, so that its turn begins long before it knows.
            await asyncio.sleep((0.15 - time.monotonic()) % wait + 0.3)

    async with (
        LockStore.create(proxy.url()) as deaf,
        LockStore.create(server.url()) as other,
    ):
        for blocked in (0.0, 0.9):
            holder = asyncio.create_task(leave_soon(other))
            await until(lambda: other.is_someone_waiting("c"))

            async def outlive(blocked: float) -> None:
                async with deaf.lock("c", lifetime, wait) as lock:
                    time.sleep(blocked)  # noqa: ASYNC251 - a body may block
                    while True:
                        began = await asyncio.to_thread(next_began)
                        if began and not lock.lost:
                            overlaps.append(time.monotonic())
                        if began:
                            return
                        await asyncio.sleep(0.005)

            def next_began() -> bool:
                line = other.get_lock("c")
                return line is None or (len(line.tickets) == 1 and line.tickets[0].number > 1)

            waiter = asyncio.create_task(outlive(blocked))
            await holder
            async with other.lock("c", 60):
                await waiter
            other.delete_lock("c")
    assert not overlaps, "a second turn began in the store while the first read lost == False"
