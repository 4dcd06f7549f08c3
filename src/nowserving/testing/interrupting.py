"""``when_busy="interrupt"``: the newest message ends the turn that is under way."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from nowserving.errors import ConfigurationError, LockInterrupted, LockSuperseded
from nowserving.testing.harness import (
    Overlaps,
    StoreHarness,
    policy,
    quiet,
)

if TYPE_CHECKING:
    from nowserving.stores.base import LockStore


class Interrupting(StoreHarness):
    """``when_busy="interrupt"``: the holder is asked to stop, and nobody enters before it has."""

    @policy(when_busy="interrupt")
    async def test_interrupt_cancels_the_holders_body(self, store: LockStore) -> None:
        name, seen = self.conversation(), list[str]()

        async def handle() -> str:
            with pytest.raises(LockInterrupted, match=name) as interrupted:
                async with store.lock(name, self.long, self.look):
                    try:
                        await asyncio.sleep(self.soon)
                    except asyncio.CancelledError:
                        seen.append("cancelled")
                        raise
            assert interrupted.value.conversation_id == name
            await asyncio.sleep(self.seconds(0.01))  # the task goes on as if nothing had been
            assert _cancelling() == 0
            return "went on"

        holder = asyncio.create_task(handle())
        await self.until(lambda: self.numbers(store, name))
        await asyncio.sleep(self.seconds(0.02))
        newest = await self.line_up(store, name, when_busy="interrupt")
        assert await holder == "went on"
        assert seen == ["cancelled"]
        await newest.serves()
        assert newest.held.predecessor == "interrupted"
        await newest.goes()

    @policy(when_busy="interrupt")
    async def test_interrupt_supersedes_the_waiters(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        waiters = [await self.line_up(store, name) for _ in range(2)]
        newest = await self.line_up(store, name, when_busy="interrupt")
        for waiter in waiters:
            assert isinstance(await waiter.end(), LockSuperseded)
        assert isinstance(await holder.end(), LockInterrupted)
        await newest.serves()
        await newest.goes()

    @policy(when_busy="interrupt")
    async def test_nobody_enters_before_the_holder_has_left(self, store: LockStore) -> None:
        name, inside = self.conversation(), Overlaps()

        async def handle() -> None:
            async with store.lock(name, self.long, self.look):
                with inside.visit("slow to stop"):
                    try:
                        await asyncio.sleep(self.soon)
                    finally:
                        await asyncio.sleep(self.seconds(0.2))

        holder = asyncio.create_task(handle())
        await self.until(lambda: inside.visits)
        async with store.lock(name, self.long, self.look, when_busy="interrupt"):
            with inside.visit("newest"):
                pass
        with pytest.raises(LockInterrupted):
            await holder
        assert inside.visits == ["slow to stop", "newest"]

    @policy(when_busy="interrupt")
    async def test_a_chain_of_interruptions_ends_with_the_newest(self, store: LockStore) -> None:
        name, inside, ended = self.conversation(), Overlaps(), list[int]()

        async def turn(index: int) -> None:
            await asyncio.sleep(index * self.seconds(0.01))
            async with store.lock(name, self.long, self.look, when_busy="interrupt"):
                with inside.visit(index):
                    await asyncio.sleep(self.seconds(0.15))
                ended.append(index)

        ends = await asyncio.gather(*(turn(i) for i in range(8)), return_exceptions=True)
        assert ended == [7]
        assert {type(end) for end in ends[:-1]} <= {LockInterrupted, LockSuperseded}
        assert inside.visits[0] == 0
        assert inside.visits[-1] == 7

    @policy(when_busy="interrupt")
    async def test_a_body_that_swallows_the_cancellation_still_leaves_interrupted(
        self, store: LockStore
    ) -> None:
        name, ended = self.conversation(), list[str]()

        async def handle() -> None:
            with pytest.raises(LockInterrupted):
                async with store.lock(name, self.long, self.look):
                    try:
                        await asyncio.sleep(self.soon)
                    except asyncio.CancelledError:
                        await asyncio.sleep(self.seconds(0.05))
                        ended.append("in its own time")
            assert _cancelling() == 0
            await asyncio.sleep(0)

        holder = asyncio.create_task(handle())
        await self.until(lambda: self.numbers(store, name))
        await asyncio.sleep(self.seconds(0.02))
        newest = await self.line_up(store, name, when_busy="interrupt")
        await holder
        await newest.serves()
        assert ended == ["in its own time"]
        await newest.goes()

    @policy(when_busy="interrupt")
    async def test_an_error_of_an_interrupted_body_is_not_masked(self, store: LockStore) -> None:
        name = self.conversation()

        async def handle() -> None:
            async with store.lock(name, self.long, self.look):
                try:
                    await asyncio.sleep(self.soon)
                except asyncio.CancelledError:
                    raise KeyError("the body's own") from None

        holder = asyncio.create_task(handle())
        await self.until(lambda: self.numbers(store, name))
        await asyncio.sleep(self.seconds(0.02))
        newest = await self.line_up(store, name, when_busy="interrupt")
        with pytest.raises(KeyError, match="the body's own"):
            await holder
        await newest.serves()
        await newest.goes()

    @policy(when_busy="interrupt")
    async def test_a_body_that_ends_in_the_very_moment_leaves_no_cancellation_behind(
        self, store: LockStore
    ) -> None:
        for delay in (0.0, 0.001, 0.003, 0.01):
            name, interrupted = self.conversation(), threading.Event()

            def interrupt(name: str = name, done: threading.Event = interrupted) -> None:
                try:
                    self.drop_in(store, name, when_busy="interrupt")
                finally:
                    done.set()

            with suppress(LockInterrupted):
                async with store.lock(name, self.long, self.look):
                    newest = asyncio.create_task(self.in_thread(interrupt))
                    await asyncio.sleep(0)
                    give_up = time.monotonic() + self.soon
                    while len(self.numbers(store, name)) < 2:  # the loop is blocked all the while
                        assert time.monotonic() < give_up
                    time.sleep(delay)  # noqa: ASYNC251 - so that the interruption is on its way
            assert _cancelling() == 0
            await asyncio.sleep(0)
            await newest

    @policy(when_busy="interrupt")
    async def test_an_outer_time_limit_still_works_after_an_interruption(
        self, store: LockStore
    ) -> None:
        name = self.conversation()

        async def handle() -> None:
            with pytest.raises(LockInterrupted):
                async with store.lock(name, self.long, self.look):
                    await asyncio.sleep(self.soon)
            await asyncio.sleep(self.soon)

        holder = asyncio.ensure_future(asyncio.wait_for(handle(), self.seconds(0.4)))
        await self.until(lambda: self.numbers(store, name))
        await asyncio.sleep(self.seconds(0.02))
        async with store.lock(name, self.long, self.look, when_busy="interrupt"):
            pass
        with pytest.raises(asyncio.TimeoutError):
            await holder

    @policy(when_busy="interrupt")
    async def test_a_synchronous_holder_only_loses_its_lock(self, store: LockStore) -> None:
        name, lost = self.conversation(), threading.Event()

        def handle() -> None:
            with store.lock(name, self.long, self.look) as lock:
                give_up = time.monotonic() + self.soon
                while not lock.lost:
                    assert time.monotonic() < give_up
                    time.sleep(self.seconds(0.01))
                lost.set()
                time.sleep(self.seconds(0.1))

        with quiet():
            holder = asyncio.create_task(self.in_thread(handle))
            await self.until(lambda: self.numbers(store, name))
            async with store.lock(name, self.long, self.look, when_busy="interrupt"):
                assert lost.is_set()
                assert self.numbers(store, name) == [1]
            await holder

    @policy(when_busy="interrupt")
    async def test_a_holder_in_another_loop_is_interrupted(self, store: LockStore) -> None:
        name = self.conversation()

        async def handle() -> None:
            async with store.lock(name, self.long, self.look):
                await asyncio.sleep(self.soon)

        holder = asyncio.create_task(self.in_thread(lambda: asyncio.run(handle())))
        await self.until(lambda: self.numbers(store, name))
        async with store.lock(name, self.long, self.look, when_busy="interrupt"):
            pass
        with pytest.raises(LockInterrupted):
            await holder

    @policy(when_busy="interrupt")
    async def test_a_holder_of_another_store_is_interrupted(self, store: LockStore) -> None:
        name, other = self.conversation(), self.another(store)
        holder = await self.enter(store, name)
        waiter = await self.line_up(store, name)
        async with other.lock(name, self.long, self.look, when_busy="interrupt"):
            pass
        assert isinstance(await holder.end(), LockInterrupted)
        assert isinstance(await waiter.end(), LockSuperseded)
        if other is not store:
            await other.aclose()

    @policy(when_busy="interrupt")
    async def test_an_issued_ticket_that_is_redeemed_late_is_interrupted(
        self, store: LockStore
    ) -> None:
        name = self.conversation()
        number = await store.take_ticket(name)
        newest = await self.line_up(store, name, when_busy="interrupt")
        with pytest.raises(LockInterrupted):
            async with store.lock(name, self.long, self.look, ticket=number):
                await asyncio.sleep(self.soon)
        await newest.serves()
        await newest.goes()

    def test_when_busy_may_be_set_on_the_store(self) -> None:
        with self.opened() as store:
            decides = self.guarantees(store).policies
        if not decides:
            with pytest.raises(ConfigurationError, match="when_busy"):
                self.make_store(when_busy="interrupt")
            return

        async def play(_: object, store: LockStore) -> None:
            name = self.conversation()
            holder = await self.enter(store, name)
            newest = await self.line_up(store, name)
            assert isinstance(await holder.end(), LockInterrupted)
            await newest.serves()
            await newest.goes()

        self.run(play, when_busy="interrupt")


def _cancelling() -> int:
    task: Any = asyncio.current_task()
    return int(task.cancelling()) if sys.version_info >= (3, 11) else 0
