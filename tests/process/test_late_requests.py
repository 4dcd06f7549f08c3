"""A network that delivers late: what was sent again since, or given up, must do no harm then."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import pytest

from nowserving import LockBusy, LockStore, LockSuperseded, StoreUnavailable
from tests.support.tasks import Turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine
    from typing import Any

    from nowserving.protocol.status import WhenBusy
    from tests.support.proxy import Proxy
    from tests.support.redis_server import RedisServer

PATIENCE = 1.0  # seconds; a connection is given up after half of them


@pytest.fixture
async def behind(proxy: Proxy) -> AsyncIterator[LockStore]:
    """A store behind the proxy that has connected, and has a record of "known"."""
    async with LockStore.create(proxy.url(socket_timeout=PATIENCE)) as store:
        async with store.lock("known"):
            pass
        yield store


@pytest.fixture
async def direct(server: RedisServer) -> AsyncIterator[LockStore]:
    async with LockStore.create(server.url()) as store:
        yield store


async def line(store: LockStore, conversation: str) -> list[int]:
    lock = await asyncio.to_thread(store.get_lock, conversation)
    return [] if lock is None else [ticket.number for ticket in lock.tickets]


async def until_late(proxy: Proxy, count: int = 1) -> None:
    give_up = time.monotonic() + 5.0
    while len(proxy.late) < count:
        assert time.monotonic() < give_up, "nothing is late"
        await asyncio.sleep(0.005)


def cancelled(coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[None]:
    """Start a task that is cancelled once its request is on the way."""

    async def run() -> None:
        task = asyncio.ensure_future(coroutine)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()

    return asyncio.create_task(run())


@pytest.mark.parametrize("conversation", ["known", "new"])
async def test_a_first_attempt_that_comes_after_the_turn_issues_no_ticket(
    proxy: Proxy, behind: LockStore, conversation: str
) -> None:
    proxy.cut("take", "late request")
    async with behind.lock(conversation) as lock:
        assert await line(behind, conversation) == [lock.ticket]
    await proxy.deliver()
    assert await line(behind, conversation) == []
    async with behind.lock(conversation, timeout=0) as lock:
        assert lock.predecessor == "done"


async def test_a_first_attempt_that_comes_during_the_turn_issues_no_second_ticket(
    proxy: Proxy, behind: LockStore
) -> None:
    proxy.cut("take", "late request")
    async with behind.lock("known") as lock:
        await proxy.deliver()
        assert await line(behind, "known") == [lock.ticket]
        assert not lock.lost


async def test_a_first_attempt_that_comes_behind_its_repetition_has_one_place(
    proxy: Proxy, behind: LockStore, direct: LockStore
) -> None:
    holder, turns = Turns(direct, "known"), Turns(behind, "known")
    holder.start(hold=1.0)
    await holder.until_inside()
    proxy.cut("take", "late request")
    turns.start()
    await holder.until_in_line(2)
    await proxy.deliver()
    assert len(await line(direct, "known")) == 2
    await holder.finish()
    await turns.finish()
    assert not turns.errors
    assert await line(direct, "known") == []


async def test_a_take_that_failed_is_refused_whenever_its_attempts_arrive(
    proxy: Proxy, behind: LockStore
) -> None:
    """One of them is a repetition, which has no right to a ticket any more either."""
    proxy.cut("take", "late request")
    proxy.cut("take", "late request")
    with pytest.raises(StoreUnavailable):
        async with behind.lock("known"):
            pytest.fail("the body ran")
    await until_late(proxy, 2)
    async with behind.lock("known"):
        pass  # so the ticket of the failed take was given back
    await proxy.deliver()
    assert await line(behind, "known") == []


async def test_a_take_that_was_refused_gets_no_ticket_for_its_first_attempt(
    proxy: Proxy, behind: LockStore, direct: LockStore
) -> None:
    async with direct.lock("known"):
        proxy.cut("take", "late request")
        with pytest.raises(LockBusy):
            async with behind.lock("known", when_busy="reject"):
                pytest.fail("the body ran")
    await proxy.deliver()
    assert await line(direct, "known") == []


async def test_a_redeeming_that_comes_after_its_owner_left_leaves_the_ticket_to_others(
    proxy: Proxy, behind: LockStore
) -> None:
    ticket = await behind.take_ticket("known")
    proxy.cut("redeem", "late request")
    await cancelled(behind.lock("known", ticket=ticket).__aenter__())
    await until_late(proxy)
    await asyncio.sleep(PATIENCE)  # its leave has arrived over another connection
    await proxy.deliver()
    assert await line(behind, "known") == [ticket]
    async with behind.lock("known", ticket=ticket, timeout=0) as lock:
        assert lock.ticket == ticket


@pytest.mark.parametrize("policy", ["queue", "latest", "interrupt"])
async def test_a_repeated_take_does_not_come_back_after_it_was_superseded(
    proxy: Proxy, behind: LockStore, direct: LockStore, policy: WhenBusy
) -> None:
    async def ask() -> None:
        async with behind.lock("known", when_busy=policy):
            pytest.fail("the body ran")

    holder = await direct.take_ticket("known")
    proxy.cut("take", "silence")
    older, newer = asyncio.create_task(ask()), Turns(direct, "known")
    await newer.until_in_line(2)
    newer.start(when_busy="latest")
    with pytest.raises(LockSuperseded):
        await asyncio.wait_for(older, 5.0)
    assert await line(direct, "known") == [holder, holder + 2]
    await asyncio.to_thread(direct.cleanup, "known", holder)
    await newer.finish()
    assert not newer.errors


async def test_a_ticket_is_not_issued_anew_after_it_was_superseded(
    proxy: Proxy, behind: LockStore, direct: LockStore
) -> None:
    holder = await direct.take_ticket("known")
    proxy.cut("take", "silence")
    older = asyncio.create_task(behind.take_ticket("known", when_busy="latest"))
    await Turns(direct, "known").until_in_line(2)
    newer = await direct.take_ticket("known", when_busy="latest")
    with pytest.raises(LockSuperseded):
        await asyncio.wait_for(older, 5.0)
    assert await line(direct, "known") == [holder, newer]
    await asyncio.to_thread(direct.delete_lock, "known")


async def test_who_was_buried_is_forgotten_although_the_conversation_is_never_idle(
    server: RedisServer, proxy: Proxy, behind: LockStore
) -> None:
    def fields() -> list[str]:
        with contextlib.closing(server.client()) as client:
            return [str(name) for name in client.hkeys("lock:{known}")]

    before = set(fields())
    for _ in range(12):
        proxy.cut("take", "request")
        await cancelled(behind.lock("known", 0.5).__aenter__())
    assert proxy.cuts == 12
    assert sum(name.startswith("x:") for name in fields()) == 12
    over = time.monotonic() + 2 * PATIENCE + 0.2
    while time.monotonic() < over:
        async with behind.lock("known", 0.5):
            await asyncio.sleep(0.05)
    for _ in range(3):  # each sweeps some
        async with behind.lock("known", 0.5):
            pass
    assert set(fields()) == before
