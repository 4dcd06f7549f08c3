"""Lifetimes: a ticket that is not renewed blocks the line for a limited time only."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from nowserving.errors import LockError
from nowserving.testing.harness import StoreHarness, quiet, scenario

if TYPE_CHECKING:
    from nowserving.stores.base import LockStore


class Expiry(StoreHarness):
    """What the reference's ``lock_lifetime`` means."""

    @scenario
    async def test_a_ticket_that_expires_while_it_waits_raises(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        started = time.monotonic()
        lifetime = self.seconds(0.3)
        waiter = await self.line_up(store, name, lifetime)
        error = await waiter.end()
        assert type(error) is LockError
        # The reference's sentence, and what it does not say: why, and what helps.
        assert str(error).startswith(f"Could not acquire lock for conversation_id '{name}'. ")
        assert error.waited is not None
        assert f"waited for {error.waited:.3g} s" in str(error)
        assert f"lived for {lifetime:g} s" in str(error)
        assert "auto_renew=True" in str(error)
        assert self.seconds(0.25) < time.monotonic() - started < lifetime + self.soon
        assert self.numbers(store, name) == [holder.held.ticket]
        await holder.goes()

    @scenario
    async def test_the_body_of_an_expired_waiter_never_runs(self, store: LockStore) -> None:
        name, ran = self.conversation(), list[int]()
        holder = await self.enter(store, name)
        waiter = await self.line_up(
            store, name, self.seconds(0.2), while_inside=lambda: ran.append(1)
        )
        # The holder leaves at about the moment at which the waiter's ticket ends.
        await asyncio.sleep(self.seconds(0.19))
        await holder.goes()
        await asyncio.sleep(self.seconds(0.05))
        if waiter.lock is not None:
            assert ran == [1]
            await waiter.goes()
        else:
            assert isinstance(await waiter.end(), LockError)
            assert ran == []

    @scenario
    async def test_a_waiter_is_served_when_the_holder_expires(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name, self.seconds(0.4))
        waiter = await self.line_up(store, name)
        await waiter.serves(self.seconds(0.4) + self.soon)
        assert holder.held.lost
        assert waiter.held.waited > self.seconds(0.2)
        with quiet():
            await holder.goes()
        assert not waiter.held.lost
        assert self.numbers(store, name) == [waiter.held.ticket]
        await waiter.goes()

    @scenario
    async def test_a_newcomer_is_served_at_once_when_the_holder_has_expired(
        self, store: LockStore
    ) -> None:
        name = self.conversation()
        with quiet():
            holder = await self.enter(store, name, self.seconds(0.2))
            await asyncio.sleep(self.seconds(0.3))
            async with store.lock(name, timeout=0) as lock:
                assert holder.held.lost
                assert not lock.lost
            await holder.goes()

    @scenario
    async def test_a_tickets_lifetime_starts_anew_when_it_is_served(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        waiter = await self.line_up(store, name, self.seconds(0.5))
        await asyncio.sleep(self.seconds(0.35))
        await holder.goes()
        await waiter.serves()
        line = store.get_lock(name)
        await asyncio.sleep(self.seconds(0.35))
        if self.keeps_records(store):
            assert not waiter.held.lost
            assert line is not None
            assert line.tickets[0].expires > time.time()
            await waiter.goes()
        else:  # the reference's own way: a ticket's life counts from its issue
            assert waiter.held.lost
            with quiet():
                await waiter.goes()

    @scenario
    async def test_issued_tickets_block_the_line_for_their_lifetime_at_most(
        self, store: LockStore
    ) -> None:
        name = self.conversation()
        started = time.monotonic()
        for _ in range(10):  # their lifetimes pass together, not one after the other
            store.issue_ticket(name, self.seconds(0.4))
        waiter = await self.line_up(store, name)
        await waiter.serves(self.soon)
        assert self.seconds(0.3) < time.monotonic() - started < self.seconds(2.4)
        assert waiter.held.ticket == 10
        await waiter.goes()

    @scenario
    async def test_expired_waiters_in_the_middle_are_walked_past(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        impatient = [await self.line_up(store, name, self.seconds(0.3)) for _ in range(3)]
        patient = await self.line_up(store, name)
        for visitor in impatient:
            assert isinstance(await visitor.end(), LockError)
        await holder.goes()
        await patient.serves()
        await patient.goes()

    @scenario
    async def test_a_short_ticket_does_not_shorten_the_life_of_a_long_one(
        self, store: LockStore
    ) -> None:
        name = self.conversation()
        holder = await self.enter(store, name, self.long)
        impatient = await self.line_up(store, name, self.seconds(0.1))
        assert isinstance(await impatient.end(), LockError)
        await asyncio.sleep(self.seconds(0.3))
        assert self.numbers(store, name) == [holder.held.ticket]
        assert not holder.held.lost
        await holder.goes()

    @scenario
    async def test_no_lock_is_left_of_an_expired_line(self, store: LockStore) -> None:
        name = self.conversation()
        store.issue_ticket(name, self.seconds(0.1))
        await self.until(lambda: not store.is_someone_waiting(name))
        async with store.lock(name, timeout=0):
            pass
