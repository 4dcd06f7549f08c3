"""Turns that live as long as the work: renewal, lost locks, and the limits of time."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from nowserving.errors import LockError, LockLost, LockTimeout, StoreUnavailable
from nowserving.testing.harness import (
    LOOK,
    SOON,
    StoreHarness,
    in_thread,
    log_records,
    quiet,
    scenario,
    until,
    until_lost,
)
from nowserving.testing.visitor import Visitor

if TYPE_CHECKING:
    from nowserving.held import HeldLock
    from nowserving.store import LockStore

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


class Losing(StoreHarness):
    """``lost``, ``lost_event``, ``on_lost`` and ``max_hold``."""

    @scenario
    async def test_a_lost_lock_warns_once_and_lets_the_body_end(self, store: LockStore) -> None:
        name, ended = self.conversation(), False
        with log_records(logging.WARNING) as records:
            async with store.lock(name, 0.2, LOOK) as lock:
                await asyncio.sleep(0.3)
                assert lock.lost
                await asyncio.sleep(0.05)
                ended = True
        assert ended
        (warning,) = [record.getMessage() for record in records]
        assert records[0].levelno == logging.WARNING
        for fact in (repr(name), f"ticket {lock.ticket}", " s", "auto_renew", "lock_lifetime"):
            assert fact in warning

    @scenario
    async def test_a_loss_can_be_awaited(self, store: LockStore) -> None:
        with quiet():
            async with store.lock(self.conversation(), 0.2, LOOK) as lock:
                assert not lock.lost_event.is_set()
                await asyncio.wait_for(lock.lost_event.wait(), SOON)
                assert lock.lost
                assert lock.lost_event.is_set()

    def test_a_synchronous_holder_sees_its_loss(self) -> None:
        with quiet(), self.opened() as store:
            name = self.conversation()
            with store.lock(name, 0.2, LOOK) as lock:
                assert not lock.lost
                time.sleep(0.3)
                assert lock.lost

    @scenario
    async def test_on_lost_cancel_ends_the_body_with_lock_lost(self, store: LockStore) -> None:
        name = self.conversation()
        with quiet():
            with pytest.raises(LockLost, match=name) as lost:
                async with store.lock(name, 0.2, LOOK, on_lost="cancel"):
                    await asyncio.sleep(SOON)
            assert lost.value.conversation_id == name
            assert lost.value.number == 0
            await _not_cancelled()

    @scenario
    async def test_on_lost_cancel_does_not_mask_an_error_of_the_body(
        self, store: LockStore
    ) -> None:
        with quiet():
            with pytest.raises(KeyError, match="the body's own"):
                async with store.lock(self.conversation(), 0.2, LOOK, on_lost="cancel"):
                    try:
                        await asyncio.sleep(SOON)
                    except asyncio.CancelledError:
                        raise KeyError("the body's own") from None
            await _not_cancelled()

    @scenario
    async def test_on_lost_cancel_tells_of_a_loss_that_the_body_did_not_see(
        self, store: LockStore
    ) -> None:
        with quiet():
            with pytest.raises(LockLost):
                async with store.lock(self.conversation(), 0.2, LOOK, on_lost="cancel"):
                    time.sleep(0.3)  # noqa: ASYNC251 - nothing can be delivered meanwhile
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
            holder = await self.enter(store, name, 5.0, auto_renew=True, max_hold=0.3)
            waiter = await self.line_up(store, name)
            started = time.monotonic()
            await waiter.serves()
            assert time.monotonic() - started < 0.3 + 2.0
            await until_lost(holder.held)
            await holder.goes()
        assert "max_hold=0.3" in records[0].getMessage()
        assert not waiter.held.lost
        await waiter.goes()

    @scenario
    async def test_max_hold_can_cancel_the_body(self, store: LockStore) -> None:
        name = self.conversation()
        with quiet(), pytest.raises(LockLost, match="max_hold"):
            async with store.lock(name, 5.0, LOOK, auto_renew=True, max_hold=0.2, on_lost="cancel"):
                await asyncio.sleep(SOON)
        assert store.get_lock(name) is None

    def test_max_hold_bounds_a_synchronous_turn(self) -> None:
        with quiet(), self.opened() as store:
            name = self.conversation()
            with store.lock(name, 5.0, LOOK, auto_renew=True, max_hold=0.2) as lock:
                give_up = time.monotonic() + SOON
                while not lock.lost:
                    assert time.monotonic() < give_up
                    time.sleep(0.01)
                while self.numbers(store, name):
                    assert time.monotonic() < give_up
                    time.sleep(0.01)

    @scenario
    async def test_max_hold_does_not_count_the_wait(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        waiter = await self.line_up(store, name, max_hold=0.3)
        await asyncio.sleep(0.35)
        await holder.goes()
        await waiter.serves()
        await asyncio.sleep(0.1)
        assert not waiter.held.lost
        await waiter.goes()

    @scenario
    async def test_cancellation_from_outside_stays_a_cancellation(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name, on_lost="cancel")
        await holder.cancel()
        assert holder.task.cancelled()
        assert store.get_lock(name) is None


class WaitLimits(StoreHarness):
    """``timeout``: for the wait alone."""

    @scenario
    async def test_timeout_ends_a_wait(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        second = await self.line_up(store, name)
        started = time.monotonic()
        with pytest.raises(LockTimeout, match=name) as timeout:
            async with store.lock(name, 60, LOOK, timeout=0.2):
                pytest.fail("the body ran")
        assert 0.19 < time.monotonic() - started < 0.2 + 2.0
        assert timeout.value.position == 2
        assert timeout.value.waited == pytest.approx(0.2, abs=1.0)
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
            await asyncio.wait_for(other, SOON)
            assert self.numbers(store, name) == [0]

    async def _try_once(self, store: LockStore, name: str) -> None:
        started = time.monotonic()
        with pytest.raises(LockTimeout) as timeout:
            async with store.lock(name, timeout=0):
                pytest.fail("the body ran")
        assert timeout.value.position == 1
        assert time.monotonic() - started < 1.0

    def test_timeout_ends_a_synchronous_wait(self) -> None:
        with self.opened() as store:
            name = self.conversation()
            number = store.issue_ticket(name)
            for timeout in (0, 0.1):
                with pytest.raises(LockTimeout), store.lock(name, 60, LOOK, timeout=timeout):
                    pytest.fail("the body ran")
            assert self.numbers(store, name) == [number]
            store.finish_serving(name, number)

    @scenario
    async def test_timeout_does_not_limit_the_body(self, store: LockStore) -> None:
        async with store.lock(self.conversation(), timeout=0.1) as lock:
            await asyncio.sleep(0.2)
            assert not lock.lost

    @scenario
    async def test_the_next_one_is_served_after_a_timeout(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        impatient = await self.line_up(store, name, timeout=0.1)
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
                async with store.lock(name, 60, LOOK):
                    pytest.fail("the body ran")
            store.finish_serving(name, number)
            store.issue_ticket(name, 0.2)
            async with store.lock(name, 60, LOOK, timeout=None):  # a turn may say otherwise
                pass

        self.run(play, timeout=0.05)

    @scenario
    async def test_an_outer_time_limit_leaves_no_ticket(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)

        async def wait() -> None:
            async with store.lock(name, 60, LOOK):
                pytest.fail("the body ran")

        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(wait(), 0.1)
        if sys.version_info >= (3, 11):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await wait()
        assert self.numbers(store, name) == [holder.held.ticket]
        await holder.goes()

    @scenario
    async def test_threads_can_give_up_too(self, store: LockStore) -> None:
        name = self.conversation()

        def wait() -> None:
            with store.lock(name, 60, LOOK, timeout=0.1):
                pytest.fail("the body ran")

        async with store.lock(name) as lock:
            with pytest.raises(LockError):
                await in_thread(wait)
            assert self.numbers(store, name) == [lock.ticket]


async def _not_cancelled() -> None:
    """Check that the running task goes on as if it had never been cancelled."""
    await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    task: Any = asyncio.current_task()
    if sys.version_info >= (3, 11):
        assert task.cancelling() == 0


def _fail_renewals(store: LockStore, times: int = 1_000_000) -> list[int]:
    """Have the store's next renewals fail, as they do while it can't be reached."""
    queue: Any = store._runtime.queue  # noqa: SLF001 - a failure of the store is inside it
    renew, failures = queue.renew, list(range(min(times, 1000)))

    async def fail_or_renew(places: Any) -> Any:
        if failures and any(lifetime for _, lifetime in places):
            failures.pop()
            return [StoreUnavailable("The store can't be reached.") for _ in places]
        return await renew(places)

    queue.renew = fail_or_renew
    return failures
