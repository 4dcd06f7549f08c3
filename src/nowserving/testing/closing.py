"""The end of a store: nobody of its own is left in a line, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING

import pytest

from nowserving.errors import LockError, LockLost, StoreClosed
from nowserving.testing.harness import (
    StoreHarness,
    quiet,
    scenario,
)

if TYPE_CHECKING:
    from nowserving.stores.base import LockStore


class Closing(StoreHarness):
    """``aclose``, ``close``, and a store as a context manager."""

    def _rest(self, store: LockStore, name: str) -> list[int]:
        """Return who is in line once the store is closed."""
        if not self.guarantees(store).cross_process:
            return self.numbers(store, name)
        with self.make_store() as other:
            return self.numbers(other, name)

    @scenario
    async def test_closing_twice_is_closing_once(self, store: LockStore) -> None:
        async with store.lock(self.conversation()):
            pass
        other = self.make_store()
        async with other.lock(self.conversation()):
            pass
        for _ in range(2):
            await other.aclose()
        other.close()
        await other.aclose(drain=self.seconds(0.1))

    def test_closing_twice_is_closing_once_for_synchronous_callers(self) -> None:
        store = self.make_store()
        self._names = []
        with store.lock(self.conversation()):
            pass
        for _ in range(2):
            store.close()
        asyncio.run(store.aclose())

    def test_a_store_that_was_never_used_can_be_closed(self) -> None:
        before = set(threading.enumerate())
        asyncio.run(self.make_store().aclose())
        self.make_store().close()
        self._check_threads(before)

    def test_a_store_is_a_context_manager(self) -> None:
        self._names = []

        async def use() -> None:
            async with self.make_store() as store, store.lock(self.conversation()):
                pass
            with pytest.raises(StoreClosed):
                async with store.lock(self.conversation()):
                    pytest.fail("the body ran")

        asyncio.run(use())
        with self.make_store() as store, store.lock(self.conversation()):
            pass
        with pytest.raises(StoreClosed), store.lock(self.conversation()):
            pytest.fail("the body ran")

    @scenario
    async def test_a_closed_store_says_so(self, store: LockStore) -> None:
        closed = self.make_store()
        await closed.aclose()
        name = self.conversation()
        with pytest.raises(StoreClosed):
            async with closed.lock(name):
                pytest.fail("the body ran")
        with pytest.raises(LockError):
            await closed.take_ticket(name)
        with pytest.raises(LockError, match="closed"):
            closed.issue_ticket(name)
        assert self.numbers(store, name) == []

    @scenario
    async def test_waiters_are_told_at_once(self, store: LockStore) -> None:
        name, closing = self.conversation(), self._sharing(store)
        number = store.issue_ticket(name)
        waiters = [
            await self.line_up(
                closing, name, wait_time_in_seconds=self.seconds(20.0), auto_renew=renewed
            )
            for renewed in (False, True)
        ]
        started = time.monotonic()
        await closing.aclose(drain=self.soon)
        assert time.monotonic() - started < self.seconds(2.0)
        for waiter in waiters:
            assert isinstance(await waiter.end(self.seconds(1.0)), StoreClosed)
        assert self._rest(closing, name) == [number]
        store.delete_lock(name)

    @scenario
    async def test_waiting_threads_are_told_at_once(self, store: LockStore) -> None:
        name, closing = self.conversation(), self._sharing(store)
        number = store.issue_ticket(name)

        def wait() -> None:
            with closing.lock(name, self.long, self.seconds(20.0)):
                pytest.fail("the body ran")

        waiter = asyncio.ensure_future(self.in_thread(wait))
        await self.until(lambda: len(self.numbers(store, name)) == 2)
        await closing.aclose()
        with pytest.raises(StoreClosed):
            await asyncio.wait_for(waiter, self.seconds(2.0))
        assert self._rest(closing, name) == [number]
        store.delete_lock(name)

    @scenario
    async def test_a_turn_may_finish_within_the_drain(self, store: LockStore) -> None:
        name, closing = self.conversation(), self._sharing(store)
        holder = await self.enter(closing, name)
        closed = asyncio.ensure_future(closing.aclose(drain=self.soon))
        await asyncio.sleep(self.seconds(0.1))
        assert not closed.done()
        assert not holder.held.lost
        with pytest.raises(StoreClosed):
            async with closing.lock(self.conversation()):
                pytest.fail("the body ran")
        await holder.goes()
        await asyncio.wait_for(closed, self.seconds(2.0))
        assert self._rest(closing, name) == []

    @scenario
    async def test_closing_again_waits_for_the_drain_of_the_first(self, store: LockStore) -> None:
        name, closing = self.conversation(), self._sharing(store)
        holder = await self.enter(closing, name)
        closed = [asyncio.ensure_future(closing.aclose(drain=self.soon)) for _ in range(2)]
        await asyncio.sleep(self.seconds(0.1))
        assert not any(task.done() for task in closed)
        await holder.goes()
        await asyncio.wait_for(asyncio.gather(*closed), self.seconds(2.0))
        assert self._rest(closing, name) == []

    @scenario
    async def test_closing_again_ends_what_a_cancelled_one_began(self, store: LockStore) -> None:
        name, closing = self.conversation(), self._sharing(store)
        with quiet():
            holder = await self.enter(closing, name)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(closing.aclose(drain=self.soon), self.seconds(0.1))
            assert self._rest(closing, name) == [holder.held.ticket]
            await closing.aclose()
            assert holder.held.lost
            assert self._rest(closing, name) == []
            await holder.goes()

    @scenario
    async def test_a_turn_that_outstays_the_drain_is_lost_and_released(
        self, store: LockStore
    ) -> None:
        name, closing = self.conversation(), self._sharing(store)
        with quiet():
            holder = await self.enter(closing, name)
            cancelled = await self.enter(closing, self.conversation(), on_lost="cancel")
            await closing.aclose(drain=self.seconds(0.1))
            assert holder.held.lost
            assert self._rest(closing, name) == []
            await holder.goes()
            assert isinstance(await cancelled.end(), LockLost)

    @scenario
    async def test_whoever_waits_elsewhere_is_served_when_a_store_closes(
        self, store: LockStore
    ) -> None:
        name, closing = self.conversation(), self._sharing(store)
        with quiet():
            holder = await self.enter(closing, name)
            waiter = await self.line_up(store, name) if closing is not store else None
            await closing.aclose()
            if waiter is not None:
                await waiter.serves()
                await waiter.goes()
            await holder.goes()

    @scenario
    async def test_closing_from_another_thread_wakes_those_who_wait_for_a_loss(
        self, store: LockStore
    ) -> None:
        del store
        closing, name = self.make_store(), self.conversation()
        with quiet():
            async with closing.lock(name, self.long, self.seconds(20.0)) as lock:
                lost = asyncio.ensure_future(lock.lost_event.wait())
                await asyncio.sleep(0)
                closer = threading.Thread(target=closing.close, daemon=True)
                closer.start()
                # Nothing else happens in this loop: only a proper call from over there wakes it.
                started = time.monotonic()
                await asyncio.wait({lost}, timeout=self.soon)
                assert lost.done()
                assert time.monotonic() - started < self.seconds(2.5)
            await self.in_thread(lambda: closer.join(self.soon))

    @scenario
    async def test_closing_from_another_thread_cancels_a_body_that_wants_it(
        self, store: LockStore
    ) -> None:
        del store
        closing, name = self.make_store(), self.conversation()
        with quiet():
            started = time.monotonic()
            with pytest.raises(LockLost):
                async with closing.lock(name, self.long, self.seconds(20.0), on_lost="cancel"):
                    closer = threading.Thread(target=closing.close, daemon=True)
                    closer.start()
                    await asyncio.sleep(self.soon)
            assert time.monotonic() - started < self.seconds(2.5)
            await self.in_thread(lambda: closer.join(self.soon))

    def test_close_releases_a_loop_that_has_ended(self) -> None:
        with quiet():
            store = self.make_store()
            self._names = []
            name = self.conversation()

            async def hold_and_never_leave() -> None:
                turn = store.lock(name)
                await turn.__aenter__()

            asyncio.run(hold_and_never_leave())
            store.close()
            assert self._rest(store, name) == []

    def test_close_ends_the_waits_of_threads(self) -> None:
        with quiet():
            store = self.make_store()
            self._names = []
            name, errors = self.conversation(), list[BaseException]()

            def wait() -> None:
                try:
                    with store.lock(name, self.long, self.look):
                        pytest.fail("the body ran")
                except LockError as error:
                    errors.append(error)

            with store.lock(name):
                thread = threading.Thread(target=wait, daemon=True)
                thread.start()
                give_up = time.monotonic() + self.soon
                while len(self.numbers(store, name)) < 2:
                    assert time.monotonic() < give_up
                store.close()
                thread.join(self.soon)
            assert [type(error) for error in errors] == [StoreClosed]
            assert self._rest(store, name) == []

    def _sharing(self, store: LockStore) -> LockStore:
        """Return a store to close: another one over the same lines, where there can be one."""
        return self.another(store)
