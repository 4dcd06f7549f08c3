"""``timeout``: how long a message waits at the most."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING

import pytest

from nowserving.errors import LockError, LockTimeout
from nowserving.testing.harness import (
    StoreHarness,
    scenario,
)

if TYPE_CHECKING:
    from nowserving.stores.base import LockStore


class WaitLimits(StoreHarness):
    """``timeout``: for the wait alone."""

    @scenario
    async def test_timeout_ends_a_wait(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        second = await self.line_up(store, name)
        started = time.monotonic()
        with pytest.raises(LockTimeout, match=name) as timeout:
            async with store.lock(name, self.long, self.look, timeout=self.seconds(0.2)):
                pytest.fail("the body ran")
        assert self.seconds(0.19) < time.monotonic() - started < self.seconds(2.2)
        assert timeout.value.position == 2
        assert timeout.value.waited == pytest.approx(self.seconds(0.2), abs=self.seconds(1.0))
        assert timeout.value.conversation_id == name
        assert self.numbers(store, name) == [0, 1]
        await holder.goes()
        await second.serves()
        await second.goes()

    @scenario
    async def test_timeout_zero_tries_once(self, store: LockStore) -> None:
        name = self.conversation()
        async with store.lock(name, timeout=0):
            other = asyncio.create_task(self._try_once(store, name))
            await asyncio.wait_for(other, self.soon)
            assert self.numbers(store, name) == [0]

    async def _try_once(self, store: LockStore, name: str) -> None:
        started = time.monotonic()
        with pytest.raises(LockTimeout) as timeout:
            async with store.lock(name, timeout=0):
                pytest.fail("the body ran")
        assert timeout.value.position == 1
        assert time.monotonic() - started < self.seconds(1.0)

    def test_timeout_ends_a_synchronous_wait(self) -> None:
        with self.opened() as store:
            name = self.conversation()
            number = store.issue_ticket(name)
            for timeout in (0, self.seconds(0.1)):
                with (
                    pytest.raises(LockTimeout),
                    store.lock(name, self.long, self.look, timeout=timeout),
                ):
                    pytest.fail("the body ran")
            assert self.numbers(store, name) == [number]
            store.finish_serving(name, number)

    @scenario
    async def test_timeout_does_not_limit_the_body(self, store: LockStore) -> None:
        async with store.lock(self.conversation(), timeout=self.seconds(0.1)) as lock:
            await asyncio.sleep(self.seconds(0.2))
            assert not lock.lost

    @scenario
    async def test_the_next_one_is_served_after_a_timeout(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        impatient = await self.line_up(store, name, timeout=self.seconds(0.1))
        patient = await self.line_up(store, name)
        assert isinstance(await impatient.end(), LockTimeout)
        await holder.goes()
        await patient.serves()
        await patient.goes()

    def test_timeout_may_be_set_on_the_store(self) -> None:
        async def play(_: object, store: LockStore) -> None:
            name = self.conversation()
            number = store.issue_ticket(name)
            with pytest.raises(LockTimeout):
                async with store.lock(name, self.long, self.look):
                    pytest.fail("the body ran")
            store.finish_serving(name, number)
            store.issue_ticket(name, self.seconds(0.2))
            async with store.lock(
                name, self.long, self.look, timeout=None
            ):  # a turn may say otherwise
                pass

        self.run(play, timeout=self.seconds(0.05))

    @scenario
    async def test_an_outer_time_limit_leaves_no_ticket(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)

        async def wait() -> None:
            async with store.lock(name, self.long, self.look):
                pytest.fail("the body ran")

        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(wait(), self.seconds(0.1))
        if sys.version_info >= (3, 11):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(self.seconds(0.1)):
                    await wait()
        assert self.numbers(store, name) == [holder.held.ticket]
        await holder.goes()

    @scenario
    async def test_threads_can_give_up_too(self, store: LockStore) -> None:
        name = self.conversation()

        def wait() -> None:
            with store.lock(name, self.long, self.look, timeout=self.seconds(0.1)):
                pytest.fail("the body ran")

        async with store.lock(name) as lock:
            with pytest.raises(LockError):
                await self.in_thread(wait)
            assert self.numbers(store, name) == [lock.ticket]
