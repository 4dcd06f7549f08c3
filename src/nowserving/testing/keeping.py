"""A wait that ends without a turn, and leaves its ticket in line: a task that comes again later."""

from __future__ import annotations

import asyncio
import pickle
from collections import deque
from typing import TYPE_CHECKING, Any

import pytest

from nowserving.errors import (
    DuplicateMessage,
    LockError,
    LockSuperseded,
    LockTimeout,
    StoreClosed,
)
from nowserving.testing.harness import StoreHarness, policy, quiet, scenario

if TYPE_CHECKING:
    from nowserving.held import HeldLock
    from nowserving.stores.base import LockStore
    from nowserving.testing.visitor import Visitor

_TOO_LITTLE = [{}, {"ticket": 0}, {"timeout": 1}]


class KeptPlaces(StoreHarness):
    """``lock(ticket=..., timeout=..., keep_place=True)``."""

    async def _try_to_enter(
        self, store: LockStore, name: str, ticket: int | str, timeout: float = 0.0
    ) -> LockTimeout:
        """Return the error of a wait that ends without a turn, and keeps its place."""
        with pytest.raises(LockTimeout) as late:
            async with self._keeper(store, name, ticket, timeout):
                pytest.fail("the body ran")
        return late.value

    def _keeper(self, store: LockStore, name: str, ticket: int | str, timeout: float) -> Any:
        return store.lock(
            name,
            self.long,
            self.look,
            ticket=ticket,
            timeout=self.seconds(timeout),
            keep_place=True,
        )

    async def _keeper_waits(self, store: LockStore, name: str, ticket: int) -> Visitor:
        options: dict[str, Any] = {"ticket": ticket, "timeout": self.long, "keep_place": True}
        return await self.line_up(store, name, **options)

    async def _redeem_kept(self, store: LockStore, name: str, ticket: int | str) -> None:
        async with store.lock(name, self.long, self.look, ticket=ticket, timeout=self.soon) as lock:
            assert self.numbers(store, name)[0] == lock.ticket

    # The place

    @policy(ticket=0)
    async def test_whoever_was_not_served_in_time_keeps_its_place(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        ticket = await store.take_ticket(name)
        behind = await self.line_up(store, name)
        for timeout in (0.0, 0.05, 0.0):
            late = await self._try_to_enter(store, name, ticket, timeout)
            assert (late.number, late.position) == (ticket, 1)
            assert self.numbers(store, name) == [0, 1, 2]
        await holder.goes()
        await self._redeem_kept(store, name, ticket)
        await behind.serves()
        await behind.goes()

    @policy(ticket=0)
    async def test_a_position_counts_down(self, store: LockStore) -> None:
        name = self.conversation()
        holders = [await self.enter(store, name), await self.line_up(store, name)]
        ticket = await store.take_ticket(name)
        assert (await self._try_to_enter(store, name, ticket)).position == 2
        await holders[0].goes()
        await holders[1].serves()
        assert (await self._try_to_enter(store, name, ticket)).position == 1
        await holders[1].goes()
        await self._redeem_kept(store, name, ticket)

    @policy(ticket=0)
    async def test_a_place_is_kept_for_whoever_has_the_ticket(self, store: LockStore) -> None:
        name, other = self.conversation(), self.another(store)
        holder = await self.enter(store, name)
        ticket = await store.take_ticket(name)
        await self._try_to_enter(store, name, pickle.loads(pickle.dumps(ticket)))  # noqa: S301
        await self._try_to_enter(other, name, str(ticket))
        await self._try_to_enter(store, name, ticket)
        await holder.goes()
        await self._redeem_kept(other, name, str(ticket))
        assert self.numbers(store, name) == []
        if other is not store:
            await other.aclose()

    @policy(ticket=0)
    async def test_a_bare_number_keeps_its_place_too(self, store: LockStore) -> None:
        """By its number alone: whoever kept it so did not know its secret."""
        name = self.conversation()
        holder = await self.enter(store, name)
        ticket = await store.take_ticket(name)
        for number in (int(ticket), str(int(ticket))):
            await self._try_to_enter(store, name, number)
            assert self.numbers(store, name) == [0, 1]
        await holder.goes()
        with pytest.raises(LockError):
            await self._redeem_kept(store, name, ticket)
        await self._redeem_kept(store, name, int(ticket))

    @policy(ticket=0)
    async def test_each_attempt_gives_the_ticket_a_lifetime(self, store: LockStore) -> None:
        name, lifetime = self.conversation(), self.seconds(0.6)
        holder = await self.enter(store, name)
        ticket = await store.take_ticket(name, lifetime)
        for _ in range(3):
            await asyncio.sleep(self.seconds(0.35))
            with pytest.raises(LockTimeout):
                async with store.lock(
                    name, lifetime, self.look, ticket=ticket, timeout=0, keep_place=True
                ):
                    pytest.fail("the body ran")
        behind = await self.line_up(store, name)
        await holder.goes()
        await behind.serves(lifetime + self.soon)  # nobody comes for it any more
        with pytest.raises(LockError) as gone:
            await self._redeem_kept(store, name, ticket)
        assert type(gone.value) is LockError
        await behind.goes()

    @policy(ticket=0)
    async def test_whoever_is_served_leaves_as_ever(self, store: LockStore) -> None:
        name = self.conversation()
        for failure in (None, ValueError("its own")):
            ticket = await store.take_ticket(name)
            visitor = await self._keeper_waits(store, name, ticket)
            await visitor.serves()
            await visitor.goes(failure)
            assert self.numbers(store, name) == []

    @policy(ticket=0)
    async def test_a_place_is_kept_for_one_at_a_time(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        ticket = await store.take_ticket(name)
        first = await self._keeper_waits(store, name, ticket)
        with pytest.raises(LockError) as claimed:
            async with self._keeper(store, name, ticket, 1.0):
                pytest.fail("the body ran")
        assert type(claimed.value) is LockError
        assert self.numbers(store, name) == [0, 1]
        await first.cancel()
        await self._try_to_enter(store, name, ticket)
        both = [await self._keeper_waits(store, name, ticket) for _ in range(2)]
        refused = await both[1].end()
        assert type(refused) is LockError
        await holder.goes()
        await both[0].serves()
        await both[0].goes()

    # Other ends of a wait

    @policy(ticket=0)
    async def test_whoever_is_cancelled_keeps_its_place(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        ticket = await store.take_ticket(name)
        waiter = await self._keeper_waits(store, name, ticket)
        behind = await self.line_up(store, name)
        await waiter.cancel()
        assert self.numbers(store, name) == [0, 1, 2]
        await holder.goes()
        assert behind.lock is None
        await self._redeem_kept(store, name, ticket)
        await behind.serves()
        await behind.goes()

    @policy(ticket=0)
    async def test_the_end_of_a_store_keeps_the_places_of_its_waiters(
        self, store: LockStore
    ) -> None:
        name = self.conversation()
        ending = self.another(store)
        holder = await self.enter(store, name)
        ticket = await store.take_ticket(name)
        waiter = await self._keeper_waits(ending, name, ticket)
        with quiet():
            await ending.aclose()
        assert isinstance(await waiter.end(), StoreClosed)
        if ending is store:  # its holder was turned out as well
            await holder.goes()
            assert self.numbers(store, name) == [ticket]
            store.delete_lock(name)
            return
        await self.until(lambda: self.numbers(store, name) == [0, ticket])
        await holder.goes()
        await self._redeem_kept(store, name, ticket)

    @policy(ticket=0)
    async def test_whoever_has_to_leave_keeps_no_place(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        waiter = await self._keeper_waits(store, name, await store.take_ticket(name))
        kept = await store.take_ticket(name)
        await self._try_to_enter(store, name, kept)
        latest = await self.line_up(store, name, when_busy="latest")
        assert isinstance(await waiter.end(), LockSuperseded)
        with pytest.raises(LockSuperseded):
            async with self._keeper(store, name, kept, 0.0):
                pytest.fail("the body ran")
        assert self.numbers(store, name) == [0, kept + 1]
        await holder.goes()
        await latest.serves()
        await latest.goes()

    @policy(ticket=0)
    async def test_a_message_is_known_while_its_place_is_kept(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        ticket = await store.take_ticket(name, message_id="m")
        await self._try_to_enter(store, name, ticket)
        with pytest.raises(DuplicateMessage) as known:
            await store.take_ticket(name, message_id="m")
        assert known.value.state == "waiting"
        await holder.goes()
        async with store.lock(name, self.long, self.look, ticket=ticket, message_id="m"):
            pass
        with pytest.raises(DuplicateMessage) as known:
            await store.take_ticket(name, message_id="m")
        assert known.value.state == "done"

    # What it is for

    @policy(ticket=0)
    async def test_an_idle_conversation_does_not_wait_for_a_busy_one(
        self, store: LockStore
    ) -> None:
        """Three workers, four messages of a busy conversation, then one of an idle one."""
        busy, idle = self.conversation("busy"), self.conversation("idle")
        tasks = deque[tuple[str, int]]()
        for name in (busy, busy, busy, busy, idle):
            tasks.append((name, await store.take_ticket(name)))
        done: list[tuple[str, int]] = []
        idle_one_done = asyncio.Event()

        async def handle(name: str, lock: HeldLock) -> None:
            if name == idle:
                idle_one_done.set()
            await asyncio.wait_for(idle_one_done.wait(), self.soon)
            done.append((name, lock.ticket))

        async def work() -> None:
            while len(done) < 5:
                if not tasks:
                    await asyncio.sleep(self.seconds(0.01))
                    continue
                name, ticket = tasks.popleft()
                try:
                    async with self._keeper(store, name, ticket, 0.0) as lock:
                        await handle(name, lock)
                except LockTimeout:
                    await asyncio.sleep(self.seconds(0.01))
                    tasks.append((name, ticket))

        await asyncio.wait_for(asyncio.gather(work(), work(), work()), self.limit)
        assert [number for name, number in done if name == busy] == [0, 1, 2, 3]
        assert len(done) == 5

    def test_a_thread_keeps_its_place(self) -> None:
        with self.opened() as store:
            if not self.guarantees(store).policies:
                return
            name = self.conversation()
            ahead, ticket = store.issue_ticket(name), store.issue_ticket(name)
            for _ in range(2):
                with (
                    pytest.raises(LockTimeout) as late,
                    store.lock(name, self.long, ticket=ticket, timeout=0, keep_place=True),
                ):
                    pytest.fail("the body ran")
                assert late.value.position == 1
            store.finish_serving(name, ahead)
            with store.lock(name, self.long, ticket=ticket, timeout=0, keep_place=True) as lock:
                assert lock.ticket == ticket

    @pytest.mark.parametrize("given", _TOO_LITTLE)
    def test_a_place_is_kept_of_a_ticket_and_after_a_time(self, given: dict[str, Any]) -> None:
        with self.opened() as store, pytest.raises(ValueError, match=r"needs (ticket|timeout)="):
            store.lock(self.conversation(), keep_place=True, **given)


class TicketsGivenBack(StoreHarness):
    """``give_back`` and ``renew_ticket``."""

    @policy(ticket=0)
    async def test_a_ticket_is_given_back(self, store: LockStore) -> None:
        name = self.conversation()
        first, second, third = [
            await store.take_ticket(name, message_id=message) for message in "abc"
        ]
        assert await store.give_back(name, second)
        await store.give_back(name, second)  # what it says of nothing, a lost reply can change
        assert self.numbers(store, name) == [first, third]
        await store.take_ticket(name, message_id="b")  # it may come again
        assert await store.give_back(name, str(first))
        async with store.lock(name, self.long, ticket=third, timeout=0) as lock:
            assert lock.predecessor == "none"
        store.delete_lock(name)

    @policy(ticket=0)
    async def test_a_ticket_is_given_more_time(self, store: LockStore) -> None:
        name = self.conversation()
        ticket = await store.take_ticket(name, self.seconds(0.3))
        assert await store.renew_ticket(name, ticket, self.long)
        await asyncio.sleep(self.seconds(0.4))
        assert self.numbers(store, name) == [ticket]
        assert await store.renew_ticket(name, str(ticket), self.seconds(0.1))
        await asyncio.sleep(self.seconds(0.2))
        assert not await store.renew_ticket(name, ticket, self.long)
        await store.give_back(name, ticket)
        assert self.numbers(store, name) == []

    @policy(ticket=0)
    async def test_a_redeemed_ticket_is_its_redeemers(self, store: LockStore) -> None:
        name = self.conversation()
        ticket = await store.take_ticket(name)
        holder = await self.enter(store, name, ticket=ticket)
        await store.give_back(name, ticket)
        assert not await store.renew_ticket(name, ticket, self.long)
        assert self.numbers(store, name) == [ticket]
        assert not holder.held.lost
        await holder.goes()

    def test_a_thread_gives_a_ticket_back(self) -> None:
        with self.opened() as store:
            name = self.conversation()
            ticket, other = store.issue_ticket(name), store.issue_ticket(name)
            if not self.guarantees(store).policies:
                with pytest.raises(LockError, match="give_back"):
                    store.blocking.give_back(name, f"{int(ticket)}.secret")
                store.delete_lock(name)
                return
            assert store.blocking.renew_ticket(name, str(ticket), self.long)
            assert store.blocking.give_back(name, str(ticket))
            assert self.numbers(store, name) == [other]
            assert not store.blocking.renew_ticket(name, str(ticket), self.long)
            store.delete_lock(name)

    @scenario
    async def test_a_bare_number_proves_nothing(self, store: LockStore) -> None:
        name = self.conversation()
        for bare in (0, "0"):
            ticket: Any = bare
            with pytest.raises(ValueError, match="bare number 0"):
                await store.give_back(name, ticket)
            with pytest.raises(ValueError, match="bare number 0"):
                await store.renew_ticket(name, ticket, 1.0)

    @scenario
    async def test_a_store_of_pictures_knows_nobodys_ticket(self, store: LockStore) -> None:
        if self.guarantees(store).policies:
            return
        name = self.conversation()
        ticket = await store.take_ticket(name)
        with pytest.raises(LockError, match="give_back"):
            await store.give_back(name, ticket)
        with pytest.raises(LockError, match="renew_ticket"):
            await store.renew_ticket(name, ticket, 1.0)
        assert self.numbers(store, name) == [ticket]
        store.delete_lock(name)
