"""A place that is kept: over a bad network, a store that loses its data, and processes that end."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import pytest

from nowserving import LockError, LockStore, LockTimeout, StoreUnavailable
from tests.support.crew import Worker, until
from tests.support.worker import TurnJob

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from nowserving import IssuedTicket, Turn
    from tests.support.proxy import Cut, Proxy
    from tests.support.redis_server import RedisServer

PATIENCE = 1.0  # seconds; a connection is given up after half of them
CUTS = pytest.mark.parametrize("what", ["request", "reply", "half a reply"])


@pytest.fixture
async def behind(proxy: Proxy) -> AsyncIterator[LockStore]:
    """A store behind the proxy that has connected already."""
    async with LockStore.create(proxy.url(socket_timeout=PATIENCE)) as store:
        async with store.lock("warm-up", 1.0):
            pass
        yield store


@pytest.fixture
async def direct(server: RedisServer) -> AsyncIterator[LockStore]:
    """Another store: whoever holds by it waits for nothing of its own."""
    async with LockStore.create(server.url()) as store:
        yield store


def keeping(store: LockStore, ticket: int, timeout: float = 0.0, lifetime: float = 30.0) -> Turn:
    return store.lock("c", lifetime, ticket=ticket, timeout=timeout, keep_place=True)


async def refused(store: LockStore, ticket: int, timeout: float = 0.0) -> LockTimeout:
    """Return how a wait ended whose place is kept."""
    with pytest.raises(LockTimeout) as late:
        async with keeping(store, ticket, timeout):
            pytest.fail("the body ran")
    return late.value


async def numbers(store: LockStore) -> list[int]:
    lock = await asyncio.to_thread(store.get_lock, "c")
    return [] if lock is None else [ticket.number for ticket in lock.tickets]


# The network


@CUTS
async def test_a_parking_that_is_lost_is_repeated(
    store: LockStore, direct: LockStore, proxy: Proxy, behind: LockStore, what: Cut
) -> None:
    async with direct.lock("c"):
        ticket = await store.take_ticket("c")
        proxy.cut("park", what)
        assert (await refused(behind, ticket)).position == 1
        assert proxy.cuts == 1
        assert await numbers(store) == [0, 1]
        await refused(store, ticket)
    async with store.lock("c", ticket=ticket, timeout=0) as lock:
        assert lock.ticket == ticket


@CUTS
async def test_a_redeeming_that_is_lost_keeps_its_place_as_well(
    store: LockStore, direct: LockStore, proxy: Proxy, behind: LockStore, what: Cut
) -> None:
    async with direct.lock("c"):
        ticket = await store.take_ticket("c")
        proxy.cut("redeem", what)
        await refused(behind, ticket, 1.0)
        assert proxy.cuts == 1
        await refused(store, ticket)
    async with store.lock("c", ticket=ticket, timeout=0):
        pass


async def test_a_redeeming_that_comes_after_its_parking_claims_nothing(
    store: LockStore, direct: LockStore, proxy: Proxy, behind: LockStore
) -> None:
    async with direct.lock("c"):
        ticket = await store.take_ticket("c")
        proxy.cut("redeem", "late request")
        await refused(behind, ticket, 1.0)
        await proxy.deliver()
        await refused(store, ticket)
    async with store.lock("c", ticket=ticket, timeout=0):
        pass


async def test_a_parking_that_comes_late_takes_nobodys_turn(
    store: LockStore, direct: LockStore, proxy: Proxy, behind: LockStore
) -> None:
    async with direct.lock("c"):
        ticket = await store.take_ticket("c")
        proxy.cut("park", "late request")
        await refused(behind, ticket)
    async with store.lock("c", ticket=ticket, timeout=0) as lock:
        await proxy.deliver()
        assert await numbers(store) == [ticket]
        assert not lock.lost


async def test_nothing_is_said_to_be_kept_by_a_store_that_is_silent(
    server: RedisServer, store: LockStore, direct: LockStore
) -> None:
    """Its answer comes later: whoever tries again finds the ticket claimed, or kept."""
    async with direct.lock("c", 30.0):
        ticket = await store.take_ticket("c")
        server.pause()
        try:
            with pytest.raises(StoreUnavailable, match="has not confirmed that its place is kept"):
                async with keeping(store, ticket, 0.2):
                    pytest.fail("the body ran")
        finally:
            server.resume()
        await asyncio.to_thread(until, lambda: not is_claimed(server))
        await refused(store, ticket)
    async with store.lock("c", ticket=ticket, timeout=0):
        pass


async def test_a_place_in_a_line_that_was_lost_is_gone(
    server: RedisServer, store: LockStore, direct: LockStore
) -> None:
    async with direct.lock("c"):
        waits, parked = await store.take_ticket("c"), await store.take_ticket("c")
        await refused(store, parked)
        turn = asyncio.ensure_future(keeping(store, waits, 0.5).__aenter__())
        await asyncio.sleep(0.1)
        await asyncio.to_thread(server.cli, "FLUSHDB")
        with pytest.raises(LockError) as gone:
            await turn
        assert type(gone.value) is LockError
        others = await store.take_ticket("c"), await store.take_ticket("c")
        assert others == (0, 1)
        for old in (waits, parked):  # the number of another one by now
            with pytest.raises(LockError) as gone:
                async with keeping(store, old):
                    pytest.fail("the body ran")
            assert type(gone.value) is LockError
        assert not await store.give_back("c", waits)
        assert await numbers(store) == [0, 1]


# Processes


def job(ticket: IssuedTicket, timeout: float, lifetime: float = 30.0) -> TurnJob:
    options = {"ticket": str(ticket), "timeout": timeout, "keep_place": True}
    return TurnJob(lifetime=lifetime, options=options)


async def test_one_process_keeps_the_place_and_another_is_served(
    server: RedisServer, store: LockStore, direct: LockStore
) -> None:
    async with direct.lock("c"):
        ticket = await store.take_ticket("c")
        with Worker(server.url(), job(ticket, 0.0)) as worker:
            (told,) = await asyncio.to_thread(worker.wait_for, "refused")
            assert told["error"] == "LockTimeout"
            await asyncio.to_thread(worker.finish)
        assert await numbers(store) == [0, 1]
    with Worker(server.url(), job(ticket, 5.0)) as worker:
        await asyncio.to_thread(worker.finish)
        assert worker.find("entered")[0]["number"] == ticket


async def test_a_process_that_ends_in_order_keeps_its_place(
    server: RedisServer, store: LockStore, direct: LockStore
) -> None:
    async with direct.lock("c"):
        ticket = await store.take_ticket("c")
        with Worker(server.url(), job(ticket, 60.0)) as worker:
            await asyncio.to_thread(worker.wait_for, "ready")
            await asyncio.to_thread(until, lambda: is_claimed(server))
            worker.signal(signal.SIGTERM)
            (told,) = await asyncio.to_thread(worker.wait_for, "refused")
            assert told["error"] == "StoreClosed"
            await asyncio.to_thread(worker.finish)
        assert await numbers(store) == [0, 1]
        await refused(store, ticket)
    async with store.lock("c", ticket=ticket, timeout=0):
        pass


async def test_a_process_that_is_killed_keeps_it_for_a_lifetime_and_no_longer(
    server: RedisServer, store: LockStore, direct: LockStore
) -> None:
    """Its claim is not given back. So what was redeemed by a process that died ends with it."""
    async with direct.lock("c"):
        ticket = await store.take_ticket("c")
        with Worker(server.url(), job(ticket, 60.0, lifetime=1.0)) as worker:
            await asyncio.to_thread(until, lambda: is_claimed(server))
            worker.signal(signal.SIGKILL)
        with pytest.raises(LockError):
            async with keeping(store, ticket):
                pytest.fail("the body ran")
        behind = await store.take_ticket("c")
    async with store.lock("c", ticket=behind, timeout=5.0) as lock:
        assert lock.ticket == behind
    with pytest.raises(LockError) as gone:
        async with keeping(store, ticket):
            pytest.fail("the body ran")
    assert type(gone.value) is LockError


def is_claimed(server: RedisServer) -> bool:
    return " c " in server.cli("HGET", "lock:{c}", "1")
