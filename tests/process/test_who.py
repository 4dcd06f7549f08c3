"""Which process has a ticket: noted in Redis once a process, read by whoever looks at a line."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from typing import TYPE_CHECKING

import pytest

from nowserving import LockBusy, LockStore
from nowserving.testing.harness import until
from tests.support.forks import in_child

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from nowserving import Holder, TicketLock
    from tests.support.proxy import Cut, Proxy
    from tests.support.redis_server import RedisServer


pytestmark = pytest.mark.filterwarnings(
    # Python 3.12 and newer warn of every fork of a process that has threads.
    "ignore:.*use of fork\\(\\) may lead to deadlocks:DeprecationWarning"
)


async def noted(server: RedisServer) -> None:
    """Wait until this process is noted."""
    with server.client() as client:
        while not list(client.scan_iter("lock:process:*")):  # noqa: ASYNC110 - it is in Redis
            await asyncio.sleep(0.05)


async def test_a_line_shows_whose_its_tickets_are(server: RedisServer, store: LockStore) -> None:
    async with store.lock("c"):
        issued = await store.take_ticket("c")
        await noted(server)
        line = await store.inspect("c")
        assert line is not None
        assert line.holder is not None
        assert (line.holder.host, line.holder.pid) == (socket.gethostname(), os.getpid())
        (waiting,) = line.waiting
        assert (waiting.number, waiting.host, waiting.pid) == (issued, None, None)
    with server.client() as client:
        (note,) = list(client.scan_iter("lock:process:*"))
        assert 86_400 < client.ttl(note) <= 172_800


async def test_a_process_is_noted_once(server: RedisServer, store: LockStore) -> None:
    for name in ("c", "d", "c"):
        async with store.lock(name):
            pass
    await noted(server)
    with server.client() as client:
        assert len(list(client.scan_iter("lock:process:*"))) == 1


async def test_whose_note_is_gone_nobody_knows(server: RedisServer, store: LockStore) -> None:
    async with store.lock("c"):
        await noted(server)
        with server.client() as client:
            for note in list(client.scan_iter("lock:process:*")):
                client.delete(note)
        line = await store.inspect("c")
        assert line is not None
        assert line.holder is not None
        assert (line.holder.host, line.holder.pid) == (None, None)


async def test_the_note_is_renewed(
    server: RedisServer, store: LockStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nowserving.stores.redis.processes._NOTED_EVERY", 0.2)
    async with store.lock("c"):
        await noted(server)
        with server.client() as client:
            for note in list(client.scan_iter("lock:process:*")):
                client.delete(note)
        await noted(server)


def test_a_process_of_short_loops_is_noted(server: RedisServer) -> None:
    async def turns() -> None:
        async with store.lock("c"):
            pass

    with LockStore.create(server.url()) as store, server.client() as client:
        end = time.monotonic() + 20.0
        while not list(client.scan_iter("lock:process:*")):
            assert time.monotonic() < end
            asyncio.run(turns())


def test_a_fork_is_a_process_of_its_own(server: RedisServer) -> None:
    """Each of them is noted, whichever was first."""
    with LockStore.create(server.url()) as store:
        assert pid_of_holder(server, store) == os.getpid()
        assert in_child(lambda: pid_of_holder(server, store) == os.getpid())
        assert pid_of_holder(server, store) == os.getpid()


def pid_of_holder(server: RedisServer, store: LockStore) -> int | None:
    """Return what another process would be told of whoever holds a lock of this store."""
    with store.lock("c"), LockStore.create(server.url()) as other:
        while True:
            line = other.blocking.inspect("c")
            assert line is not None
            assert line.holder is not None
            if line.holder.host is not None:
                return line.holder.pid
            time.sleep(0.05)


@pytest.fixture
async def behind(proxy: Proxy) -> AsyncIterator[LockStore]:
    """A store behind the proxy that has connected already, and is patient."""
    async with LockStore.create(proxy.url(socket_timeout=20)) as store:
        async with store.lock("warm-up"):
            pass
        yield store


async def busy(store: LockStore) -> LockBusy:
    with pytest.raises(LockBusy) as refusal:
        async with store.lock("c", when_busy="reject"):
            pytest.fail("the body ran")
    return refusal.value


async def until_told(store: LockStore, enough: Callable[[Holder], object]) -> Holder:
    """Be refused until that is told in time, which a busy machine may take some tries for."""
    while True:
        holder = (await busy(store)).holder
        assert holder is not None
        if enough(holder):
            return holder


async def test_an_error_tells_the_process_that_holds(server: RedisServer, store: LockStore) -> None:
    async with LockStore.create(server.url()) as other, other.lock("c", label="trace 7"):
        await noted(server)
        holder = await until_told(store, lambda holder: holder.host)
        assert (holder.label, holder.host, holder.pid) == (
            "trace 7",
            socket.gethostname(),
            os.getpid(),
        )
        line = await store.inspect("c")
        assert line is not None
        assert line.holder is not None
        assert holder.since == pytest.approx(line.holder.since, abs=0.1)


@pytest.mark.parametrize("what", ["request", "reply", "silence"])
@pytest.mark.parametrize("verb", ["line", "process"])
async def test_an_error_waits_for_nobody_who_does_not_answer(
    server: RedisServer, proxy: Proxy, behind: LockStore, verb: str, what: Cut
) -> None:
    async with LockStore.create(server.url()) as other, other.lock("c"):
        await noted(server)
        proxy.cut(verb, what)
        error = None
        while (
            error is None or not proxy.cuts
        ):  # on a busy machine the 50 ms may be over before this verb is sent
            began = time.monotonic()
            error = await busy(behind)
            assert time.monotonic() - began < 5.0  # not 10 s: then a connection is given up
        assert error.holder
        assert error.holder.since == error.held_since


async def test_a_plain_turn_asks_nobody_who_holds(server: RedisServer, store: LockStore) -> None:
    async with store.lock("c"):
        waiting = asyncio.create_task(turn(store))
        await until(lambda: len(store.get_lock("c").tickets) == 2)  # type: ignore[union-attr]
    await waiting
    with server.client() as client:
        before = client.info("commandstats")["cmdstat_evalsha"]["calls"]
        async with store.lock("c"):
            pass
        assert client.info("commandstats")["cmdstat_evalsha"]["calls"] == before + 2


async def turn(store: LockStore) -> None:
    async with store.lock("c"):
        pass


@pytest.mark.parametrize("how", ["lock", "take_ticket"])
async def test_whoever_is_cancelled_while_that_is_asked_is_cancelled(
    server: RedisServer,
    proxy: Proxy,
    behind: LockStore,
    how: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nowserving._turns.holders._WITHIN", 20.0)
    async with LockStore.create(server.url()) as other, other.lock("c"):
        proxy.cut("line", "silence")
        refused = turn_refused(behind) if how == "lock" else ticket_refused(behind)
        task = asyncio.create_task(refused)
        await until(lambda: proxy.cuts)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [ticket.number for ticket in (await line_of(other)).tickets] == [0]


async def ticket_refused(store: LockStore) -> None:
    await store.take_ticket("c", max_waiting=0)


async def turn_refused(store: LockStore) -> None:
    async with store.lock("c", timeout=0):
        pytest.fail("the body ran")


async def line_of(store: LockStore) -> TicketLock:
    lock = await asyncio.to_thread(store.get_lock, "c")
    assert lock is not None
    return lock
