"""``auto_renew``: turns that live as long as the work, and what happens when renewal fails."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from nowserving.errors import StoreUnavailable
from nowserving.testing.harness import (
    LOOK,
    SOON,
    StoreHarness,
    quiet,
    scenario,
    until,
    until_lost,
)
from nowserving.testing.visitor import Visitor

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from nowserving.held import HeldLock
    from nowserving.stores.base import LockStore

_LIFETIME = 0.4


class Renewal(StoreHarness):
    """``auto_renew`` and what happens when it fails."""

    @scenario
    async def test_a_handler_that_blocks_its_event_loop_keeps_its_lock(
        self, store: LockStore
    ) -> None:
        name = self.conversation()
        async with store.lock(name, _LIFETIME, LOOK, auto_renew=True) as lock:
            time.sleep(2 * _LIFETIME)  # noqa: ASYNC251 - that is the point
            assert not lock.lost
            assert self.numbers(store, name) == [lock.ticket]

    @scenario
    async def test_a_turn_whose_take_a_blocked_loop_has_not_read_is_kept(
        self, store: LockStore
    ) -> None:
        name = self.conversation()
        async with store.lock(self.conversation()):
            pass  # it is connected
        coming = Visitor(store, name, _LIFETIME, auto_renew=True)
        await asyncio.sleep(0)  # its take is on the way
        time.sleep(2 * _LIFETIME)  # noqa: ASYNC251 - nobody reads the answer meanwhile
        await coming.serves()
        assert not coming.held.lost
        await coming.goes()

    @scenario
    async def test_a_place_whose_take_a_blocked_loop_has_not_read_is_kept(
        self, store: LockStore
    ) -> None:
        name = self.conversation()
        ahead = await store.take_ticket(name)
        coming = Visitor(store, name, _LIFETIME, auto_renew=True)
        await asyncio.sleep(0)  # its take is on the way
        time.sleep(2 * _LIFETIME)  # noqa: ASYNC251 - nobody reads the answer meanwhile
        await until(lambda: len(self.numbers(store, name)) == 2)
        store.finish_serving(name, ahead)
        await coming.serves()
        assert not coming.held.lost
        await coming.goes()

    @scenario
    async def test_a_lock_may_be_entered_by_another_task(self, store: LockStore) -> None:
        """As ``asyncio.wait_for`` does up to Python 3.11."""
        name = self.conversation()
        async with AsyncExitStack() as stack:
            entering = stack.enter_async_context(store.lock(name, _LIFETIME, auto_renew=True))
            lock = await asyncio.create_task(_awaited(entering))
            await asyncio.sleep(2 * _LIFETIME)
            assert not lock.lost
            assert self.numbers(store, name) == [lock.ticket]

    def test_a_synchronous_handler_keeps_its_lock(self) -> None:
        with self.opened() as store:
            name = self.conversation()
            with store.lock(name, _LIFETIME, LOOK, auto_renew=True) as lock:
                time.sleep(2 * _LIFETIME)
                assert not lock.lost
                assert self.numbers(store, name) == [lock.ticket]

    @scenario
    async def test_waiters_and_holders_outlive_their_lifetime(self, store: LockStore) -> None:
        name = self.conversation()
        holders = [
            await self.enter(store, conversation_id, _LIFETIME, auto_renew=True)
            for conversation_id in (name, self.conversation(), self.conversation())
        ]
        waiters = [await self.line_up(store, name, _LIFETIME, auto_renew=True) for _ in range(5)]
        await asyncio.sleep(2.5 * _LIFETIME)
        assert not any(holder.held.lost for holder in holders)
        assert not any(waiter.ended or waiter.lock for waiter in waiters)
        assert len(self.numbers(store, name)) == 6
        for visitor in (*holders, *waiters):
            await visitor.serves()
            assert not visitor.held.lost
            await visitor.goes()

    @scenario
    async def test_a_ticket_that_is_gone_is_not_brought_back(self, store: LockStore) -> None:
        name = self.conversation()
        with quiet():
            holder = await self.enter(store, name, _LIFETIME, auto_renew=True)
            store.delete_lock(name)
            await until_lost(holder.held)
            await asyncio.sleep(_LIFETIME)
            assert self.numbers(store, name) == []
            assert holder.held.lost
            await holder.goes()

    @scenario
    async def test_renewal_goes_on_after_errors_of_the_store(self, store: LockStore) -> None:
        name, failures = self.conversation(), _fail_renewals(store, times=2)
        async with store.lock(name, 0.6, LOOK, auto_renew=True) as lock:
            await until(lambda: not failures)
            await asyncio.sleep(0.5)
            assert not lock.lost

    @scenario
    async def test_on_expiring_is_called_when_renewal_fails(self, store: LockStore) -> None:
        name = self.conversation()
        told: list[tuple[HeldLock, bool]] = []
        with quiet():
            _fail_renewals(store)
            holder = await self.enter(
                store,
                name,
                0.6,
                auto_renew=True,
                on_expiring=lambda lock: told.append((lock, lock.lost)),
            )
            await until(lambda: told)
            ((lock, lost),) = told
            assert (lock.conversation_id, lost) == (name, False)
            await until_lost(holder.held)
            await holder.goes()
        assert len(told) == 1

    @scenario
    async def test_on_expiring_may_be_a_coroutine_function(self, store: LockStore) -> None:
        told = asyncio.Event()

        async def tell(lock: HeldLock) -> None:
            await asyncio.sleep(0)
            assert not lock.lost
            told.set()

        _fail_renewals(store)
        async with store.lock(self.conversation(), 0.6, LOOK, auto_renew=True, on_expiring=tell):
            await asyncio.wait_for(told.wait(), SOON)

    @scenario
    async def test_on_expiring_is_not_called_while_renewal_works(self, store: LockStore) -> None:
        told: list[HeldLock] = []
        async with store.lock(
            self.conversation(), 0.6, LOOK, auto_renew=True, on_expiring=told.append
        ):
            await asyncio.sleep(0.65)
        assert told == []

    def test_auto_renew_may_be_set_on_the_store(self) -> None:
        async def play(_: object, store: LockStore) -> None:
            name = self.conversation()
            async with store.lock(name, _LIFETIME, LOOK) as lock:
                await asyncio.sleep(1.5 * _LIFETIME)
                assert not lock.lost

        self.run(play, auto_renew=True)


def _fail_renewals(store: LockStore, times: int = 1_000_000) -> list[int]:
    """Have the store's next renewals fail, as they do while it can't be reached."""
    queue: Any = store._runtime.queue  # noqa: SLF001 - a failure of the store is inside it
    renew, failures = queue.renew, list(range(min(times, 1000)))

    async def fail_or_renew(handles: Any) -> Any:
        if failures and any(lifetime for _, lifetime in handles):
            failures.pop()
            return [StoreUnavailable("The store can't be reached.") for _ in handles]
        return await renew(handles)

    queue.renew = fail_or_renew
    return failures


async def _awaited(awaitable: Awaitable[HeldLock]) -> HeldLock:
    return await awaitable
