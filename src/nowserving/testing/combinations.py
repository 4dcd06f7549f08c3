"""The features of a line in combination: what each does to the others."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from nowserving.errors import (
    DuplicateMessage,
    LockAbsorbed,
    LockInterrupted,
    LockReleased,
    LockSuperseded,
    LockTimeout,
)
from nowserving.testing.harness import StoreHarness, policy

if TYPE_CHECKING:
    from nowserving.stores.base import LockStore

_DROP_OLDEST: dict[str, Any] = {"max_waiting": 2, "when_full": "drop_oldest"}


class Combinations(StoreHarness):
    """Settle, absorb, interrupt, latest, drop_oldest, keep_place, release and message ids."""

    async def _state_of(self, store: LockStore, name: str, message_id: str) -> str:
        """Return how far a message is, as whoever sends it again is told."""
        with pytest.raises(DuplicateMessage) as known:
            async with store.lock(name, message_id=message_id):
                pytest.fail("the body ran")
        return known.value.state

    # Absorbed and …

    @policy(when_busy="interrupt")
    async def test_who_is_absorbed_is_served_before_the_one_that_interrupts(
        self, store: LockStore
    ) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        absorbed = await self.line_up(store, name)
        await holder.held.absorb()
        older = await self.line_up(store, name)
        urgent = await self.line_up(store, name, when_busy="interrupt")
        assert isinstance(await holder.end(), LockInterrupted)
        assert isinstance(await older.end(), LockSuperseded)
        await absorbed.serves()
        assert absorbed.held.predecessor == "interrupted"
        assert urgent.lock is None
        await absorbed.goes()
        await urgent.serves()
        await urgent.goes()

    @policy(settle=1.0)
    async def test_who_settles_behind_a_holder_is_absorbed(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        burst = await self.line_up(store, name, settle=self.long * 0.9)
        (absorbed,) = await holder.held.absorb()
        assert absorbed.number == 1
        await holder.goes()
        assert isinstance(await burst.end(), LockAbsorbed)
        async with store.lock(name, self.long, self.look, timeout=self.soon):
            """The burst ended with whoever was in it."""

    @policy(ticket=0)
    async def test_a_ticket_is_absorbed_once_it_is_redeemed(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        issued = await store.take_ticket(name)
        assert await holder.held.absorb() == []
        redeemer = await self.line_up(store, name, ticket=issued)
        assert [one.number for one in await holder.held.absorb()] == [issued]
        await holder.goes()
        assert isinstance(await redeemer.end(), LockAbsorbed)

    @policy(ticket=0)
    async def test_a_kept_place_that_is_absorbed_tells_its_next_redeemer(
        self, store: LockStore
    ) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        issued = await store.take_ticket(name)
        keeps: dict[str, Any] = {"ticket": issued, "keep_place": True}
        keeper = await self.line_up(store, name, timeout=self.seconds(1.0), **keeps)
        assert len(await holder.held.absorb()) == 1
        assert isinstance(await keeper.end(), LockTimeout)
        await holder.goes()
        with pytest.raises(LockAbsorbed):
            async with store.lock(name, timeout=0, **keeps):
                pytest.fail("the body ran")
        assert self.numbers(store, name) == []

    @policy(message_id="a")
    async def test_who_is_absorbed_can_be_released(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        absorbed = [await self.line_up(store, name, message_id=each) for each in "ab"]
        assert len(await holder.held.absorb()) == len(absorbed)
        assert await store.release(name, 1, "enough")
        released = await absorbed[0].end()
        assert isinstance(released, LockReleased)
        assert released.reason == "enough"
        await holder.goes()
        assert isinstance(await absorbed[1].end(), LockAbsorbed)
        assert await self._state_of(store, name, "b") == "done"
        async with store.lock(name, message_id="a"):
            """It counts as if it had never come."""

    @policy(message_id="a")
    async def test_a_holder_that_is_released_gives_back_whom_it_absorbed(
        self, store: LockStore
    ) -> None:
        name = self.conversation()
        holder = await self.enter(store, name, message_id="a")
        absorbed = await self.line_up(store, name, message_id="b")
        await holder.held.absorb()
        assert await store.release(name)
        await absorbed.serves()
        assert absorbed.held.predecessor == "released"
        await self.until_lost(holder.held)
        await holder.goes()  # and that its body ends well now says nothing of the others
        assert await self._state_of(store, name, "b") == "working"
        await absorbed.goes()

    @policy(message_id="a")
    async def test_a_message_that_is_absorbed_is_known(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        absorbed = await self.line_up(store, name, message_id="a", remember_for=self.long)
        await holder.held.absorb()
        assert await self._state_of(store, name, "a") == "waiting"
        await holder.goes()
        assert isinstance(await absorbed.end(), LockAbsorbed)
        assert await self._state_of(store, name, "a") == "done"

    @policy(**_DROP_OLDEST)
    async def test_what_is_absorbed_is_not_dropped(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        absorbed = await self.line_up(store, name)
        await holder.held.absorb()
        older = await self.line_up(store, name)
        newest = await self.line_up(store, name, **_DROP_OLDEST)
        assert isinstance(await older.end(), LockSuperseded)
        await holder.goes()
        assert isinstance(await absorbed.end(), LockAbsorbed)
        await newest.serves()
        await newest.goes()

    # Dropped and …

    @policy(**_DROP_OLDEST)
    async def test_a_kept_place_can_be_dropped(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        tickets = [await store.take_ticket(name, message_id=each) for each in "ab"]
        keeps: dict[str, Any] = {"keep_place": True, "message_id": "a"}
        with pytest.raises(LockTimeout):
            async with store.lock(name, self.long, ticket=tickets[0], timeout=0, **keeps):
                pytest.fail("the body ran")
        keeper = await self.line_up(
            store, name, ticket=tickets[1], timeout=self.long, keep_place=True
        )
        newest = [await self.line_up(store, name, **_DROP_OLDEST) for _ in range(2)]
        assert isinstance(await keeper.end(), LockSuperseded)
        for ticket in tickets:
            with pytest.raises(LockSuperseded):
                async with store.lock(name, self.long, ticket=ticket, timeout=0, keep_place=True):
                    pytest.fail("the body ran")
        await holder.goes()
        for visitor in newest:
            await visitor.serves()
            await visitor.goes()
        for message in "ab":
            async with store.lock(name, message_id=message):
                """Neither was handled."""

    # Answered for and …

    @policy(when_busy="latest")
    async def test_what_was_answered_for_is_not_remembered_as_done_before_its_turn_is(
        self, store: LockStore
    ) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        older = await self.line_up(store, name, message_id="a")
        newest = await self.line_up(store, name, message_id="b", when_busy="latest")
        assert isinstance(await older.end(), LockSuperseded)
        (absorbed,) = await holder.held.absorb()
        assert absorbed.message_id == "b"
        await holder.goes(raising=KeyError("a bug"))
        await newest.serves()
        assert list(newest.held.superseded) == ["a"]
        await newest.goes()

    @policy(when_busy="latest")
    async def test_what_was_released_is_not_answered_for(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        waiters = [await self.line_up(store, name, message_id=each) for each in "ab"]
        assert await store.release(name, 1)
        newest = await self.line_up(store, name, when_busy="latest")
        assert isinstance(await waiters[0].end(), LockReleased)
        assert isinstance(await waiters[1].end(), LockSuperseded)
        await holder.goes()
        await newest.serves()
        assert list(newest.held.superseded) == ["b"]
        await newest.goes()

    # A place that is kept and …

    @policy(settle=1.0)
    async def test_a_place_is_kept_while_the_line_settles(self, store: LockStore) -> None:
        name, settle = self.conversation(), self.seconds(0.4)
        ticket = await store.take_ticket(name, settle=settle)
        with pytest.raises(LockTimeout) as late:
            async with store.lock(name, self.long, ticket=ticket, timeout=0, keep_place=True):
                pytest.fail("the body ran")
        assert late.value.position == 0
        await asyncio.sleep(settle)
        async with store.lock(name, self.long, self.look, ticket=ticket, timeout=self.soon) as lock:
            assert lock.ticket == ticket
