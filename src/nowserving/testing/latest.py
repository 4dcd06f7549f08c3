"""``when_busy="latest"``: the newest message takes the place of all that wait."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from nowserving.errors import LockSuperseded
from nowserving.testing.harness import (
    StoreHarness,
    policy,
)

if TYPE_CHECKING:
    from nowserving.stores.base import LockStore


class Latest(StoreHarness):
    """``when_busy="latest"``: for debouncing and merging."""

    @policy(when_busy="latest")
    async def test_latest_takes_the_place_of_every_waiter(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        waiters = [await self.line_up(store, name) for _ in range(3)]
        newest = await self.line_up(store, name, when_busy="latest")
        for waiter in waiters:
            error = await waiter.end()
            assert isinstance(error, LockSuperseded)
            assert error.conversation_id == name
        assert not holder.held.lost
        assert self.numbers(store, name) == [holder.held.ticket, 4]
        await holder.goes()
        await newest.serves()
        await newest.goes()

    @policy(when_busy="latest")
    async def test_latest_takes_a_free_conversation(self, store: LockStore) -> None:
        name = self.conversation()
        async with store.lock(name, when_busy="latest") as lock:
            assert lock.ticket == 0

    @policy(when_busy="latest")
    async def test_of_many_only_the_newest_is_served(self, store: LockStore) -> None:
        name, served = self.conversation(), list[int]()

        async def turn(index: int) -> None:
            async with store.lock(name, self.long, self.look, when_busy="latest"):
                served.append(index)
                await asyncio.sleep(self.seconds(0.1))

        ends = await asyncio.gather(*(turn(i) for i in range(20)), return_exceptions=True)
        assert served == [0, 19]
        assert [type(end) for end in ends[1:-1]] == [LockSuperseded] * 18

    @policy(when_busy="latest")
    async def test_latest_takes_the_place_of_threads(self, store: LockStore) -> None:
        name = self.conversation()
        number = store.issue_ticket(name)
        waiter = asyncio.create_task(self.in_thread(lambda: self.drop_in(store, name)))
        await self.until(lambda: len(self.numbers(store, name)) == 2)
        newest = await self.line_up(store, name, when_busy="latest")
        with pytest.raises(LockSuperseded):
            await waiter
        store.finish_serving(name, number)
        await newest.serves()
        await newest.goes()

    @policy(when_busy="latest")
    async def test_who_queues_behind_the_latest_is_not_superseded(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        latest = await self.line_up(store, name, when_busy="latest")
        behind = await self.line_up(store, name)
        for visitor in (holder, latest, behind):
            await visitor.serves()
            await visitor.goes()

    @policy(when_busy="latest")
    async def test_the_winner_learns_for_which_messages_it_answers(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        assert (holder.held.superseded, holder.held.superseded.count) == ((), 0)
        ids = ["first", None, "a b\n\ud800"]
        waiters = [await self.line_up(store, name, message_id=message_id) for message_id in ids]
        await self.line_up(store, name, when_busy="latest", message_id="second")
        issued = await store.take_ticket(name, when_busy="latest", message_id="third")
        newest = await self.line_up(store, name, when_busy="latest")
        for waiter in waiters:
            assert isinstance(await waiter.end(), LockSuperseded)
        await holder.goes()
        await newest.serves()
        told = newest.held.superseded
        assert told.count == 5
        assert told == ("first", 2, "a b\n\ud800", "second", "third")
        await newest.goes()
        with pytest.raises(LockSuperseded):
            async with store.lock(name, ticket=issued):
                pytest.fail("the body ran")
        async with store.lock(name) as lock:
            assert lock.superseded == ()

    @policy(when_busy="latest")
    async def test_two_turns_each_learn_for_whom_they_answer(self, store: LockStore) -> None:
        name = self.conversation()
        first = await self.enter(store, name)
        waiters = [await self.line_up(store, name, message_id=message_id) for message_id in "ab"]
        second = await self.line_up(store, name, when_busy="latest")
        await first.goes()
        await second.serves()
        waiters += [await self.line_up(store, name, message_id="c")]
        third = await self.line_up(store, name, when_busy="interrupt")
        assert second.held.superseded == ("a", "b")
        await second.end()
        await third.serves()
        assert third.held.superseded == ("c",)
        await third.goes()

    @policy(when_busy="latest")
    async def test_who_redeems_the_winner_answers_for_the_others(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        waiter = await self.line_up(store, name, message_id="a")
        issued = await store.take_ticket(name, when_busy="latest")
        assert isinstance(await waiter.end(), LockSuperseded)
        await holder.goes()
        async with store.lock(name, ticket=issued) as lock:
            assert lock.superseded == ("a",)

    @policy(when_busy="latest")
    async def test_who_is_only_dropped_is_answered_for_by_nobody(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        waiter = await self.line_up(store, name, message_id="a")
        dropping = await self.line_up(
            store, name, max_waiting=1, when_full="drop_oldest", message_id="b"
        )
        assert isinstance(await waiter.end(), LockSuperseded)
        newest = await self.line_up(store, name, when_busy="latest")
        assert isinstance(await dropping.end(), LockSuperseded)
        await holder.goes()
        await newest.serves()
        assert newest.held.superseded == ("b",)
        await newest.goes()

    @policy(when_busy="latest")
    async def test_a_thousand_messages_are_told_and_all_are_counted(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        for _ in range(1010):
            await store.take_ticket(name)
        newest = await self.line_up(store, name, when_busy="latest")
        await holder.goes()
        await newest.serves(60.0)
        told = newest.held.superseded
        assert told.count == 1010
        assert told == tuple(range(1, 1001))
        await newest.goes()
