"""Why a ticket is gone: its owner is told what ended it, however it finds out."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

import pytest

from nowserving.errors import LockError, LockLost
from nowserving.protocol.status import EXPIRED, RELEASED
from nowserving.testing.harness import StoreHarness, log_records, scenario

if TYPE_CHECKING:
    from collections.abc import Callable

    from nowserving.stores.base import LockStore

    _Remove = Callable[[LockStore, str, int], Any]


def _delete(store: LockStore, name: str, _: int) -> None:
    store.delete_lock(name)


def _save(store: LockStore, name: str, number: int) -> None:
    picture = store.get_lock(name)
    assert picture is not None
    picture.remove_ticket_for(number)
    store.save_lock(picture)


def _finish(store: LockStore, name: str, number: int) -> None:
    store.finish_serving(name, number)


_removals = pytest.mark.parametrize("remove", [_delete, _save, _finish])


class Reasons(StoreHarness):
    """Expired, or released by somebody else."""

    @scenario
    async def test_a_holder_that_looks_is_told_that_it_expired(self, store: LockStore) -> None:
        with log_records(logging.WARNING) as records:
            holder = await self.enter(store, self.conversation(), self.seconds(0.2))
            await self.until_lost(holder.held)
            await holder.goes()
        self._told(records, EXPIRED)

    @scenario
    async def test_a_holder_is_told_that_it_expired_though_others_have_passed(
        self, store: LockStore
    ) -> None:
        name = self.conversation()
        with log_records(logging.WARNING) as records:
            holder = await self.enter(store, name, self.seconds(0.2))
            waiter = await self.line_up(store, name)
            await waiter.serves()
            await self.until(lambda: records)
            await holder.goes()
        self._told(records, EXPIRED)
        await waiter.goes()

    @scenario
    async def test_a_holder_finds_out_by_its_leave_that_it_expired(self, store: LockStore) -> None:
        with log_records(logging.WARNING) as records:
            async with store.lock(self.conversation(), self.seconds(0.2), self.look):
                time.sleep(self.seconds(0.3))  # noqa: ASYNC251 - nothing is heard meanwhile
        self._told(records, EXPIRED)

    @_removals
    def test_a_holder_is_told_that_it_was_released(self, remove: _Remove) -> None:
        self._release_holder(remove, None)

    @_removals
    def test_a_renewed_holder_is_told_that_it_was_released(self, remove: _Remove) -> None:
        self._release_holder(
            remove, self.seconds(0.3), auto_renew=True, wait_time_in_seconds=self.long
        )

    def _release_holder(self, remove: _Remove, lifetime: float | None, **options: Any) -> None:
        async def play(_: object, store: LockStore) -> None:
            name = self.conversation()
            holder = await self.enter(store, name, lifetime, **options)
            if options:  # renewed more than once
                await asyncio.sleep(self.seconds(0.5))
            remove(store, name, holder.held.ticket)
            await self.until_lost(holder.held)
            await holder.goes()

        with log_records(logging.WARNING) as records:
            self.run(play)
        self._told(records, RELEASED)

    @_removals
    def test_a_holder_finds_out_by_its_leave_that_it_was_released(self, remove: _Remove) -> None:
        async def play(_: object, store: LockStore) -> None:
            name = self.conversation()
            with pytest.raises(LockLost, match=RELEASED):
                async with store.lock(name, self.long, self.long, on_lost="cancel") as lock:
                    remove(store, name, lock.ticket)

        with log_records(logging.WARNING) as records:
            self.run(play)
        self._told(records, RELEASED)

    @_removals
    def test_a_synchronous_holder_finds_out_that_it_was_released(self, remove: _Remove) -> None:
        with log_records(logging.WARNING) as records, self.opened() as store:
            name = self.conversation()
            with store.lock(name, self.long, self.long) as lock:
                remove(store, name, lock.ticket)
        self._told(records, RELEASED)

    @_removals
    def test_a_waiter_that_was_released_is_not_advised_to_renew(self, remove: _Remove) -> None:
        """What an expired one is advised is in the suite of expiry."""

        async def play(_: object, store: LockStore) -> None:
            name = self.conversation()
            holder = await self.enter(store, name)
            waiter = await self.line_up(store, name)
            remove(store, name, holder.held.ticket + 1)
            error = await waiter.end()
            assert type(error) is LockError
            assert str(error) == f"Could not acquire lock for conversation_id '{name}'."
            await holder.goes()

        with log_records(logging.WARNING):  # with its lock deleted the holder is lost as well
            self.run(play)

    @staticmethod
    def _told(records: list[logging.LogRecord], why: str) -> None:
        (warning,) = [record.getMessage() for record in records]
        assert f": {why}. " in warning
        assert ("auto_renew" in warning) is (why == EXPIRED)  # it helps nobody who was released
