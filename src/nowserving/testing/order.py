"""One at a time, in the order in which the store accepted the tickets."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING

from nowserving.testing.harness import (
    Overlaps,
    StoreHarness,
    scenario,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nowserving.stores.base import LockStore


class LineOrder(StoreHarness):
    """The main job."""

    @scenario
    async def test_fifty_tasks_are_served_in_the_order_in_which_they_asked(
        self, store: LockStore
    ) -> None:
        name, inside = self.conversation(), Overlaps()

        async def turn(index: int) -> None:
            async with store.lock(name, self.long, self.seconds(0.01)) as lock:
                with inside.visit((index, lock.ticket)):
                    await asyncio.sleep(0)

        await asyncio.gather(*(turn(index) for index in range(50)))
        assert inside.visits == [(index, index) for index in range(50)]

    @scenario
    async def test_conversations_do_not_wait_for_one_another(self, store: LockStore) -> None:
        visitors = [await self.enter(store, self.conversation()) for _ in range(20)]
        assert [visitor.held.ticket for visitor in visitors] == [0] * 20
        for visitor in visitors:
            await visitor.goes()

    @scenario
    async def test_each_of_many_conversations_keeps_its_order(self, store: LockStore) -> None:
        names = [self.conversation() for _ in range(8)]
        inside = {name: Overlaps() for name in names}

        async def turn(name: str, index: int) -> None:
            async with store.lock(name, self.long, self.seconds(0.01)):
                with inside[name].visit(index):
                    await asyncio.sleep(self.seconds(0.001))

        await asyncio.gather(*(turn(name, index) for index in range(10) for name in names))
        assert all(inside[name].visits == list(range(10)) for name in names)

    @scenario
    async def test_a_waiter_is_served_as_soon_as_the_holder_leaves(self, store: LockStore) -> None:
        name = self.conversation()
        # A store that pushes, or that we have wake its own waiters, needs no look in between.
        holder = await self.enter(store, name)
        waiter = await self.line_up(store, name, wait_time_in_seconds=self.seconds(20.0))
        await asyncio.sleep(self.seconds(0.1))
        assert waiter.lock is None
        await holder.goes()
        await waiter.serves(self.soon)
        assert waiter.held.waited >= self.seconds(0.1)
        await waiter.goes()

    @scenario
    async def test_a_newcomer_does_not_overtake_a_waiter_that_is_being_woken(
        self, store: LockStore
    ) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        waiter = await self.line_up(store, name)
        await holder.goes()
        newcomer = await self.line_up(store, name)
        assert waiter.lock is not None or newcomer.lock is None
        await waiter.serves()
        assert newcomer.lock is None
        await waiter.goes()
        await newcomer.serves()
        await newcomer.goes()

    @scenario
    async def test_a_task_that_comes_again_and_again_overtakes_nobody(
        self, store: LockStore
    ) -> None:
        name, served = self.conversation(), list[str]()

        async def come(who: str) -> None:
            for _ in range(10):
                async with store.lock(name, self.long, self.seconds(0.01)):
                    served.append(who)
                    await asyncio.sleep(self.seconds(0.001))

        await asyncio.gather(come("a"), come("b"))
        # Once both are in line they take turns strictly.
        assert served[2:18] in (["a", "b"] * 8, ["b", "a"] * 8)

    @scenario
    async def test_the_lock_says_what_it_is(self, store: LockStore) -> None:
        name = self.conversation()
        async with store.lock(name, self.long) as lock:
            assert lock.conversation_id == name
            assert lock.ticket == lock.now_serving == 0
            assert not lock.lost
            assert not lock.lost_event.is_set()
            assert isinstance(lock.fencing_token, int)
            assert lock.fencing_token > 0
            assert lock.predecessor == "none"
            assert 0 <= lock.waited < self.soon

    @scenario
    async def test_a_turn_is_taken_once(self, store: LockStore) -> None:
        turn = store.lock(self.conversation())
        async with turn:
            pass
        try:
            async with turn:
                raise AssertionError("the body ran a second time")
        except RuntimeError as error:
            assert "again" in str(error)  # noqa: PT017 - any other error is shown as it is

    @scenario
    async def test_nothing_is_taken_before_the_turn_is_entered(self, store: LockStore) -> None:
        name = self.conversation()
        early, late = store.lock(name), store.lock(name)
        async with late as lock:
            assert lock.ticket == 0
        async with early:
            pass
        store.lock(name)  # never entered: no warning, no ticket
        assert self.numbers(store, name) == []


class Threads(StoreHarness):
    """Synchronous callers, several event loops, and both at once."""

    def test_a_plain_with_takes_a_turn(self) -> None:
        with self.opened() as store:
            name = self.conversation()
            with store.lock(name) as lock:
                assert self.numbers(store, name) == [lock.ticket]
                assert not lock.lost
            assert store.get_lock(name) is None

    def test_threads_are_served_one_at_a_time_in_order(self) -> None:
        with self.opened() as store:
            name, inside, order = self.conversation(), Overlaps(), list[int]()

            def turns() -> None:
                for _ in range(10):
                    with store.lock(name, self.long, self.seconds(0.01)) as lock, inside.visit():
                        order.append(lock.fencing_token)
                        time.sleep(self.seconds(0.0005))

            _run_together(self.limit, [turns] * 4)
            assert len(order) == 40
            assert order == sorted(set(order))

    def test_threads_are_served_in_the_order_in_which_they_came(self) -> None:
        with self.opened() as store:
            name, served = self.conversation(), list[int]()
            number = store.issue_ticket(name)

            def turn(index: int) -> None:
                with store.lock(name, self.long, self.look):
                    served.append(index)

            threads = []
            for index in range(8):
                thread = threading.Thread(target=turn, args=(index,), daemon=True)
                thread.start()
                threads.append(thread)
                self._until_numbers(store, name, index + 2)
            store.finish_serving(name, number)
            for thread in threads:
                thread.join(self.soon)
            assert served == list(range(8))

    def _until_numbers(self, store: LockStore, name: str, count: int) -> None:
        deadline = time.monotonic() + self.soon
        while len(self.numbers(store, name)) < count:
            assert time.monotonic() < deadline
            time.sleep(0.002)

    def test_event_loops_and_threads_share_a_line(self) -> None:
        with self.opened() as store:
            name, inside, order = self.conversation(), Overlaps(), list[int]()

            async def turns() -> None:
                async def turn() -> None:
                    async with store.lock(name, self.long, self.seconds(0.01)) as lock:
                        with inside.visit():
                            order.append(lock.fencing_token)
                            await asyncio.sleep(self.seconds(0.001))

                await asyncio.gather(*(turn() for _ in range(10)))

            def in_a_thread() -> None:
                for _ in range(10):
                    with store.lock(name, self.long, self.seconds(0.01)) as lock, inside.visit():
                        order.append(lock.fencing_token)

            _run_together(self.limit, [lambda: asyncio.run(turns())] * 2 + [in_a_thread] * 2)
            assert len(order) == 40
            assert order == sorted(set(order))

    def test_each_of_two_event_loops_is_served_in_its_own_order(self) -> None:
        with self.opened() as store:
            name, inside = self.conversation(), Overlaps()

            async def turns(who: str) -> None:
                async def turn(index: int) -> None:
                    async with store.lock(name, self.long, self.seconds(0.01)):
                        with inside.visit((who, index)):
                            await asyncio.sleep(self.seconds(0.0005))

                await asyncio.gather(*(turn(index) for index in range(20)))

            _run_together(
                self.limit, [lambda: asyncio.run(turns("a")), lambda: asyncio.run(turns("b"))]
            )
            for who in "ab":
                mine = [index for name_, index in inside.visits if name_ == who]
                assert mine == list(range(20))

    def test_a_waiter_in_a_loop_is_woken_by_a_thread(self) -> None:
        with self.opened() as store:
            name = self.conversation()
            asyncio.run(self._wait_for_a_thread(store, name))

    async def _wait_for_a_thread(self, store: LockStore, name: str) -> None:
        inside, leave = threading.Event(), threading.Event()

        def hold() -> None:
            with store.lock(name):
                inside.set()
                leave.wait(self.soon)

        holder = asyncio.create_task(self.in_thread(hold))
        await self.until(inside.is_set)
        waiter = await self.line_up(store, name, wait_time_in_seconds=self.seconds(20.0))
        leave.set()
        await waiter.serves()
        await holder
        await waiter.goes()

    def test_one_store_serves_one_event_loop_after_another(self) -> None:
        with self.opened() as store:
            name, served = self.conversation(), list[int]()

            async def turns() -> None:
                async def turn(index: int) -> None:
                    async with store.lock(name, self.long, self.seconds(0.01)):
                        served.append(index)

                await asyncio.gather(*(turn(index) for index in range(5)))

            for _ in range(4):
                asyncio.run(turns())
                assert self.numbers(store, name) == []
            assert served == list(range(5)) * 4

    @scenario
    async def test_a_plain_with_inside_a_running_loop_is_refused(self, store: LockStore) -> None:
        name = self.conversation()
        try:
            with store.lock(name):
                raise AssertionError("the body ran and blocked the loop")
        except RuntimeError as error:
            assert "async with" in str(error)  # noqa: PT017 - any other error is shown as it is
        assert self.numbers(store, name) == []

    @scenario
    async def test_the_event_loop_stays_free_while_a_task_waits(self, store: LockStore) -> None:
        name, beats = self.conversation(), 0
        holder = await self.enter(store, name)
        waiter = await self.line_up(store, name)
        until_then = time.monotonic() + self.seconds(0.2)
        while time.monotonic() < until_then:
            beats += 1
            await asyncio.sleep(self.seconds(0.001))
        assert beats > 20
        await holder.goes()
        await waiter.serves()
        await waiter.goes()


def _run_together(limit: float, functions: Sequence[Callable[[], object]]) -> None:
    errors: list[BaseException] = []

    def run(function: Callable[[], object]) -> None:
        try:
            function()
        except BaseException as error:  # noqa: BLE001 - it is raised below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(f,), daemon=True) for f in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(limit)
    assert not any(thread.is_alive() for thread in threads), "a thread waits for ever"
    if errors:
        raise errors[0]
