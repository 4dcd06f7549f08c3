"""Cancellations from outside meet our own: each goes where it is meant for.

Only from Python 3.11 on, which counts them: before that nobody can tell two apart.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import pytest

from nowserving.errors import LockInterrupted
from nowserving.testing.harness import StoreHarness, policy

if TYPE_CHECKING:
    from nowserving.stores.base import LockStore


class FromOutside(StoreHarness):
    """Time limits, task groups and shutdowns around turns that are interrupted."""

    if sys.version_info >= (3, 11):

        @policy(when_busy="interrupt")
        async def test_it_goes_with_time_limits_and_task_groups(self, store: LockStore) -> None:
            name, went_on = self.conversation(), list[str]()

            async def handle() -> None:
                async with asyncio.timeout(self.soon), asyncio.TaskGroup() as group:
                    with pytest.raises(LockInterrupted):
                        async with store.lock(name, self.long, self.look):
                            await asyncio.sleep(self.soon)
                    group.create_task(asyncio.sleep(0))
                    went_on.append("out of the lock")
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(self.seconds(0.05)):
                        await asyncio.sleep(self.soon)
                went_on.append("out of the limit")

            holder = asyncio.create_task(handle())
            await self.until(lambda: self.numbers(store, name))
            await asyncio.sleep(self.seconds(0.02))
            async with store.lock(name, self.long, self.look, when_busy="interrupt"):
                pass
            await holder
            assert went_on == ["out of the lock", "out of the limit"]

        @policy(when_busy="interrupt")
        async def test_a_cancellation_from_outside_wins(self, store: LockStore) -> None:
            name = self.conversation()
            holder = await self.enter(store, name)
            async with store.lock(name, self.long, self.look, when_busy="interrupt"):
                pass
            assert isinstance(await holder.end(), LockInterrupted)

            holder = await self.enter(store, name)
            newest = await self.line_up(store, name, when_busy="interrupt")
            holder.task.cancel()  # in the same moment, as like as not
            await newest.serves()
            await newest.goes()
            assert isinstance(await holder.end(), (LockInterrupted, asyncio.CancelledError))

        @policy(when_busy="interrupt")
        async def test_one_that_came_before_the_interruption_wins(self, store: LockStore) -> None:
            name, cleaning = self.conversation(), asyncio.Event()

            async def handle() -> None:
                async with store.lock(name, self.long, self.look):
                    try:
                        await asyncio.sleep(self.soon)
                    finally:
                        cleaning.set()
                        await asyncio.sleep(self.soon)

            holder = asyncio.create_task(handle())
            await self.until(lambda: self.numbers(store, name))
            await asyncio.sleep(self.seconds(0.02))
            holder.cancel()
            await cleaning.wait()
            async with store.lock(name, self.long, self.look, when_busy="interrupt"):
                pass
            await asyncio.wait({holder})
            assert holder.cancelled()

        @policy(when_busy="interrupt")
        async def test_of_two_turns_in_each_other_the_outer_one_ends_too(
            self, store: LockStore
        ) -> None:
            outer, inner, went_on = self.conversation(), self.conversation(), list[str]()

            async def handle() -> None:
                async with store.lock(outer, self.long, self.look):
                    try:
                        async with store.lock(inner, self.long, self.look):
                            await asyncio.sleep(self.soon)
                    except LockInterrupted:
                        went_on.append("out of the inner one")
                    await asyncio.sleep(self.soon)
                    went_on.append("in the outer one")

            holder = asyncio.create_task(handle())
            await self.until(lambda: self.numbers(store, inner))
            await asyncio.sleep(self.seconds(0.02))
            interrupt = {"when_busy": "interrupt"}
            await asyncio.gather(
                self.in_thread(lambda: self.drop_in(store, outer, **interrupt)),
                self.in_thread(lambda: self.drop_in(store, inner, **interrupt)),
            )
            with pytest.raises(LockInterrupted) as interrupted:
                await holder
            assert interrupted.value.conversation_id == outer
            assert "in the outer one" not in went_on
            assert holder.cancelling() == 0

        @policy(when_busy="interrupt")
        async def test_one_that_comes_as_the_body_ends_reaches_the_code_after_it(
            self, store: LockStore
        ) -> None:
            name, went_on = self.conversation(), list[str]()

            async def handle() -> None:
                async with store.lock(name, self.long, self.look):
                    try:
                        await asyncio.sleep(self.soon)
                    except asyncio.CancelledError:
                        asyncio.get_running_loop().call_soon(holder.cancel)
                await asyncio.sleep(self.seconds(0.2))
                went_on.append("after it")

            holder = asyncio.create_task(handle())
            await self.until(lambda: self.numbers(store, name))
            await asyncio.sleep(self.seconds(0.02))
            async with store.lock(name, self.long, self.look, when_busy="interrupt"):
                pass
            await asyncio.wait({holder})
            assert holder.cancelled()
            assert went_on == []
