"""A network that loses notices, requests and replies: one place each, and nobody waits for ever."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from nowserving import LockAbsorbed, LockInterrupted, LockReleased, LockStore, LockSuperseded
from tests.support.crew import assert_exact
from tests.support.tasks import Turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.process.conftest import Measured
    from tests.support.proxy import Cut, Proxy
    from tests.support.redis_server import RedisServer

WAIT = 0.5
ROOM = 0.4
CUTS = pytest.mark.parametrize("what", ["request", "reply", "half a reply"])


@pytest.fixture
async def behind(proxy: Proxy) -> AsyncIterator[LockStore]:
    """A store behind the proxy that has connected already."""
    async with LockStore.create(proxy.url(socket_timeout=2)) as store:
        async with store.lock("warm-up", 1.0):
            pass
        yield store


async def test_progress_without_any_notice(
    server: RedisServer,
    proxy: Proxy,
    behind: LockStore,
    measured: Measured,
) -> None:
    proxy.swallow_messages = True
    async with LockStore.create(server.url()) as direct:
        holder = Turns(direct)
        holder.start(hold=0.2)
        await holder.until_in_line(1)
        turns = Turns(behind)
        turns.start(4, hold=0.05, wait=WAIT)
        await turns.finish()
        await holder.finish()
    done = holder.done + turns.done
    assert_exact(done)
    assert not turns.errors
    assert proxy.swallowed >= 4
    worst = max(later.entered - earlier.left for earlier, later in pairwise(done)) / 1e9
    measured("hand_off_seconds", worst)
    assert worst < WAIT + ROOM


async def test_a_renewal_finds_out_what_no_notice_told(
    server: RedisServer, proxy: Proxy, behind: LockStore
) -> None:
    """Polls are far apart here: the next one is due when the lease would have ended."""
    proxy.swallow_messages = True
    lifetime = 9.0
    async with LockStore.create(server.url()) as direct, direct.lock("c"):
        turns = Turns(behind)
        turns.start(wait=600.0, lifetime=lifetime, auto_renew=True)
        await turns.until_in_line(2)
    await turns.finish(lifetime * 2 / 3)
    assert [turn.number for turn in turns.done] == [1]


async def test_an_interruption_is_seen_without_any_notice(proxy: Proxy, behind: LockStore) -> None:
    proxy.swallow_messages = True
    turns = Turns(behind)
    turns.start(hold=20.0, wait=WAIT)
    await turns.until_in_line(1)
    turns.start(hold=0.01, wait=WAIT, when_busy="interrupt")
    await turns.finish(2 * (WAIT + ROOM))
    assert [type(error) for error in turns.errors] == [LockInterrupted]
    assert [turn.number for turn in turns.done] == [0, 1]
    assert_exact(turns.done)


async def test_a_loss_is_seen_without_any_notice(proxy: Proxy, behind: LockStore) -> None:
    proxy.swallow_messages = True
    async with behind.lock("c", 30.0, WAIT) as lock:
        await asyncio.to_thread(behind.delete_lock, "c")
        await asyncio.wait_for(lock.lost_event.wait(), WAIT + ROOM)
        assert lock.lost


@CUTS
async def test_an_ambiguous_take_keeps_its_one_place(
    proxy: Proxy, behind: LockStore, what: Cut
) -> None:
    turns = Turns(behind)
    turns.start(hold=0.3)
    await turns.until_in_line(1)
    proxy.cut("take", what)
    turns.start(3)
    await turns.until_in_line(4)
    await turns.finish()
    assert proxy.cuts == 1
    assert not turns.errors
    assert [turn.number for turn in turns.done] == [0, 1, 2, 3]
    assert [turn.turn for turn in turns.done] == [0, 1, 2, 3]
    assert_exact(turns.done)
    await turns.until_in_line(0)


@CUTS
async def test_an_ambiguous_take_may_be_no_duplicate_of_itself(
    proxy: Proxy, behind: LockStore, what: Cut
) -> None:
    """Nor be counted among those that wait already."""
    turns = Turns(behind)
    turns.start(hold=0.2)
    await turns.until_in_line(1)
    proxy.cut("take", what)
    turns.start(message_id="m", max_waiting=1)
    await turns.finish()
    assert proxy.cuts == 1
    assert not turns.errors
    assert len(turns.done) == 2


@CUTS
async def test_an_ambiguous_redeeming_is_its_own(
    proxy: Proxy, behind: LockStore, what: Cut
) -> None:
    ticket = await behind.take_ticket("c", 10.0)
    proxy.cut("redeem", what)
    async with behind.lock("c", ticket=ticket) as lock:
        assert lock.ticket == ticket
    assert proxy.cuts == 1
    assert await asyncio.to_thread(behind.get_lock, "c") is None


@CUTS
async def test_an_ambiguous_take_that_is_cancelled_leaves_no_orphan(
    proxy: Proxy, behind: LockStore, what: Cut
) -> None:
    turns = Turns(behind)
    turns.start(hold=0.3)
    await turns.until_inside()  # and no round trip is under way
    proxy.cut("take", what)
    (task,) = turns.start()
    await asyncio.sleep(0)  # its take is on the way
    task.cancel()
    await asyncio.wait({task}, timeout=5.0)
    assert task.cancelled()
    turns.tasks.remove(task)
    assert proxy.cuts == 1
    await turns.until_in_line(1)
    turns.start(2)
    await turns.finish()
    assert [turn.turn for turn in turns.done] == [0, 1, 2]
    await turns.until_in_line(0)


@CUTS
async def test_an_ambiguous_leave_is_made_once(
    proxy: Proxy, behind: LockStore, what: Cut, caplog: pytest.LogCaptureFixture
) -> None:
    turns = Turns(behind)
    turns.start(3, hold=0.1)
    await turns.until_in_line(3)
    proxy.cut("leave", what)
    await turns.finish()
    assert proxy.cuts == 1
    assert not turns.errors
    assert not caplog.records, "nothing was lost, so nobody is warned"
    assert [turn.number for turn in turns.done] == [0, 1, 2]
    assert_exact(turns.done)
    await turns.until_in_line(0)


@CUTS
async def test_ambiguous_polls_and_renewals_change_nothing(
    proxy: Proxy, behind: LockStore, what: Cut
) -> None:
    turns = Turns(behind)
    turns.start(hold=1.2, wait=0.1, lifetime=0.9, auto_renew=True)
    turns.start(3, wait=0.1, lifetime=0.9, auto_renew=True)
    await turns.until_in_line(4)
    for _ in range(6):
        proxy.cut("renew", what)
        await asyncio.sleep(0.1)
    await turns.finish()
    assert proxy.cuts >= 4
    assert not turns.errors
    assert not turns.losses
    assert [turn.number for turn in turns.done] == [0, 1, 2, 3]
    assert_exact(turns.done)


@CUTS
async def test_an_ambiguous_absorb_tells_of_all_that_leave(
    server: RedisServer, proxy: Proxy, behind: LockStore, what: Cut
) -> None:
    async with LockStore.create(server.url()) as direct:
        async with behind.lock("c") as lock:
            early = asyncio.ensure_future(_message(direct, "early"))
            await asyncio.wait_for(lock.news(), 5.0)
            proxy.cut("absorb", what)
            assert [one.message_id for one in await lock.absorb()] == ["early"]
            late = asyncio.ensure_future(_message(direct, "late"))
            await asyncio.wait_for(lock.news(), 5.0)
        assert proxy.cuts == 1
        assert await asyncio.wait_for(early, 5.0) == "absorbed"
        assert await asyncio.wait_for(late, 5.0) == "served"


async def _message(store: LockStore, message_id: str) -> str:
    try:
        async with store.lock("c", message_id=message_id):
            return "served"
    except LockAbsorbed:
        return "absorbed"


@CUTS
@pytest.mark.parametrize("whom", ["holder", "waiter", "issued"])
async def test_an_ambiguous_release_is_of_one_ticket(
    proxy: Proxy, behind: LockStore, what: Cut, whom: str
) -> None:
    holder = asyncio.create_task(turn(behind))
    await until_in_line(behind, 1)
    issued = await behind.take_ticket("c")
    waiter = asyncio.create_task(turn(behind))
    await until_in_line(behind, 3)
    ticket = {"holder": None, "waiter": 2, "issued": issued}[whom]
    proxy.cut("release", what)
    assert await behind.release("c", ticket, "enough")
    assert proxy.cuts == 1
    numbers = {"holder": [1, 2], "waiter": [0, 1], "issued": [0, 2]}[whom]
    assert await numbers_of(behind) == numbers
    if whom == "issued":
        with pytest.raises(LockReleased, match="enough"):
            async with behind.lock("c", ticket=issued):
                pytest.fail("the body ran")
    if whom == "waiter":
        with pytest.raises(LockReleased, match="enough"):
            await waiter
    for task in (holder, waiter):
        task.cancel()
    await asyncio.wait({holder, waiter})


@CUTS
async def test_what_an_operator_asks_ambiguously_is_answered(
    proxy: Proxy, behind: LockStore, what: Cut
) -> None:
    async with behind.lock("c", label="trace 7"):
        issued = await behind.take_ticket("c", 30.0)
        proxy.cut("line", what)
        line = await behind.inspect("c")
        assert line is not None
        assert line.holder is not None
        assert line.holder.label == "trace 7"
        proxy.cut("renew", what)
        assert await behind.renew_ticket("c", issued, 60.0)
        proxy.cut("SCAN", what)
        assert "c" in [name async for name in behind.conversations()]
        proxy.cut("leave", what)
        assert await behind.give_back("c", issued)
        assert proxy.cuts == 4
        assert await numbers_of(behind) == [0]


async def test_a_leave_that_is_repeated_was_not_superseded(proxy: Proxy) -> None:
    """A newer message came behind the holder: all smaller numbers are superseded, or have left."""
    async with LockStore.create(proxy.url(socket_timeout=2)) as store:
        async with store.lock("c", 60.0, on_lost="cancel"):
            older = asyncio.create_task(turn(store))
            await until_in_line(store, 2)
            newest = asyncio.create_task(turn(store, 0.0, when_busy="latest"))
            with pytest.raises(LockSuperseded):
                await older
            proxy.cut("leave", "reply")
        await newest
        assert proxy.cuts == 1


async def turn(store: LockStore, lasts: float = 60.0, **how: Any) -> None:
    async with store.lock("c", wait_time_in_seconds=WAIT, **how):
        await asyncio.sleep(lasts)


async def numbers_of(store: LockStore) -> list[int]:
    lock = await asyncio.to_thread(store.get_lock, "c")
    return [] if lock is None else [ticket.number for ticket in lock.tickets]


async def until_in_line(store: LockStore, count: int) -> None:
    while len(await numbers_of(store)) < count:  # noqa: ASYNC110 - it is in Redis
        await asyncio.sleep(0.01)
