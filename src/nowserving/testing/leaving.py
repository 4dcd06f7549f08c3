"""Leaving: whatever the body does, its ticket goes and its error comes out unmasked."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from nowserving.protocol.status import IssuedTicket
from nowserving.testing.harness import StoreHarness, log_records, quiet, scenario

if TYPE_CHECKING:
    from nowserving.stores.base import LockStore


class _BodyError(Exception):
    """What a body raises."""


class _BodyExit(BaseException):
    """What not even ``except Exception`` catches."""


class Leaving(StoreHarness):
    """The end of a turn."""

    @pytest.mark.parametrize("kind", [_BodyError, _BodyExit, KeyError, asyncio.TimeoutError])
    def test_an_error_of_the_body_comes_out_as_it_is(self, kind: type[BaseException]) -> None:
        async def play(_: object, store: LockStore) -> None:
            name, error = self.conversation(), kind("the body's own")
            with pytest.raises(kind) as raised:
                async with store.lock(name):
                    raise error
            assert raised.value is error
            assert raised.value.__context__ is None
            assert store.get_lock(name) is None

        self.run(play)

    def test_an_error_of_a_synchronous_body_comes_out_as_it_is(self) -> None:
        with self.opened() as store:
            name, error = self.conversation(), _BodyError("the body's own")
            with pytest.raises(_BodyError) as raised, store.lock(name):
                raise error
            assert raised.value is error
            assert store.get_lock(name) is None

    @scenario
    async def test_an_error_of_the_body_is_not_masked_by_a_lost_lock(
        self, store: LockStore
    ) -> None:
        name = self.conversation()
        with quiet(), pytest.raises(_BodyError):
            async with store.lock(name) as lock:
                store.delete_lock(name)
                await self.until(lambda: lock.lost or not self.guarantees(store).policies)
                raise _BodyError

    @scenario
    async def test_the_next_one_is_served_after_an_error(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        waiter = await self.line_up(store, name)
        await holder.goes(raising=_BodyError())
        await waiter.serves()
        await waiter.goes()

    @scenario
    async def test_a_deleted_lock_is_lost(self, store: LockStore) -> None:
        name = self.conversation()
        with log_records(logging.WARNING) as records:
            holder = await self.enter(store, name)
            store.delete_lock(name)
            await self.until_lost(holder.held)
            await holder.goes()
        assert [name in record.getMessage() for record in records] == [True]

    @scenario
    async def test_leaving_after_a_loss_removes_nobody_elses_ticket(self, store: LockStore) -> None:
        name = self.conversation()
        with quiet():
            loser = await self.enter(store, name)
            store.delete_lock(name)
            await self.until_lost(loser.held)
            holder = await self.enter(store, name)
            await loser.goes()
        # The reference's own algorithm knows a ticket by its number alone, and begins again at 0.
        if self.keeps_records(store):
            assert self.numbers(store, name) == [holder.held.ticket]
            assert not holder.held.lost
        with quiet():
            await holder.goes()

    @scenario
    async def test_a_stale_number_removes_no_stranger(self, store: LockStore) -> None:
        name, other = self.conversation(), self.another(store)
        async with store.lock(name) as lock:
            if other is not store:
                other.finish_serving(name, lock.ticket)
                other.cleanup(name, lock.ticket)
                assert self.numbers(store, name) == [lock.ticket]
            if self.keeps_records(store):
                stale = IssuedTicket(lock.ticket, "a-ticket-of-the-past")
                store.finish_serving(name, stale)
                store.cleanup(name, stale)
                assert self.numbers(store, name) == [lock.ticket]
            assert not lock.lost
        if other is not store:
            await other.aclose()

    @scenario
    async def test_a_number_that_nobody_has_removes_nothing(self, store: LockStore) -> None:
        name = self.conversation()
        async with store.lock(name) as lock:
            store.finish_serving(name, lock.ticket + 1)
            store.cleanup(name, lock.ticket + 7)
            assert self.numbers(store, name) == [lock.ticket]

    @scenario
    async def test_finishing_ones_own_ticket_serves_the_next(self, store: LockStore) -> None:
        name = self.conversation()
        with quiet():
            holder = await self.enter(store, name)
            waiter = await self.line_up(store, name)
            store.finish_serving(name, holder.held.ticket)
            await waiter.serves()
            await self.until_lost(holder.held)
            await holder.goes()
        assert self.numbers(store, name) == [waiter.held.ticket]
        await waiter.goes()

    @scenario
    async def test_a_picture_that_is_saved_late_removes_no_newer_ticket(
        self, store: LockStore
    ) -> None:
        name = self.conversation()
        first = store.issue_ticket(name)
        picture = store.get_lock(name)
        assert picture is not None
        second = store.issue_ticket(name)
        picture.remove_ticket_for(first)
        store.save_lock(picture)
        if self.keeps_records(store):
            assert self.numbers(store, name) == [second]
            assert store.issue_ticket(name) == second + 1
        else:  # it saves what it is given: that is what "read, change, write" means
            assert self.numbers(store, name) == []
        store.delete_lock(name)

    @scenario
    async def test_an_empty_picture_does_not_lower_the_next_number(self, store: LockStore) -> None:
        name = self.conversation()
        store.issue_ticket(name)
        second = store.issue_ticket(name)
        empty = store.create_lock(name)
        store.save_lock(empty)
        if self.keeps_records(store):
            assert self.numbers(store, name) == [0, second]
            assert store.issue_ticket(name) == second + 1
        store.delete_lock(name)

    @scenario
    async def test_a_saved_picture_serves_the_next_live_ticket(self, store: LockStore) -> None:
        name = self.conversation()
        first = store.issue_ticket(name)
        waiter = await self.line_up(store, name)
        picture = store.get_lock(name)
        assert picture is not None
        picture.remove_ticket_for(first)
        store.save_lock(picture)
        await waiter.serves()
        await waiter.goes()
