"""``settle``: a turn begins when nothing newer has come for a while."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from nowserving.errors import (
    DuplicateMessage,
    LockBusy,
    LockError,
    LockSuperseded,
    LockTimeout,
)
from nowserving.testing.harness import (
    StoreHarness,
    policy,
)

if TYPE_CHECKING:
    from nowserving.stores.base import LockStore


class Settling(StoreHarness):
    """People write three short messages where one would do."""

    @property
    def _for_ever(self) -> float:
        """Seconds to settle: longer than a scenario, and less than a lifetime."""
        return self.long * 0.9

    @policy(settle=1.0)
    async def test_a_ticket_that_would_expire_while_it_settles_is_refused(
        self, store: LockStore
    ) -> None:
        name = self.conversation()
        for lifetime, settle in ((1.0, 1.0), (1.0, 2.0), (60.0, 61.0)):
            with pytest.raises(ValueError, match="lock_lifetime="):
                store.lock(name, lifetime, settle=settle)
            with pytest.raises(ValueError, match="lock_lifetime="):
                await store.take_ticket(name, lifetime, settle=settle)
        with pytest.raises(ValueError, match="lock_lifetime="):
            await store.take_ticket(name, 1.0, settle=2.0, settle_max=1.0)
        store.lock(name, 1.0, settle=1.0, auto_renew=True)
        store.lock(name, 1.0, settle=2.0, settle_max=0.5)
        store.lock(name, 2.0, settle=1.0)
        assert self.numbers(store, name) == []

    @policy(settle=1.0)
    async def test_a_ticket_that_is_renewed_may_settle_for_longer(self, store: LockStore) -> None:
        name = self.conversation()
        lifetime, settle = self.seconds(0.4), self.seconds(0.9)
        began = time.monotonic()
        async with store.lock(name, lifetime, self.look, settle=settle, auto_renew=True):
            assert time.monotonic() - began >= settle * 0.99

    @policy(settle=1.0)
    async def test_a_turn_begins_when_nothing_newer_has_come(self, store: LockStore) -> None:
        name, began = self.conversation(), time.monotonic()
        settle = self.seconds(0.2)
        async with store.lock(name, settle=settle):
            assert time.monotonic() - began >= settle * 0.99
        async with store.lock(name) as lock:  # and nothing is left of that
            assert lock.predecessor == "done"
            assert lock.waited < settle

    @policy(settle=1.0)
    async def test_each_message_begins_the_wait_anew(self, store: LockStore) -> None:
        name = self.conversation()
        settle = self.seconds(0.4)
        first = await self.line_up(store, name, settle=settle)
        await asyncio.sleep(settle / 2)
        last = time.monotonic()
        second = await self.line_up(store, name, settle=settle)
        await first.serves()
        assert time.monotonic() - last >= settle * 0.9
        await first.goes()
        await second.serves()
        await second.goes()

    @policy(settle=1.0, when_busy="latest")
    async def test_of_a_burst_only_the_newest_is_served(self, store: LockStore) -> None:
        name = self.conversation()
        how: Any = {"settle": self.seconds(0.3), "when_busy": "latest"}
        burst = [await self.line_up(store, name, **how) for _ in range(4)]
        for fragment in burst[:-1]:
            assert isinstance(await fragment.end(), LockSuperseded)
        await burst[-1].serves()
        assert burst[-1].held.superseded == (0, 1, 2)
        await burst[-1].goes()

    @policy(settle=1.0, settle_max=1.0, when_busy="latest")
    async def test_settle_max_ends_the_longest_burst(self, store: LockStore) -> None:
        name = self.conversation()
        limit = self.seconds(0.3)
        how: Any = {"settle": self._for_ever, "settle_max": limit, "when_busy": "latest"}
        began = time.monotonic()
        fragments = [await self.line_up(store, name, **how) for _ in range(3)]
        await fragments[-1].serves()
        assert time.monotonic() - began >= limit * 0.99
        await fragments[-1].goes()

    @policy(settle=1.0)
    async def test_it_counts_from_arrival_also_behind_a_holder(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        waiter = await self.line_up(store, name, settle=self.seconds(0.1))
        later = await self.line_up(store, name, settle=self.seconds(0.2))
        await asyncio.sleep(self.seconds(0.3))
        await holder.goes()
        for visitor in (waiter, later):
            await visitor.serves()
            await visitor.goes()

    @policy(settle=1.0)
    async def test_a_holder_that_leaves_early_leaves_a_line_that_settles(
        self, store: LockStore
    ) -> None:
        name, settle = self.conversation(), self.seconds(0.4)
        holder = await self.enter(store, name)
        arrived = time.monotonic()
        waiter = await self.line_up(store, name, settle=settle)
        await holder.goes()
        await waiter.serves()
        assert time.monotonic() - arrived >= settle * 0.9
        assert waiter.held.predecessor == "done"
        await waiter.goes()

    @policy(settle=1.0, when_busy="interrupt")
    async def test_an_interrupting_message_settles_behind_who_it_interrupts(
        self, store: LockStore
    ) -> None:
        name, settle = self.conversation(), self.seconds(0.3)
        how: Any = {"settle": settle, "when_busy": "interrupt"}
        holder = await self.enter(store, name)
        first = await self.line_up(store, name, **how)
        arrived = time.monotonic()
        newest = await self.line_up(store, name, **how)
        await holder.end()
        assert isinstance(await first.end(), LockSuperseded)
        await newest.serves()
        assert time.monotonic() - arrived >= settle * 0.9
        assert newest.held.predecessor == "interrupted"
        await newest.goes()

    @policy(settle=1.0)
    async def test_a_message_that_does_not_settle_waits_with_the_line(
        self, store: LockStore
    ) -> None:
        name = self.conversation()
        first = await self.line_up(store, name, settle=self._for_ever)
        second = await self.line_up(store, name)
        with pytest.raises(LockTimeout):
            async with store.lock(name, self.long, self.look, timeout=self.seconds(0.1)):
                pytest.fail("the body ran")
        assert first.lock is None
        assert second.lock is None
        for visitor in (first, second):
            await visitor.cancel()
        async with store.lock(name, timeout=0):
            pass

    @policy(settle=1.0, when_busy="latest")
    async def test_one_that_takes_the_place_of_all_may_end_the_burst(
        self, store: LockStore
    ) -> None:
        name = self.conversation()
        waiters = [await self.line_up(store, name, settle=self._for_ever) for _ in range(2)]
        async with store.lock(name, when_busy="latest"):
            for waiter in waiters:
                assert isinstance(await waiter.end(), LockSuperseded)

    @policy(settle=1.0, when_busy="reject")
    async def test_a_line_that_settles_is_busy(self, store: LockStore) -> None:
        name = self.conversation()
        waiter = await self.line_up(store, name, settle=self._for_ever)
        for how in ({"when_busy": "reject"}, {"max_waiting": 1}):
            options: Any = how
            with pytest.raises(LockBusy) as busy:
                async with store.lock(name, **options):
                    pytest.fail("the body ran")
            assert busy.value.position == 1
        await waiter.cancel()

    @policy(settle=1.0)
    async def test_a_line_that_settles_is_shown_and_its_first_one_released(
        self, store: LockStore
    ) -> None:
        name = self.conversation()
        waiter = await self.line_up(store, name, settle=self._for_ever)
        line = await store.inspect(name)
        assert line is not None
        assert line.holder is None
        assert [ticket.settling for ticket in line.waiting] == [True]
        assert await store.release(name, 0, "enough")
        assert isinstance(await waiter.end(), LockError)
        async with store.lock(name, timeout=0):
            line = await store.inspect(name)
            assert line is not None
            assert line.holder is not None
            assert not line.holder.settling

    @policy(settle=1.0)
    async def test_who_waits_for_a_holder_may_settle_meanwhile(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        waiter = await self.line_up(store, name)
        assert await self._settling(store, name) == [False]
        burst = await self.line_up(store, name, settle=self._for_ever, when_busy="latest")
        assert isinstance(await waiter.end(), LockSuperseded)
        assert await self._settling(store, name) == [True]
        await holder.held.absorb()
        assert await self._settling(store, name) == [False]  # it is not what it waits for
        await holder.goes(raising=KeyError("a bug"))
        line = await store.inspect(name)
        assert line is not None
        assert line.holder is None
        assert [ticket.settling for ticket in line.waiting] == [True]
        await burst.cancel()

    async def _settling(self, store: LockStore, name: str) -> list[bool]:
        line = await store.inspect(name)
        assert line is not None
        assert line.holder is not None
        return [ticket.settling for ticket in line.waiting]

    @policy(settle=1.0, max_waiting=1, when_full="drop_oldest")
    async def test_the_first_of_a_line_that_settles_may_be_dropped(self, store: LockStore) -> None:
        name = self.conversation()
        how: Any = {"settle": self.seconds(0.3), "max_waiting": 1, "when_full": "drop_oldest"}
        burst = [await self.line_up(store, name, **how) for _ in range(3)]
        for fragment in burst[:-1]:
            assert isinstance(await fragment.end(), LockSuperseded)
        await burst[-1].serves()
        await burst[-1].goes()

    @policy(settle=1.0)
    async def test_whoever_is_next_waits_when_the_first_one_leaves(self, store: LockStore) -> None:
        name, settle = self.conversation(), self.seconds(0.4)
        first = await self.line_up(store, name, settle=settle)
        arrived = time.monotonic()
        second = await self.line_up(store, name, settle=settle)
        await first.cancel()
        await second.serves()
        assert time.monotonic() - arrived >= settle * 0.9
        assert second.held.predecessor == "none"
        await second.goes()

    @policy(settle=1.0)
    async def test_whoever_is_next_is_served_when_the_first_one_has_died(
        self, store: LockStore
    ) -> None:
        name = self.conversation()
        store.issue_ticket(name, self.seconds(0.1))
        holder = await self.line_up(store, name, settle=self.seconds(0.2))
        await holder.serves()
        await holder.goes()
        await store.take_ticket(name, self.seconds(0.2), settle=self.seconds(0.1))
        async with store.lock(name, self.long, self.look) as lock:
            assert lock.ticket == 3

    @policy(settle=1.0)
    async def test_a_line_that_settles_can_be_deleted(self, store: LockStore) -> None:
        name = self.conversation()
        waiters = [await self.line_up(store, name, settle=self._for_ever) for _ in range(2)]
        store.delete_lock(name)
        for waiter in waiters:
            assert isinstance(await waiter.end(), LockError)
        async with store.lock(name, timeout=0):
            pass

    @policy(settle=1.0)
    async def test_a_line_that_settles_is_merged_with_a_picture(self, store: LockStore) -> None:
        name, settle = self.conversation(), self.seconds(0.5)
        first = await self.line_up(store, name, settle=settle)
        second = await self.line_up(store, name, settle=settle)
        lock = store.get_lock(name)
        assert lock is not None
        lock.tickets.popleft()
        store.save_lock(lock)
        assert isinstance(await first.end(), LockError)
        assert second.lock is None
        await second.serves()
        await second.goes()

    @policy(settle=1.0)
    async def test_an_issued_ticket_settles_from_when_it_was_taken(self, store: LockStore) -> None:
        name, settle = self.conversation(), self.seconds(0.3)
        taken = time.monotonic()
        issued = await store.take_ticket(name, settle=settle)
        async with store.lock(name, self.long, self.look, ticket=issued):
            assert time.monotonic() - taken >= settle * 0.9

    @policy(settle=1.0)
    async def test_a_thread_waits_until_the_line_has_settled(self, store: LockStore) -> None:
        name, settle = self.conversation(), self.seconds(0.2)
        began = time.monotonic()

        def turn() -> float:
            with store.lock(name, self.long, self.look, settle=settle):
                return time.monotonic()

        assert await self.in_thread(turn) - began >= settle * 0.9

    @policy(settle=1.0, message_id="m")
    async def test_a_message_that_settles_waits(self, store: LockStore) -> None:
        name = self.conversation()
        waiter = await self.line_up(store, name, settle=self._for_ever, message_id="m")
        with pytest.raises(DuplicateMessage) as duplicate:
            async with store.lock(name, message_id="m"):
                pytest.fail("the body ran")
        assert duplicate.value.state == "waiting"
        await waiter.cancel()
