"""What a turn knows of those before it: fencing tokens and the predecessor's outcome."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from nowserving.testing.harness import (
    StoreHarness,
    quiet,
    scenario,
)

if TYPE_CHECKING:
    from nowserving.stores.base import LockStore


class Fencing(StoreHarness):
    """A token that grows with every turn, for ever."""

    async def _token(self, store: LockStore, name: str) -> int:
        async with store.lock(name, self.long, self.look) as lock:
            assert lock.fencing_token == lock.fencing_token > 0
            return lock.fencing_token

    @scenario
    async def test_tokens_grow_with_every_turn(self, store: LockStore) -> None:
        name = self.conversation()
        tokens = [await self._token(store, name) for _ in range(10)]
        assert tokens == sorted(set(tokens))

    @scenario
    async def test_tokens_grow_over_waiting_turns(self, store: LockStore) -> None:
        name, tokens = self.conversation(), list[int]()

        async def turn() -> None:
            async with store.lock(name, self.long, self.seconds(0.01)) as lock:
                tokens.append(lock.fencing_token)

        await asyncio.gather(*(turn() for _ in range(10)))
        assert tokens == sorted(set(tokens))

    @scenario
    async def test_tokens_grow_over_cleanup_and_delete(self, store: LockStore) -> None:
        name = self.conversation()
        tokens = [await self._token(store, name)]
        store.cleanup(name, 0)
        tokens.append(await self._token(store, name))
        store.delete_lock(name)
        tokens.append(await self._token(store, name))
        number = store.issue_ticket(name)
        store.finish_serving(name, number)
        store.save_lock(store.create_lock(name))
        tokens.append(await self._token(store, name))
        store.delete_lock(name)
        tokens.append(await self._token(store, name))
        assert tokens == sorted(set(tokens))

    @scenario
    async def test_tokens_grow_over_an_expired_turn(self, store: LockStore) -> None:
        name = self.conversation()
        with quiet():
            loser = await self.enter(store, name, self.seconds(0.2))
            waiter = await self.line_up(store, name)
            await waiter.serves()
            assert waiter.held.fencing_token > loser.held.fencing_token
            await loser.goes()
            await waiter.goes()

    @scenario
    async def test_tokens_grow_over_stores_and_threads(self, store: LockStore) -> None:
        name, tokens = self.conversation(), list[int]()

        def take() -> int:
            with another.lock(name) as lock:
                return lock.fencing_token

        for _ in range(3):
            tokens.append(await self._token(store, name))
            another = self.make_store()
            tokens.append(await self._token(another, name))
            tokens.append(await self.in_thread(take))
            await another.aclose()
        assert tokens == sorted(set(tokens))

    @scenario
    async def test_a_token_stays_the_same_for_a_whole_turn(self, store: LockStore) -> None:
        name = self.conversation()
        async with store.lock(name, self.seconds(0.5), self.look, auto_renew=True) as lock:
            token = lock.fencing_token
            await asyncio.sleep(self.seconds(0.4))
            assert lock.fencing_token == token

    @scenario
    async def test_a_token_fits_what_stores_keep(self, store: LockStore) -> None:
        token = await self._token(store, self.conversation())
        assert token < 2**53  # exact as a double, and in every database's big integer


class Predecessor(StoreHarness):
    """How the turn before this one ended, so that a handler can repair."""

    async def _expect(self, store: LockStore, name: str, predecessor: str) -> None:
        async with store.lock(name, self.long, self.look) as lock:
            # A store that keeps nothing but numbers and expiries has no room for an outcome.
            expected = predecessor if self.keeps_records(store) else "none"
            assert lock.predecessor == expected

    @scenario
    async def test_none(self, store: LockStore) -> None:
        await self._expect(store, self.conversation(), "none")

    @scenario
    async def test_done(self, store: LockStore) -> None:
        name = self.conversation()
        async with store.lock(name):
            pass
        await self._expect(store, name, "done")
        await self._expect(store, name, "done")

    @scenario
    async def test_done_as_the_next_in_line_sees_it(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        waiter = await self.line_up(store, name)
        await holder.goes()
        await waiter.serves()
        assert waiter.held.predecessor == ("done" if self.keeps_records(store) else "none")
        await waiter.goes()

    @scenario
    async def test_failed(self, store: LockStore) -> None:
        name = self.conversation()
        with pytest.raises(KeyError):
            async with store.lock(name):
                raise KeyError
        await self._expect(store, name, "failed")
        await self._expect(store, name, "done")

    @scenario
    async def test_cancelled_is_failed(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        await holder.cancel()
        await self._expect(store, name, "failed")

    @scenario
    async def test_expired(self, store: LockStore) -> None:
        name = self.conversation()
        with quiet():
            holder = await self.enter(store, name, self.seconds(0.2))
            await self.until_lost(holder.held)
            await self._expect(store, name, "expired")
            await holder.goes()

    @scenario
    async def test_held_too_long_is_expired(self, store: LockStore) -> None:
        name = self.conversation()
        with quiet():
            holder = await self.enter(store, name, max_hold=self.seconds(0.1))
            await self.until_lost(holder.held)
            await self._expect(store, name, "expired")
            await holder.goes()

    @scenario
    async def test_released(self, store: LockStore) -> None:
        name = self.conversation()
        with quiet():
            holder = await self.enter(store, name)
            store.delete_lock(name)
            await self._expect(store, name, "released")
            await holder.goes()

    @scenario
    async def test_released_out_of_a_saved_picture(self, store: LockStore) -> None:
        name = self.conversation()
        with quiet():
            holder = await self.enter(store, name)
            picture = store.get_lock(name)
            assert picture is not None
            picture.remove_ticket_for(holder.held.ticket)
            store.save_lock(picture)
            await self._expect(store, name, "released")
            await holder.goes()

    @scenario
    async def test_a_waiter_that_left_is_nobodys_predecessor(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        quitter = await self.line_up(store, name)
        waiter = await self.line_up(store, name)
        await quitter.cancel()
        await holder.goes()
        await waiter.serves()
        assert waiter.held.predecessor == ("done" if self.keeps_records(store) else "none")
        await waiter.goes()

    def test_a_synchronous_holder_knows_it_too(self) -> None:
        with self.opened() as store:
            name = self.conversation()
            with pytest.raises(KeyError), store.lock(name):
                raise KeyError
            with store.lock(name) as lock:
                assert lock.predecessor == ("failed" if self.keeps_records(store) else "none")
