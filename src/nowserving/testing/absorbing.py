"""``lock.absorb()``, ``lock.news()``: a holder takes those who wait into its own turn."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from nowserving.errors import (
    DuplicateMessage,
    LockAbsorbed,
    LockError,
    LockLost,
    LockSuperseded,
)
from nowserving.testing.harness import StoreHarness, policy, scenario

if TYPE_CHECKING:
    from nowserving.stores.base import LockStore


class Absorbing(StoreHarness):
    """An agent that is asked more while it works."""

    @policy(message_id="a")
    async def test_those_absorbed_leave_when_the_body_ends_well(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        waiters = [await self.line_up(store, name, message_id=each) for each in "abc"]
        first = await holder.held.absorb(limit=2)
        assert [(one.number, one.message_id) for one in first] == [(1, "a"), (2, "b")]
        assert all(one.waited >= 0 for one in first)
        assert [one.number for one in await holder.held.absorb()] == [3]
        assert await holder.held.absorb() == []
        assert [one.number for one in holder.held.absorbed] == [1, 2, 3]
        assert self.numbers(store, name) == [0, 1, 2, 3]
        behind = await self.line_up(store, name)
        await holder.goes()
        await behind.serves()
        for waiter in waiters:
            error = await waiter.end()
            assert isinstance(error, LockAbsorbed)
            assert error.by == holder.held.ticket
        await behind.goes()
        for message in "abc":
            with pytest.raises(DuplicateMessage) as known:
                async with store.lock(name, message_id=message):
                    pytest.fail("the body ran")
            assert known.value.state == "done"

    @policy(message_id="a")
    async def test_a_line_shows_who_is_absorbed_by_the_present_holder(
        self, store: LockStore
    ) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        waiters = [await self.line_up(store, name) for _ in range(3)]
        await holder.held.absorb(limit=2)
        assert await self._absorbed(store, name) == [True, True, False]
        await holder.goes(raising=KeyError("a bug"))
        first, second, third = waiters
        await first.serves()
        assert await self._absorbed(store, name) == [False, False]
        await first.held.absorb(limit=1)
        assert await self._absorbed(store, name) == [True, False]
        await first.goes()
        error = await second.end()
        assert isinstance(error, LockAbsorbed)
        assert error.by == first.held.ticket
        await third.serves()
        await third.goes()

    async def _absorbed(self, store: LockStore, name: str) -> list[bool]:
        line = await store.inspect(name)
        assert line is not None
        assert line.holder is not None
        assert not line.holder.absorbed
        return [ticket.absorbed for ticket in line.waiting]

    @policy(message_id="a")
    async def test_those_absorbed_are_served_when_the_body_fails(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        waiters = [await self.line_up(store, name, message_id=each) for each in "ab"]
        assert len(await holder.held.absorb()) == len(waiters)
        await holder.goes(raising=KeyError("a bug"))
        for waiter in waiters:
            await waiter.serves()
            await waiter.goes()

    @policy(message_id="a")
    async def test_those_absorbed_are_served_when_the_lock_is_released(
        self, store: LockStore
    ) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        waiter = await self.line_up(store, name)
        await holder.held.absorb()
        number = holder.held.ticket
        await self.in_thread(lambda: store.finish_serving(name, number))
        await waiter.serves()
        await self.until_lost(holder.held)
        with pytest.raises(LockLost):
            await holder.held.absorb()
        await holder.goes()
        await waiter.goes()

    @policy(when_busy="latest")
    async def test_a_newer_message_does_not_supersede_what_is_absorbed(
        self, store: LockStore
    ) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        absorbed = await self.line_up(store, name)
        await holder.held.absorb()
        older = await self.line_up(store, name)
        newest = await self.line_up(store, name, when_busy="latest")
        assert isinstance(await older.end(), LockSuperseded)
        assert not absorbed.ended
        await holder.goes()
        assert isinstance(await absorbed.end(), LockAbsorbed)
        await newest.serves()
        await newest.goes()

    @policy(message_id="a")
    async def test_whoever_is_absorbed_may_give_up(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        waiter = await self.line_up(store, name, message_id="a")
        other = await self.line_up(store, name)
        assert len(await holder.held.absorb()) == len((waiter, other))
        await waiter.cancel()
        assert self.numbers(store, name) == [0, 2]
        await holder.goes()
        assert isinstance(await other.end(), LockAbsorbed)
        with pytest.raises(DuplicateMessage) as known:  # the holder has handled it
            async with store.lock(name, message_id="a"):
                pytest.fail("the body ran")
        assert known.value.state == "done"

    @policy(message_id="a")
    async def test_what_was_absorbed_of_whoever_gave_up_may_come_again_if_the_body_fails(
        self, store: LockStore
    ) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        waiter = await self.line_up(store, name, message_id="a")
        await holder.held.absorb()
        await waiter.cancel()
        await holder.goes(raising=KeyError("a bug"))
        async with store.lock(name, message_id="a", timeout=0):
            pass

    @policy(message_id="a")
    async def test_what_the_body_was_not_told_of_is_served(self, store: LockStore) -> None:
        """It gave up asking, at whichever step, and ended well."""
        for steps in range(5):
            name = self.conversation()
            holder = await self.enter(store, name)
            waiter = await self.line_up(store, name)
            asked = asyncio.ensure_future(holder.held.absorb())
            for _ in range(steps):
                await asyncio.sleep(0)
            asked.cancel()
            await asyncio.wait({asked})
            told = holder.held.absorbed
            await asyncio.sleep(self.seconds(0.05))  # the store may have absorbed it by now
            await holder.goes()
            if told:
                assert isinstance(await waiter.end(), LockAbsorbed)
            else:
                await waiter.serves()
                await waiter.goes()

    @policy(ticket=0)
    async def test_a_ticket_that_nobody_has_is_not_absorbed(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        ticket = await store.take_ticket(name)
        assert await holder.held.absorb() == []
        waiter = await self.line_up(store, name, ticket=ticket)
        assert [one.number for one in await holder.held.absorb()] == [ticket]
        await holder.goes()
        assert isinstance(await waiter.end(), LockAbsorbed)

    @policy(message_id="a")
    async def test_news_tell_that_somebody_waits(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        news = asyncio.ensure_future(holder.held.news())
        await asyncio.sleep(self.seconds(0.05))
        assert not news.done()
        waiter = await self.line_up(store, name)
        await asyncio.wait_for(news, self.limit)
        await asyncio.wait_for(holder.held.news(), self.limit)  # it waits still
        await holder.held.absorb()
        again = asyncio.ensure_future(holder.held.news())
        await asyncio.sleep(self.seconds(0.05))
        assert not again.done()
        await holder.goes()
        assert isinstance(await waiter.end(), LockAbsorbed)
        with pytest.raises(RuntimeError, match="is over"):
            await asyncio.wait_for(again, self.limit)

    @policy(message_id="a")
    async def test_absorb_belongs_into_a_turn(self, store: LockStore) -> None:
        name = self.conversation()
        async with store.lock(name) as lock:
            for limit in (0, 251, -1, True, 1.5):
                with pytest.raises(ValueError, match="limit="):
                    await lock.absorb(limit)  # type: ignore[arg-type]
        with pytest.raises(RuntimeError, match="is over"):
            await lock.absorb()

    def test_a_thread_that_holds_the_lock_can_not_absorb(self) -> None:
        with self.opened() as store, store.lock(self.conversation()) as lock:
            for asked in (lock.absorb, lock.news):
                with pytest.raises(RuntimeError, match="`async with`"):
                    asyncio.run(asked())
            assert not lock.lost

    @scenario
    async def test_a_store_that_can_not_absorb_says_so(self, store: LockStore) -> None:
        if self.guarantees(store).policies:
            return
        async with store.lock(self.conversation()) as lock:
            for asked in (lock.absorb, lock.news):
                with pytest.raises(LockError, match="decides atomically"):
                    await asked()
