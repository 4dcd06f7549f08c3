"""``message_id``: webhooks are redelivered, and a message must not be handled twice."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from nowserving.errors import DuplicateMessage, LockError, LockTimeout
from nowserving.testing.harness import (
    StoreHarness,
    policy,
    quiet,
)

if TYPE_CHECKING:
    from nowserving.stores.base import LockStore

_NAMES_OF_MESSAGES = ("a", "a b", "a:b", "done 5", "-", "🦄", "\ud800", "x" * 10_000)


class Messages(StoreHarness):
    """A message that is known is not taken again."""

    async def _state(self, store: LockStore, name: str, message_id: str = "m", **more: Any) -> str:
        with pytest.raises(DuplicateMessage, match=name) as duplicate:
            async with store.lock(name, self.long, self.look, message_id=message_id, **more):
                pytest.fail("the body ran")
        assert duplicate.value.conversation_id == name
        return duplicate.value.state

    @policy(message_id="m")
    async def test_a_message_is_known_while_it_waits_works_and_afterwards(
        self, store: LockStore
    ) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        waiter = await self.line_up(store, name, message_id="m")
        assert await self._state(store, name) == "waiting"
        await holder.goes()
        await waiter.serves()
        assert await self._state(store, name) == "working"
        await waiter.goes()
        assert await self._state(store, name) == "done"
        assert await self._state(store, name, timeout=0) == "done"

    @policy(message_id="m")
    async def test_other_messages_are_not_held_up(self, store: LockStore) -> None:
        name, other = self.conversation(), self.conversation()
        async with store.lock(name, message_id="m"):
            async with store.lock(other, message_id="m", timeout=0):
                pass
            waiter = await self.line_up(store, name, message_id="n")
            unnamed = await self.line_up(store, name)
        for visitor in (waiter, unnamed):
            await visitor.serves()
            await visitor.goes()

    @policy(message_id="m")
    async def test_a_message_may_come_again_after_one_lifetime(self, store: LockStore) -> None:
        name = self.conversation()
        async with store.lock(name, self.seconds(0.3), message_id="m"):
            pass
        assert await self._state(store, name) == "done"
        await asyncio.sleep(self.seconds(0.4))
        async with store.lock(name, self.seconds(0.3), message_id="m"):
            pass
        assert await self._state(store, name) == "done"

    @policy(message_id="m")
    async def test_a_message_is_forgotten_also_in_a_busy_conversation(
        self, store: LockStore
    ) -> None:
        name = self.conversation()
        async with store.lock(name, self.seconds(0.3), message_id="m"):
            pass
        holder = await self.enter(store, name)
        await asyncio.sleep(self.seconds(0.4))
        waiter = await self.line_up(store, name, message_id="m")
        await holder.goes()
        await waiter.serves()
        await waiter.goes()

    @policy(message_id="m")
    async def test_a_message_is_forgotten_before_one_of_a_longer_lifetime(
        self, store: LockStore
    ) -> None:
        name = self.conversation()
        for message_id, lifetime in (
            ("long", self.long),
            ("m", self.seconds(0.3)),
            ("longer", 2 * self.long),
        ):
            async with store.lock(name, lifetime, message_id=message_id):
                pass
        assert await self._state(store, name) == "done"
        await asyncio.sleep(self.seconds(0.4))
        async with store.lock(name, self.seconds(0.3), message_id="m"):
            pass
        for message_id in ("long", "m", "longer"):
            assert await self._state(store, name, message_id) == "done"

    @policy(message_id="m", remember_for=1.0)
    async def test_a_message_is_remembered_for_longer_than_a_lifetime(
        self, store: LockStore
    ) -> None:
        name, short = self.conversation(), self.seconds(0.2)
        for message_id, lasts in (("m", self.long), ("n", self.seconds(0.3))):
            async with store.lock(name, short, message_id=message_id, remember_for=lasts):
                pass
        await asyncio.sleep(self.seconds(0.4))
        assert await self._state(store, name) == "done"
        async with store.lock(name, message_id="n"):
            pass

    @policy(message_id="m", remember_for=1.0)
    async def test_a_message_is_remembered_for_less_than_a_lifetime(self, store: LockStore) -> None:
        name = self.conversation()
        async with store.lock(name, message_id="m", remember_for=self.seconds(0.2)):
            pass
        assert await self._state(store, name) == "done"
        await asyncio.sleep(self.seconds(0.3))
        async with store.lock(name, message_id="m"):
            pass

    @policy(message_id="m", remember_for=1.0)
    async def test_whoever_redeems_a_ticket_may_say_for_how_long(self, store: LockStore) -> None:
        name = self.conversation()
        for message_id, remember_for in (("m", None), ("n", self.seconds(0.2))):
            issued = await store.take_ticket(
                name, self.seconds(0.2), message_id=message_id, remember_for=self.long
            )
            async with store.lock(
                name, self.seconds(0.2), ticket=issued, remember_for=remember_for
            ):
                pass
        await asyncio.sleep(self.seconds(0.3))
        assert await self._state(store, name) == "done"
        async with store.lock(name, message_id="n"):
            pass

    @policy(message_id="m", remember_for=1.0)
    async def test_what_is_remembered_outlives_delete_lock(self, store: LockStore) -> None:
        name = self.conversation()
        async with store.lock(name, message_id="m", remember_for=self.long):
            pass
        store.delete_lock(name)
        assert await self._state(store, name) == "done"
        assert self.numbers(store, name) == []

    @policy(message_id="m")
    async def test_a_message_that_failed_may_come_again(self, store: LockStore) -> None:
        name = self.conversation()
        with pytest.raises(KeyError):
            async with store.lock(name, message_id="m"):
                raise KeyError
        async with store.lock(name, message_id="m"):
            pass

    @policy(message_id="m")
    async def test_a_message_that_was_cancelled_may_come_again(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name, message_id="m")
        await holder.cancel()
        holder = await self.enter(store, name)
        waiter = await self.line_up(store, name, message_id="m")
        await waiter.cancel()
        await holder.goes()
        async with store.lock(name, message_id="m"):
            pass

    @policy(message_id="m")
    async def test_a_message_that_expired_may_come_again(self, store: LockStore) -> None:
        name = self.conversation()
        with quiet():
            holder = await self.enter(store, name, self.seconds(0.2), message_id="m")
            await self.until_lost(holder.held)
            await holder.goes()
        holder = await self.enter(store, name)
        waiter = await self.line_up(store, name, self.seconds(0.2), message_id="m")
        assert type(await waiter.end()) is LockError
        again = await self.line_up(store, name, message_id="m")
        await holder.goes()
        await again.serves()
        await again.goes()

    @policy(message_id="m")
    async def test_a_message_that_came_again_is_not_forgotten_with_the_first(
        self, store: LockStore
    ) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        expired = await self.line_up(store, name, self.seconds(0.1), message_id="m")
        assert type(await expired.end()) is LockError
        between = await self.line_up(store, name)
        again = await self.line_up(store, name, message_id="m")
        await holder.goes()
        await between.serves()
        assert await self._state(store, name) == "waiting"
        await between.goes()
        await again.serves()
        assert await self._state(store, name) == "working"
        await again.goes()

    @policy(message_id="m")
    async def test_a_message_that_timed_out_may_come_again(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        for _ in range(2):
            with pytest.raises(LockTimeout):
                async with store.lock(name, message_id="m", timeout=0):
                    pytest.fail("the body ran")
        await holder.goes()

    @policy(message_id="m")
    async def test_a_message_that_was_superseded_may_come_again(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        waiter = await self.line_up(store, name, message_id="m")
        latest = await self.line_up(store, name, when_busy="latest", message_id="n")
        await waiter.end()
        again = await self.line_up(store, name, message_id="m")
        for visitor in (holder, latest, again):
            await visitor.serves()
            await visitor.goes()
        assert await self._state(store, name, "m") == "done"
        assert await self._state(store, name, "n") == "done"

    @policy(message_id="m")
    async def test_a_message_that_was_interrupted_may_come_again(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name, message_id="m")
        async with store.lock(name, self.long, self.look, when_busy="interrupt"):
            pass
        await holder.end()
        async with store.lock(name, message_id="m"):
            pass

    @policy(message_id="m")
    async def test_a_message_that_was_released_may_come_again(self, store: LockStore) -> None:
        name = self.conversation()
        with quiet():
            holder = await self.enter(store, name, message_id="m")
            store.delete_lock(name)
            async with store.lock(name, message_id="m"):
                pass
            await holder.goes()

    @policy(message_id="m")
    async def test_a_redelivery_supersedes_nobody(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name, message_id="m")
        waiter = await self.line_up(store, name, message_id="n")
        for when_busy in ("latest", "interrupt"):
            assert await self._state(store, name, "m", when_busy=when_busy) == "working"
            assert await self._state(store, name, "n", when_busy=when_busy) == "waiting"
        await asyncio.sleep(self.seconds(0.02))
        for visitor in (holder, waiter):
            await visitor.serves()
            await visitor.goes()

    @policy(message_id="m")
    async def test_messages_have_any_name(self, store: LockStore) -> None:
        name = self.conversation()
        for message_id in _NAMES_OF_MESSAGES:
            async with store.lock(name, message_id=message_id):
                pass
        for message_id in _NAMES_OF_MESSAGES:
            assert await self._state(store, name, message_id) == "done"

    @policy(message_id="m")
    async def test_many_messages_of_one_conversation(self, store: LockStore) -> None:
        name = self.conversation()
        for message in range(60):
            async with store.lock(name, message_id=f"m{message}"):
                pass
        for message in range(60):
            assert await self._state(store, name, f"m{message}") == "done"

    @policy(message_id="m")
    async def test_synchronous_callers_and_other_stores_know_it_too(self, store: LockStore) -> None:
        name, other = self.conversation(), self.another(store)

        def deliver() -> None:
            with other.lock(name, self.long, self.look, message_id="m"):
                pytest.fail("the body ran")

        async with store.lock(name, message_id="m"):
            with pytest.raises(DuplicateMessage) as duplicate:
                await asyncio.wait_for(self.in_thread(deliver), self.soon)
            assert duplicate.value.state == "working"
        if other is not store:
            await other.aclose()

    @policy(message_id="m")
    async def test_a_message_of_an_issued_ticket_is_known(self, store: LockStore) -> None:
        name = self.conversation()
        number = await store.take_ticket(name, message_id="m")
        with pytest.raises(DuplicateMessage):
            await store.take_ticket(name, message_id="m")
        async with store.lock(name, ticket=number):
            assert await self.in_thread(lambda: self._state_in_thread(store, name)) == "working"
        assert await self._state(store, name) == "done"

    @policy(message_id="m")
    async def test_a_ticket_may_be_redeemed_with_the_message_it_was_issued_for(
        self, store: LockStore
    ) -> None:
        name = self.conversation()
        number = await store.take_ticket(name, message_id="m")
        async with store.lock(name, ticket=number, message_id="m"):
            pass
        assert await self._state(store, name) == "done"

    @policy(message_id="m")
    async def test_a_message_may_be_named_when_its_ticket_is_redeemed(
        self, store: LockStore
    ) -> None:
        name = self.conversation()
        number, second = await store.take_ticket(name), await store.take_ticket(name)
        async with store.lock(name, ticket=number, message_id="m"):
            with pytest.raises(DuplicateMessage):
                await asyncio.wait_for(
                    asyncio.create_task(self._redeem(store, name, second)), self.soon
                )
        assert await self._state(store, name) == "done"
        store.delete_lock(name)

    @policy(message_id="m")
    async def test_a_message_done_long_ago_may_be_redeemed(self, store: LockStore) -> None:
        name = self.conversation()
        async with store.lock(name, self.seconds(0.2), message_id="m"):
            pass
        await asyncio.sleep(self.seconds(0.3))
        number = await store.take_ticket(name)
        async with store.lock(name, ticket=number, message_id="m"):
            pass

    @policy(message_id="m")
    async def test_no_message_is_stuck_when_a_ticket_is_redeemed_under_another_name(
        self, store: LockStore
    ) -> None:
        name = self.conversation()
        number = await store.take_ticket(name, message_id="first")
        async with store.lock(name, self.long, self.look, ticket=number, message_id="second"):
            pass
        assert await self._state(store, name, "second") == "done"
        try:
            async with store.lock(name, message_id="first"):
                pass
        except DuplicateMessage as duplicate:
            assert duplicate.state == "done"  # noqa: PT017 - one of two good ends

    async def _redeem(self, store: LockStore, name: str, number: int) -> None:
        async with store.lock(name, self.long, self.look, ticket=number, message_id="m"):
            pytest.fail("the body ran")

    def _state_in_thread(self, store: LockStore, name: str) -> str:
        with (
            pytest.raises(DuplicateMessage) as duplicate,
            store.lock(name, self.long, self.look, message_id="m"),
        ):
            pytest.fail("the body ran")
        return duplicate.value.state
