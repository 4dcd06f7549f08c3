"""The history where processes die, fork, end and write at once, and where the store takes nothing.

Whatever happens to it: no turn is held up, and no lock is lost.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from typing import TYPE_CHECKING

from redis.crc import key_slot

from nowserving import HistoryEvent, LockStore, RedisLockStore
from nowserving._runtime import recorder
from nowserving.testing.harness import log_records
from tests.support.crew import ROOT, environment
from tests.support.places import EVERYWHERE
from tests.support.programs import run

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from tests.process.conftest import Measured
    from tests.support.places import Place
    from tests.support.redis_server import RedisServer

SOON = 10.0
WHOLE = ["asked", "served", "left"]
TURNS = """
import os, sys, time
from nowserving import LockStore
store = LockStore.create(sys.argv[1])
def turns(count, name="c"):
    for _ in range(count):
        with store.lock(name):
            pass
"""


async def events_of(url: str, conversation_id: str | None = None) -> list[HistoryEvent]:
    async with LockStore.create(url) as store:
        return await store.events(conversation_id, limit=100_000)


async def until_there(
    url: str, seen: Callable[[list[HistoryEvent]], bool], conversation_id: str | None = None
) -> list[HistoryEvent]:
    end = time.monotonic() + SOON
    while True:
        found = await events_of(url, conversation_id)
        if seen(found):
            return found
        assert time.monotonic() < end, found[-5:]
        await asyncio.sleep(0.05)


def started(program: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", TURNS + textwrap.dedent(program), *arguments],
        env=environment(),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


@EVERYWHERE
async def test_a_program_that_forgets_to_close_its_store_loses_nothing(server: Place) -> None:
    url = server.url(history=1000)
    ended = await asyncio.to_thread(run, TURNS + "turns(30)\nlast_line()", url)
    assert ended.status == 0, ended.err
    assert ended.to_exit < 2.0
    events = await events_of(url, "c")
    assert [event.kind for event in events] == 30 * WHOLE


@EVERYWHERE
async def test_kill_9_loses_no_more_than_was_not_written(server: Place) -> None:
    url = server.url(history=10_000)
    process = started("print('up', flush=True)\nturns(10**9)", url)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        await until_there(url, lambda found: len(found) > 100, "c")
    finally:
        process.send_signal(signal.SIGKILL)
        killed = time.time()
        process.communicate()
    events = await events_of(url, "c")
    assert killed - events[-1].at < 2.0
    numbers = [event.number for event in events if event.kind == "left"]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    async with LockStore.create(url) as store, store.lock("d", timeout=SOON):
        pass
    assert [event.pid for event in await events_of(url, "d")] == 3 * [os.getpid()]


@EVERYWHERE
async def test_a_forked_child_writes_what_is_its_own_and_nothing_else(server: Place) -> None:
    url = server.url(history=1000)
    program = """
        turns(5)
        child = os.fork()
        turns(5, "child" if child == 0 else "c")
        store.close()
        if child:
            assert os.waitpid(child, 0)[1] == 0
        else:
            os._exit(0)
    """
    ended = await asyncio.to_thread(
        run, TURNS + textwrap.dedent(program), url, within=20.0, warnings="ignore"
    )
    assert ended.status == 0, ended.err
    of_parent, of_child = await events_of(url, "c"), await events_of(url, "child")
    assert [event.kind for event in of_parent] == 10 * WHOLE
    assert [event.kind for event in of_child] == 5 * WHOLE
    assert {event.pid for event in of_parent}.isdisjoint({event.pid for event in of_child})
    assert {event.turn for event in of_parent}.isdisjoint({event.turn for event in of_child})


@EVERYWHERE
async def test_several_processes_write_at_once(server: Place) -> None:
    url = server.url(history=1000, history_total=1000)
    crew = [started("turns(20)\nturns(20, f'own {os.getpid()}')", url) for _ in range(4)]
    for process in crew:
        await asyncio.to_thread(process.communicate, timeout=60)
        assert process.returncode == 0
    shared = await events_of(url, "c")
    turns = [event for event in shared if event.kind == "left"]
    assert sorted(event.number for event in turns) == list(range(80))
    assert len({event.turn for event in turns}) == 80
    assert len({event.pid for event in turns}) == 4
    for process in crew:
        own = await events_of(url, f"own {process.pid}")
        assert [event.kind for event in own] == 20 * WHOLE
    everything = await events_of(url)
    assert len(everything) == len(shared) + 4 * 60


async def test_an_acl_that_denies_it_costs_only_the_history(server: RedisServer) -> None:
    server.cli("ACL", "SETUSER", "default", "-xadd", "-rpush")
    with log_records(logging.WARNING) as records:
        async with RedisLockStore("127.0.0.1", server.port, history=100, socket_timeout=2) as store:
            for _ in range(3):
                began = time.monotonic()
                async with store.lock("c", auto_renew=True):
                    await asyncio.sleep(0.3)
                assert time.monotonic() - began < 1.0
            server.cli("ACL", "SETUSER", "default", "+xadd", "+rpush")
    told = [record for record in records if record.name == "nowserving.history"]
    assert len(told) == 1
    assert "costs no lock anything" in told[0].getMessage()


async def test_what_could_not_be_written_is_counted(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "_FIRST_PAUSE", 0.1)
    url = server.url(history=100)
    server.cli("ACL", "SETUSER", "default", "-rpush", "-xadd")
    async with LockStore.create(url) as store:
        async with store.lock("c"):
            pass
        await asyncio.sleep(0.5)
        server.cli("ACL", "SETUSER", "default", "+rpush", "+xadd")
        async with store.lock("c"):
            pass
        found = await until_there(url, lambda found: len(found) >= 4)
    (dropped,) = [event for event in found if event.kind == "dropped"]
    assert dropped.dropped == 3
    assert [event.kind for event in found if event.conversation_id] == WHOLE


async def test_a_buffer_that_overflows_is_counted(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "MOST_BUFFERED", 30)
    url = server.url(history=100)
    async with LockStore.create(url) as store:
        for _ in range(3):  # within one step of the store's own thread
            for _ in range(20):
                async with store.lock("c"):
                    pass
        await store.aclose()
    found = await events_of(url)
    written = sum(event.kind in WHOLE for event in found)
    dropped = sum(event.dropped for event in found)
    assert dropped > 0
    assert written + dropped == 180


async def test_a_redis_that_is_away_holds_nobody_up_longer_than_its_lock_does(
    server: RedisServer, measured: Measured
) -> None:
    url = server.url(history=100, socket_timeout=2)
    async with LockStore.create(url) as store:
        async with store.lock("c"):
            await asyncio.to_thread(server.restart, keep_data=True, down=0.5)
        async with store.lock("c"):
            pass
        await until_there(url, lambda found: len(found) >= 6, "c")
        await asyncio.to_thread(server.stop)
        began = time.monotonic()
    took = time.monotonic() - began
    measured("closed_after_seconds", took)
    assert took < 4.0
    await asyncio.to_thread(server.start)


async def test_a_closing_store_waits_a_second_for_its_history_at_most(
    server: RedisServer,
) -> None:
    store = LockStore.create(server.url(history=100, socket_timeout=30))
    async with store.lock("c"):
        pass
    await asyncio.to_thread(server.pause)
    began = time.monotonic()
    await store.aclose()
    assert time.monotonic() - began < 3.0
    await asyncio.to_thread(server.resume)


async def test_a_batch_whose_reply_was_lost_is_told_once(server: RedisServer) -> None:
    url = server.url(history=100)
    async with LockStore.create(url) as store:
        async with store.lock("c"):
            pass
        found = await until_there(url, lambda found: len(found) == 3, "c")
        log = store._runtime.queue.history
        assert log is not None
        await log.append(found)
        assert await store.events("c") == await store.events("c", limit=100)
        assert [event.kind for event in await store.events("c")] == WHOLE


async def test_the_keys_are_in_the_slot_of_their_conversation_and_have_a_ttl(
    server: RedisServer,
) -> None:
    url = server.url(history=100, history_ttl=100)
    async with LockStore.create(url) as store, store.lock("a{b}c"):
        pass
    keys = sorted(key for key in server.cli("KEYS", "*") if "history" in key)
    server.cli("CONFIG", "RESETSTAT")  # others must not ask like that
    assert keys == ["lock:history", "lock:history:{a{b}c}"]
    assert key_slot(keys[1].encode()) == key_slot(b"lock:{a{b}c}")
    for key in keys:
        assert 90 < server.cli("TTL", key) <= 100


@EVERYWHERE
async def test_a_store_that_is_dropped_takes_its_threads_along(server: Place) -> None:
    store = LockStore.create(server.url(history=100))
    async with store.lock("c"):
        pass
    await until_there(server.url(), lambda found: len(found) == 3, "c")
    began = set(threading.enumerate())
    runtime = weakref.ref(store._runtime)
    del store
    end = time.monotonic() + SOON
    while runtime() is not None or any(
        thread.is_alive() and thread.name.startswith("nowserving") for thread in began
    ):
        assert time.monotonic() < end, began
        gc.collect()
        await asyncio.sleep(0.05)


def test_a_loop_that_has_rested_reads_the_history_all_the_same(server: RedisServer) -> None:
    loops = [asyncio.new_event_loop() for _ in range(3)]
    with LockStore.create(server.url(history=10)) as store:
        try:
            for loop in loops:  # the third one has the connections of the first ended
                loop.run_until_complete(store.inspect("c"))
            assert loops[0].run_until_complete(store.events()) == []
            assert loops[0].run_until_complete(store.survey()).held == 0
        finally:
            for loop in loops:
                loop.run_until_complete(loop.shutdown_asyncgens())
                loop.close()
