"""A survey of many lines: what it costs those beside it, and what it passes over."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from typing import TYPE_CHECKING, Any

import pytest

from nowserving import LockStore, StoreUnavailable
from nowserving.protocol.status import Admission
from nowserving.testing.harness import until
from tests.process.test_foreign_data import FOREIGN
from tests.support.places import EVERYWHERE

if TYPE_CHECKING:
    from tests.support.places import Place
    from tests.support.redis_server import RedisServer

CONVERSATIONS = 2_000
PREFIX = "many"
LONG = 600.0


async def fill(store: LockStore, conversations: int = CONVERSATIONS) -> None:
    """Have a ticket in each of so many conversations."""
    names = [f"{PREFIX}-{number}" for number in range(conversations)]
    for first in range(0, len(names), 500):
        some = names[first : first + 500]
        await asyncio.gather(*(store.take_ticket(name, lock_lifetime=LONG) for name in some))


def calls(server: RedisServer, command: str) -> int:
    """Return how often a command was carried out."""
    stats: dict[str, Any] = server.cli("INFO", "commandstats")
    return int(stats.get(f"cmdstat_{command}", {"calls": 0})["calls"])


@EVERYWHERE
async def test_every_line_of_many_is_seen_once(server: Place, store: LockStore) -> None:
    await fill(store)
    async with LockStore.create(server.url()) as other:
        for each in (store, other):
            seen = await each.survey(10_000)
            names = [line.conversation_id for line in seen.lines]
            assert len(names) == len(set(names)) == seen.conversations == CONVERSATIONS
            assert (seen.held, seen.waiting, seen.unreadable) == (CONVERSATIONS, 0, 0)


@EVERYWHERE
async def test_the_loop_goes_on_meanwhile(server: Place, store: LockStore) -> None:
    """The loop gets round, and turns are taken, many times while one survey is made."""
    await fill(store)
    rounds = turns = 0

    async def go_round() -> None:
        nonlocal rounds
        while True:
            await asyncio.sleep(0)
            rounds += 1

    async def take_turns() -> None:
        nonlocal turns
        async with LockStore.create(server.url()) as other:
            while True:
                async with other.lock("beside"):
                    turns += 1

    at_work = [asyncio.ensure_future(go_round()), asyncio.ensure_future(take_turns())]
    await until(lambda: turns)
    rounds = turns = 0
    seen = await store.survey()
    assert seen.conversations >= CONVERSATIONS
    assert rounds > CONVERSATIONS / 250
    assert turns >= 2
    for task in at_work:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_survey_writes_nothing(server: RedisServer, store: LockStore) -> None:
    await fill(store, 50)
    await store.take_ticket("short", lock_lifetime=0.05)
    await store.take_ticket("short", lock_lifetime=LONG)
    await asyncio.sleep(1.5)  # this process is noted by then
    before = server.cli("INFO", "persistence")["rdb_changes_since_last_save"]
    for _ in range(3):
        seen = await store.survey(100)
        (short,) = (line for line in seen.lines if line.conversation_id == "short")
        assert (short.holder, short.waiting) == (None, 1)  # nobody has promoted it
    assert server.cli("INFO", "persistence")["rdb_changes_since_last_save"] == before


async def test_redis_works_for_it_in_small_pieces(server: RedisServer, store: LockStore) -> None:
    """Neither many lines nor a long one are read in one call."""
    await fill(store)
    for _ in range(10):
        await asyncio.gather(*(store.take_ticket("long", lock_lifetime=LONG) for _ in range(500)))
    server.cli("CONFIG", "RESETSTAT")
    seen = await store.survey(1)
    assert (seen.lines[0].conversation_id, seen.lines[0].waiting) == ("long", 4999)
    assert calls(server, "scan") >= CONVERSATIONS / 500
    assert calls(server, "evalsha") + calls(server, "eval") >= CONVERSATIONS / 500 + 5
    assert calls(server, "keys") == 0


@pytest.mark.parametrize("what", FOREIGN)
async def test_what_is_not_ours_is_counted_and_passed_over(
    what: str, server: RedisServer, store: LockStore
) -> None:
    await fill(store, 10)
    with contextlib.closing(server.client()) as client:
        FOREIGN[what](client)
        client.set(b"lock:{no utf-8 \xff}", "x")
        client.hset("lock:process:nobody", "host", "h")
        client.hset("elsewhere:{c}", "next", "many")
    seen = await store.survey()
    assert seen.conversations == 10
    # Fields at which a survey does not look may be damaged: that line is seen as it is.
    assert 1 <= seen.unreadable <= 2
    with contextlib.closing(server.client()) as client:
        client.flushdb()


async def test_a_record_of_a_newer_protocol_is_passed_over(
    server: RedisServer, store: LockStore
) -> None:
    await fill(store, 2)
    server.cli("HSET", f"lock:{{{PREFIX}-0}}", "version", "90000000000000001")
    seen = await store.survey()
    assert (seen.conversations, seen.unreadable) == (1, 1)


@EVERYWHERE
async def test_a_survey_that_is_given_up_ends_and_leaves_nothing_behind(
    store: LockStore, caplog: pytest.LogCaptureFixture
) -> None:
    """Also when it is cancelled just as an answer comes."""
    await fill(store)
    for attempt in range(200):
        surveying = asyncio.ensure_future(store.survey())
        for _ in range(attempt):
            await asyncio.sleep(0)
        await asyncio.sleep(attempt % 10 / 1000)
        if surveying.cancel():
            with pytest.raises(asyncio.CancelledError):
                await surveying
    assert (await store.survey()).conversations == CONVERSATIONS
    gc.collect()
    assert not caplog.records


async def test_a_survey_outlives_a_restart_and_tells_of_an_outage(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with LockStore.create(server.url(socket_timeout=8)) as store:
        await fill(store, 100)
        await store.survey()
        server.restart(keep_data=True)
        assert (await store.survey()).conversations == 100
    async with LockStore.create(server.url(socket_timeout=1)) as store:
        await store.survey()
        server.stop()
        with pytest.raises(StoreUnavailable, match="did not answer in time"):
            await store.survey()
        server.start()
    gc.collect()
    assert not [one for one in caplog.records if "never retrieved" in one.getMessage()]


async def test_the_wait_is_that_of_the_first_who_joined(server: RedisServer) -> None:
    """Also where its lifetime was renewed since, and where the clock was set back."""
    async with LockStore.create(server.url()) as store:
        queue = store._runtime.queue
        holder, waiter = queue.handle("c"), queue.handle("c")
        await queue.take(holder, Admission(LONG))
        await queue.take(waiter, Admission(LONG, renewed=True))
        await asyncio.sleep(0.5)
        await queue.renew([(waiter, LONG)])
        (line,) = (await store.survey()).lines
        assert line.oldest_wait is not None
        assert 0.4 < line.oldest_wait < 5.0
