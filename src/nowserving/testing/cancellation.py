"""Cancellation of several, twice, or by the end of what they run in: no ticket is left."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from nowserving.testing.harness import StoreHarness, quiet, scenario

if TYPE_CHECKING:
    from nowserving.stores.base import LockStore
    from nowserving.testing.visitor import Visitor


class Cancellation(StoreHarness):
    """Waiters, holders and leavers that are cancelled."""

    @property
    def _promptly(self) -> float:
        return self.seconds(1.0)

    @scenario
    async def test_a_whole_line_is_cancelled_at_once(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        waiters = [asyncio.ensure_future(self._stay(store, name, {})) for _ in range(30)]
        for waiter in waiters:
            waiter.add_done_callback(_seen)
        await self.until(lambda: len(self.numbers(store, name)) == 31)
        last = await self.line_up(store, name)
        for waiter in waiters:
            waiter.cancel()
        await asyncio.wait(waiters)
        assert all(waiter.cancelled() for waiter in waiters)
        await self.until(lambda: self.numbers(store, name) == [0, 31], self._promptly)
        await holder.goes()
        await last.serves(self._promptly)
        await last.goes()

    @scenario
    async def test_tasks_that_are_cancelled_before_they_began(self, store: LockStore) -> None:
        name = self.conversation()
        tasks = [asyncio.ensure_future(self._stay(store, name, {})) for _ in range(20)]
        for index, task in enumerate(tasks):
            task.add_done_callback(_seen)
            if index % 2:
                task.cancel()
        await asyncio.wait(tasks)
        assert [task.cancelled() for task in tasks] == [False, True] * 10
        await asyncio.gather(*tasks[::2])
        await self._check_nobody(store, name)

    @scenario
    async def test_a_task_that_is_cancelled_twice(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        waiter = await self.line_up(store, name)
        behind = await self._next(store, name)
        waiter.task.cancel()
        await asyncio.sleep(0)
        waiter.task.cancel()
        await waiter.end()
        await self.until(lambda: self.numbers(store, name) == [0, 2], self._promptly)
        await holder.goes()
        await behind.serves(self._promptly)
        await behind.goes()

    @scenario
    async def test_a_leaver_that_is_cancelled_twice(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        behind = await self._next(store, name)
        holder.task.cancel()
        await asyncio.sleep(0)
        holder.task.cancel()
        await holder.end()
        await behind.serves(self._promptly)
        await behind.goes()

    def test_the_end_of_an_event_loop_leaves_no_ticket(self) -> None:
        """What ``asyncio.run`` does at its end: every task is cancelled, holders and waiters."""
        with quiet(), self.opened() as store:
            name = self.conversation()

            async def leave_them_behind() -> None:
                tasks = [asyncio.ensure_future(self._sleep(store, name)) for _ in range(5)]
                await self.until(lambda: len(self.numbers(store, name)) == 5)
                assert len(tasks) == 5

            asyncio.run(leave_them_behind())
            asyncio.run(self._check_nobody(store, name))

    @scenario
    async def test_an_interrupted_thread_leaves_no_ticket(self, store: LockStore) -> None:
        name = self.conversation()

        def stop() -> None:
            with store.lock(name):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            await self.in_thread(stop)
        await self._check_nobody(store, name)

    async def _next(self, store: LockStore, name: str) -> Visitor:
        # It hardly ever looks by itself: it is told, or it is late.
        return await self.line_up(store, name, wait_time_in_seconds=self.seconds(20.0))

    async def _check_nobody(self, store: LockStore, name: str) -> None:
        await self.until(lambda: self.numbers(store, name) == [], self._promptly)

    async def _stay(self, store: LockStore, name: str, options: dict[str, Any]) -> None:
        async with store.lock(name, self.long, self.seconds(0.02), **options):
            await asyncio.sleep(0)

    async def _sleep(self, store: LockStore, name: str) -> None:
        async with store.lock(name, self.long, self.seconds(0.02)):
            await asyncio.sleep(self.long)


def _seen(task: asyncio.Task[None]) -> None:
    """Look at how a task ended: a test that fails before it awaits it shall not be talked over."""
    if not task.cancelled():
        task.exception()
