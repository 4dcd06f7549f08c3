"""What locks cost Redis: two calls a cycle, no connection a waiter, one poll for all who wait."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from nowserving import LockError
from tests.process.conftest import assert_every_key_expires
from tests.support.tasks import Turns

if TYPE_CHECKING:
    from nowserving import LockStore
    from tests.process.conftest import Measured
    from tests.support.redis_server import RedisServer


def calls(server: RedisServer) -> dict[str, int]:
    stats: dict[str, Any] = server.cli("INFO", "commandstats")
    return {name.removeprefix("cmdstat_"): of["calls"] for name, of in stats.items()}


def connections(server: RedisServer) -> int:
    return int(server.cli("INFO", "clients")["connected_clients"])


async def test_an_uncontended_cycle_is_two_calls(server: RedisServer, store: LockStore) -> None:
    for conversation in ("c", "d"):
        async with store.lock(conversation):
            pass
    server.cli("CONFIG", "RESETSTAT")
    for _ in range(50):
        for conversation in ("c", "d"):
            async with store.lock(conversation):
                pass
    made = calls(server)
    assert made["evalsha"] == 200
    assert not {"eval", "keys", "scan", "subscribe"} & made.keys()


async def test_what_is_remembered_makes_no_turn_larger(
    server: RedisServer, store: LockStore
) -> None:
    async def commands_of_a_turn(message_id: str | None) -> dict[str, int]:
        server.cli("CONFIG", "RESETSTAT")
        async with store.lock("c", message_id=message_id, remember_for=3600.0):
            pass
        return {name: count for name, count in calls(server).items() if "|" not in name}

    async with store.lock("c"):
        pass
    before = [await commands_of_a_turn(None), await commands_of_a_turn("first")]
    fields = server.cli("HLEN", "lock:{c}")
    for index in range(500):
        async with store.lock("c", message_id=f"m{index}", remember_for=600.0 + index):
            pass
    assert server.cli("HLEN", "lock:{c}") == fields
    assert [await commands_of_a_turn(None), await commands_of_a_turn("last")] == before
    with contextlib.closing(server.client()) as client:
        ends = [client.pttl(key) for key in client.scan_iter("lock:{c}:done:*")]
    assert len(ends) == 502
    assert all(500_000 < end <= 3_600_000 for end in ends)


def test_an_uncontended_synchronous_cycle_is_two_calls(
    server: RedisServer, store: LockStore
) -> None:
    with store.lock("c"):
        pass
    server.cli("CONFIG", "RESETSTAT")
    for _ in range(50):
        with store.lock("c"):
            pass
    assert calls(server)["evalsha"] == 100


async def test_concurrent_cycles_share_calls(server: RedisServer, store: LockStore) -> None:
    async def cycle(conversation: str) -> None:
        async with store.lock(conversation):
            pass

    await cycle("c")
    server.cli("CONFIG", "RESETSTAT")
    await asyncio.gather(*(cycle(f"c{index}") for index in range(100)))
    # The first ones go at once, since the loop may be blocked right after them; 200 share the rest.
    # On a busy machine replies come one by one, and fewer are asked for together.
    assert calls(server)["evalsha"] <= 80


async def test_every_key_expires_at_any_moment(server: RedisServer, store: LockStore) -> None:
    """Whatever is going on, a look from outside finds no key without a TTL."""
    over = threading.Event()
    eternal: set[Any] = set()
    seen: set[Any] = set()

    def look_on() -> None:
        with contextlib.closing(server.client()) as client:
            while not over.is_set():
                for key in client.scan_iter(count=1000):
                    seen.add(key)
                    if client.pttl(key) == -1:
                        eternal.add(key)

    async def turn(index: int) -> None:
        policy = ("queue", "reject", "latest", "interrupt")[index % 4]
        options: Any = {"when_busy": policy, "auto_renew": index % 3 == 0, "max_waiting": 20}
        message = f"m{index % 30}"
        with contextlib.suppress(LockError):
            async with store.lock(f"c{index % 7}", 1.0 + index % 5, message_id=message, **options):
                await asyncio.sleep(0.01)

    async def cancelled(index: int) -> None:
        task = asyncio.create_task(turn(index))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})

    async def reference(index: int) -> None:
        number = await store.take_ticket(f"r{index % 5}", 2.0)
        lock = await asyncio.to_thread(store.get_or_create_lock, f"r{index % 5}")
        await asyncio.to_thread(store.save_lock, lock)
        await asyncio.to_thread(store.cleanup, f"r{index % 5}", number)
        await asyncio.to_thread(store.delete_lock, f"r{index % 5}")

    onlooker = asyncio.create_task(asyncio.to_thread(look_on))
    for _ in range(3):
        work = [do(index) for index in range(60) for do in (turn, cancelled, reference)]
        await asyncio.gather(*work)
    over.set()
    await onlooker
    assert len(seen) >= 12
    assert not eternal


@pytest.mark.parametrize("count", [10, 1000])
async def test_idle_waiters_cost_next_to_nothing(
    server: RedisServer,
    store: LockStore,
    count: int,
    measured: Measured,
) -> None:
    turns = Turns(store)
    turns.start(hold=3600.0, lifetime=3.0, auto_renew=True)
    turns.start(lifetime=3.0, auto_renew=True)
    await turns.until_in_line(2)
    await asyncio.sleep(1.1)  # the heartbeat has connected as well
    few = connections(server)

    turns.start(count - 1, lifetime=3.0, auto_renew=True)
    await turns.until_in_line(count + 1)
    assert connections(server) == few
    server.cli("CONFIG", "RESETSTAT")
    began, spent = time.monotonic(), time.process_time()
    await asyncio.sleep(2.0 if count < 500 else 3.0)
    seconds = time.monotonic() - began
    made = calls(server)["evalsha"]
    measured("calls_per_second", made / seconds)
    measured("connections", few)
    measured("CPU share", (time.process_time() - spent) / seconds)
    # A poll a second and a renewal a second (lifetime/3), each of them in calls of 500.
    pieces = (count + 1) // 500 + 1
    assert made <= (seconds + 1.0) * 2 * pieces
    assert_every_key_expires(server)

    for task in turns.tasks:
        task.cancel()
    await asyncio.wait(turns.tasks)
    await turns.until_in_line(0)
