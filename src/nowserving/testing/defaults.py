"""Lifetime and wait time may be set once on a store, like every other option; a call's own win."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from nowserving.protocol.status import IssuedTicket
from nowserving.testing.harness import StoreHarness

if TYPE_CHECKING:
    from nowserving.stores.base import LockStore


class StoreDefaults(StoreHarness):
    """What ``lock()`` without arguments means on a store with its own."""

    @property
    def _own(self) -> float:
        """Seconds that nothing else here is set to."""
        return self.seconds(17.0)

    @property
    def _tolerance(self) -> float:
        return self.seconds(3.0)

    def left(self, store: LockStore, conversation_id: str) -> float:
        """Return the seconds for which the last ticket of a line is good."""
        lock = store.get_lock(conversation_id)
        assert lock is not None
        return lock.tickets[-1].expires - time.time()

    def test_lock_lifetime_may_be_set_on_the_store(self) -> None:
        async def play(_: object, store: LockStore) -> None:
            name = self.conversation()

            @store.serialized("conversation_id")
            async def handle(conversation_id: str) -> float:
                return self.left(store, conversation_id)

            assert await handle(name) == pytest.approx(self._own, abs=self._tolerance)
            async with store.lock(name):
                assert self.left(store, name) == pytest.approx(self._own, abs=self._tolerance)
            number = store.issue_ticket(name)
            assert self.left(store, name) == pytest.approx(self._own, abs=self._tolerance)
            store.cleanup(name, number)
            ticket = await store.take_ticket(name)
            assert isinstance(ticket, IssuedTicket)
            assert self.left(store, name) == pytest.approx(self._own, abs=self._tolerance)
            store.cleanup(name, ticket)

        self.run(play, lock_lifetime=self._own)

    def test_a_lifetime_of_a_call_wins_over_the_stores(self) -> None:
        async def play(_: object, store: LockStore) -> None:
            name = self.conversation()
            # The default is a lifetime like any other to whoever says it.
            for lifetime in (60, 60.0, self.seconds(40.0)):
                async with store.lock(name, lifetime):
                    assert self.left(store, name) == pytest.approx(lifetime, abs=self._tolerance)
                number = store.issue_ticket(name, lifetime)
                assert self.left(store, name) == pytest.approx(lifetime, abs=self._tolerance)
                store.cleanup(name, number)

        self.run(play, lock_lifetime=self._own)

    def test_wait_time_in_seconds_may_be_set_on_the_store(self) -> None:
        async def play(_: object, store: LockStore) -> None:
            name = self.conversation()
            holder = await self.enter(store, name)
            asked = store.lock(name)
            # What it does is others' theme.
            assert asked._request.wait_time == self.look  # noqa: SLF001
            assert store.lock(name, self.long, 1)._request.wait_time == 1  # noqa: SLF001
            async with store.lock(self.conversation()):
                pass
            await holder.goes()
            await self.until(lambda: not self.numbers(store, name))

        self.run(play, wait_time_in_seconds=self.look)

    @pytest.mark.parametrize("option", ["lock_lifetime", "wait_time_in_seconds"])
    def test_a_wrong_duration_of_a_store_is_named(self, option: str) -> None:
        with pytest.raises(ValueError, match=f"{option}=-1"):
            self.make_store(**{option: -1})  # type: ignore[arg-type]
