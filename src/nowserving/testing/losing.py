"""Locks that are lost while their turn is held: who is told, and what ends."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from nowserving.errors import LockLost
from nowserving.testing.harness import (
    StoreHarness,
    log_records,
    quiet,
    scenario,
)

if TYPE_CHECKING:
    from nowserving.stores.base import LockStore


class Losing(StoreHarness):
    """``lost``, ``lost_event``, ``on_lost`` and ``max_hold``."""

    @scenario
    async def test_a_lost_lock_warns_once_and_lets_the_body_end(self, store: LockStore) -> None:
        name, ended = self.conversation(), False
        with log_records(logging.WARNING) as records:
            async with store.lock(name, self.seconds(0.2), self.look) as lock:
                await asyncio.sleep(self.seconds(0.3))
                assert lock.lost
                await asyncio.sleep(self.seconds(0.05))
                ended = True
        assert ended
        (warning,) = [record.getMessage() for record in records]
        assert records[0].levelno == logging.WARNING
        for fact in (repr(name), f"ticket {lock.ticket}", " s", "auto_renew", "lock_lifetime"):
            assert fact in warning

    @scenario
    async def test_a_loss_can_be_awaited(self, store: LockStore) -> None:
        with quiet():
            async with store.lock(self.conversation(), self.seconds(0.2), self.look) as lock:
                assert not lock.lost_event.is_set()
                await asyncio.wait_for(lock.lost_event.wait(), self.soon)
                assert lock.lost
                assert lock.lost_event.is_set()

    @scenario
    async def test_a_loss_is_told_in_time_beside_a_long_lease(self, store: LockStore) -> None:
        with quiet():
            async with (
                store.lock(self.conversation(), self.long, self.long),
                store.lock(self.conversation(), self.seconds(0.2), self.long) as lock,
            ):
                await asyncio.wait_for(lock.lost_event.wait(), self.soon)

    def test_a_synchronous_holder_sees_its_loss(self) -> None:
        with quiet(), self.opened() as store:
            name = self.conversation()
            with store.lock(name, self.seconds(0.2), self.look) as lock:
                assert not lock.lost
                time.sleep(self.seconds(0.3))
                assert lock.lost

    @scenario
    async def test_on_lost_cancel_ends_the_body_with_lock_lost(self, store: LockStore) -> None:
        name = self.conversation()
        with quiet():
            with pytest.raises(LockLost, match=name) as lost:
                async with store.lock(name, self.seconds(0.2), self.look, on_lost="cancel"):
                    await asyncio.sleep(self.soon)
            assert lost.value.conversation_id == name
            assert lost.value.number == 0
            await _not_cancelled()

    @scenario
    async def test_on_lost_cancel_does_not_mask_an_error_of_the_body(
        self, store: LockStore
    ) -> None:
        with quiet():
            with pytest.raises(KeyError, match="the body's own"):
                async with store.lock(
                    self.conversation(), self.seconds(0.2), self.look, on_lost="cancel"
                ):
                    try:
                        await asyncio.sleep(self.soon)
                    except asyncio.CancelledError:
                        raise KeyError("the body's own") from None
            await _not_cancelled()

    @scenario
    async def test_on_lost_cancel_tells_of_a_loss_that_the_body_did_not_see(
        self, store: LockStore
    ) -> None:
        with quiet():
            with pytest.raises(LockLost):
                async with store.lock(
                    self.conversation(), self.seconds(0.2), self.look, on_lost="cancel"
                ):
                    time.sleep(self.seconds(0.3))  # noqa: ASYNC251 - nothing is delivered
            await _not_cancelled()

    @scenario
    async def test_on_lost_cancel_of_a_deleted_lock(self, store: LockStore) -> None:
        name = self.conversation()
        with quiet():
            holder = await self.enter(store, name, on_lost="cancel")
            store.delete_lock(name)
            assert isinstance(await holder.end(), LockLost)

    def test_on_lost_cancel_is_an_error_for_a_synchronous_body(self) -> None:
        with self.opened() as store:
            name = self.conversation()
            with (
                pytest.raises(ValueError, match="on_lost"),
                store.lock(name, on_lost="cancel"),
            ):
                pytest.fail("the body ran")
            assert store.get_lock(name) is None

    @scenario
    async def test_max_hold_bounds_a_renewed_turn(self, store: LockStore) -> None:
        name = self.conversation()
        with log_records(logging.WARNING) as records:
            holder = await self.enter(
                store, name, self.seconds(5.0), auto_renew=True, max_hold=self.seconds(0.3)
            )
            waiter = await self.line_up(store, name)
            started = time.monotonic()
            await waiter.serves()
            assert time.monotonic() - started < self.seconds(2.3)
            await self.until_lost(holder.held)
            await holder.goes()
        assert f"max_hold={self.seconds(0.3):g}" in records[0].getMessage()
        assert not waiter.held.lost
        await waiter.goes()

    @scenario
    async def test_max_hold_can_cancel_the_body(self, store: LockStore) -> None:
        name = self.conversation()
        with quiet(), pytest.raises(LockLost, match="max_hold"):
            async with store.lock(
                name,
                self.seconds(5.0),
                self.look,
                auto_renew=True,
                max_hold=self.seconds(0.2),
                on_lost="cancel",
            ):
                await asyncio.sleep(self.soon)
        assert store.get_lock(name) is None

    def test_max_hold_bounds_a_synchronous_turn(self) -> None:
        with quiet(), self.opened() as store:
            name = self.conversation()
            with store.lock(
                name, self.seconds(5.0), self.look, auto_renew=True, max_hold=self.seconds(0.2)
            ) as lock:
                give_up = time.monotonic() + self.soon
                while not lock.lost:
                    assert time.monotonic() < give_up
                    time.sleep(self.seconds(0.01))
                while self.numbers(store, name):
                    assert time.monotonic() < give_up
                    time.sleep(self.seconds(0.01))

    @scenario
    async def test_max_hold_does_not_count_the_wait(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        waiter = await self.line_up(store, name, max_hold=self.seconds(0.3))
        await asyncio.sleep(self.seconds(0.35))
        await holder.goes()
        await waiter.serves()
        await asyncio.sleep(self.seconds(0.1))
        assert not waiter.held.lost
        await waiter.goes()

    @scenario
    async def test_cancellation_from_outside_stays_a_cancellation(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name, on_lost="cancel")
        await holder.cancel()
        assert holder.task.cancelled()
        assert store.get_lock(name) is None


async def _not_cancelled() -> None:
    """Check that the running task goes on as if it had never been cancelled."""
    await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    task: Any = asyncio.current_task()
    if sys.version_info >= (3, 11):
        assert task.cancelling() == 0
