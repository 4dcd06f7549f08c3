"""``when_busy="reject"``, ``max_waiting``, ``when_full``: what is turned away in a busy line."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from nowserving.errors import LockBusy, LockError, LockSuperseded
from nowserving.testing.harness import (
    StoreHarness,
    policy,
)

if TYPE_CHECKING:
    from nowserving.stores.base import LockStore


class Rejecting(StoreHarness):
    """``when_busy="reject"`` and ``max_waiting``."""

    @policy(when_busy="reject")
    async def test_reject_refuses_while_the_conversation_is_held(self, store: LockStore) -> None:
        name = self.conversation()
        async with store.lock(name, when_busy="reject"):
            holder = self.numbers(store, name)
            await asyncio.sleep(self.seconds(0.1))
            with pytest.raises(LockBusy, match=name) as busy:
                await self.in_thread(lambda: self.drop_in(store, name, when_busy="reject"))
            assert self.numbers(store, name) == holder
        error = busy.value
        assert error.conversation_id == name
        assert error.position == 1
        assert error.holder
        assert error.held_since == pytest.approx(
            time.time() - self.seconds(0.1), abs=self.seconds(2.0)
        )
        async with store.lock(name, when_busy="reject"):
            pass

    @policy(when_busy="reject")
    async def test_reject_refuses_while_an_issued_ticket_is_in_line(self, store: LockStore) -> None:
        name = self.conversation()
        number = store.issue_ticket(name)
        with pytest.raises(LockBusy):
            async with store.lock(name, when_busy="reject"):
                pytest.fail("the body ran")
        store.finish_serving(name, number)
        async with store.lock(name, when_busy="reject"):
            pass

    @policy(max_waiting=1)
    async def test_max_waiting_refuses_the_one_over_it(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name, max_waiting=1)
        waiter = await self.line_up(store, name, max_waiting=1)
        with pytest.raises(LockBusy) as busy:
            async with store.lock(name, max_waiting=1):
                pytest.fail("the body ran")
        assert busy.value.position == 2
        third = await self.line_up(store, name, max_waiting=2)
        for visitor in (holder, waiter, third):
            await visitor.serves()
            await visitor.goes()

    @policy(max_waiting=0)
    async def test_max_waiting_zero_lets_nobody_wait(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name, max_waiting=0)
        with pytest.raises(LockBusy):
            async with store.lock(name, max_waiting=0):
                pytest.fail("the body ran")
        with pytest.raises(LockBusy):
            async with store.lock(name, max_waiting=0, when_busy="latest"):
                pytest.fail("the body ran")
        await holder.goes()

    @policy(max_waiting=1)
    async def test_max_waiting_does_not_count_who_has_left(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        for _ in range(3):
            waiter = await self.line_up(store, name, max_waiting=1)
            await waiter.cancel()
        impatient = await self.line_up(store, name, self.seconds(0.1), max_waiting=1)
        assert isinstance(await impatient.end(), LockError)
        last = await self.line_up(store, name, max_waiting=1)
        await holder.goes()
        await last.serves()
        await last.goes()

    @policy(max_waiting=1)
    async def test_max_waiting_counts_no_expired_ticket(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        store.issue_ticket(name, self.seconds(0.1))
        await asyncio.sleep(self.seconds(0.2))
        waiter = await self.line_up(store, name, max_waiting=1)
        await holder.goes()
        await waiter.serves()
        await waiter.goes()

    @policy(max_waiting=1)
    async def test_max_waiting_holds_for_issued_tickets(self, store: LockStore) -> None:
        name = self.conversation()
        await store.take_ticket(name, max_waiting=1)
        await store.take_ticket(name, max_waiting=1)
        with pytest.raises(LockBusy):
            await store.take_ticket(name, max_waiting=1)
        assert self.numbers(store, name) == [0, 1]
        store.delete_lock(name)

    @policy(max_waiting=2, when_full="drop_oldest")
    async def test_drop_oldest_lets_the_one_go_that_has_waited_longest(
        self, store: LockStore
    ) -> None:
        name = self.conversation()
        how: Any = {"max_waiting": 2, "when_full": "drop_oldest"}
        holder = await self.enter(store, name, **how)
        waiters = [await self.line_up(store, name, **how) for _ in range(4)]
        for waiter in waiters[:2]:
            assert isinstance(await waiter.end(), LockSuperseded)
        assert self.numbers(store, name) == [0, 3, 4]
        for visitor in (holder, *waiters[2:]):
            await visitor.serves()
            await visitor.goes()

    @policy(max_waiting=1, when_full="drop_oldest")
    async def test_drop_oldest_counts_no_expired_ticket(self, store: LockStore) -> None:
        name = self.conversation()
        how: Any = {"max_waiting": 1, "when_full": "drop_oldest"}
        holder = await self.enter(store, name)
        store.issue_ticket(name, self.seconds(0.1))
        waiter = await self.line_up(store, name)
        await asyncio.sleep(self.seconds(0.2))
        newest = await self.line_up(store, name, **how)
        assert isinstance(await waiter.end(), LockSuperseded)
        await holder.goes()
        await newest.serves()
        await newest.goes()

    @policy(max_waiting=1, when_full="drop_oldest")
    async def test_drop_oldest_lets_an_issued_ticket_go(self, store: LockStore) -> None:
        name = self.conversation()
        how: Any = {"max_waiting": 1, "when_full": "drop_oldest"}
        holder = await self.enter(store, name)
        issued = await store.take_ticket(name, **how)
        newest = await store.take_ticket(name, **how)
        with pytest.raises(LockSuperseded):
            async with store.lock(name, ticket=issued):
                pytest.fail("the body ran")
        await holder.goes()
        async with store.lock(name, ticket=newest):
            pass

    @policy(max_waiting=0, when_full="drop_oldest")
    async def test_where_nobody_may_wait_nobody_is_dropped(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        waiter = await self.line_up(store, name)
        with pytest.raises(LockBusy):
            async with store.lock(name, max_waiting=0, when_full="drop_oldest"):
                pytest.fail("the body ran")
        for visitor in (holder, waiter):
            await visitor.serves()
            await visitor.goes()
