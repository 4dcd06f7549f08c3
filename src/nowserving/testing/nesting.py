"""A lock inside the same lock, and handlers that are serialized by a decorator."""

from __future__ import annotations

import asyncio
import functools
import inspect
import time
from typing import TYPE_CHECKING

import pytest

from nowserving.errors import LockLost, LockReentered, LockTimeout
from nowserving.protocol.status import LEASE_ENDED
from nowserving.testing.harness import (
    Overlaps,
    StoreHarness,
    quiet,
    scenario,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from nowserving.stores.base import LockStore


class Reentrancy(StoreHarness):
    """A task that asks for what it holds is told at once instead of waiting for itself."""

    @scenario
    async def test_a_nested_lock_is_an_error_at_once(self, store: LockStore) -> None:
        name = self.conversation()
        async with store.lock(name) as lock:
            with pytest.raises(LockReentered, match=name) as reentered:
                async with store.lock(name):
                    pytest.fail("the body ran")
            assert reentered.value.conversation_id == name
            assert reentered.value.number == lock.ticket
            assert self.numbers(store, name) == [lock.ticket]
            assert not lock.lost

    @scenario
    async def test_a_reentrant_lock_is_the_same_lock(self, store: LockStore) -> None:
        name = self.conversation()
        async with store.lock(name) as outer:
            for _ in range(2):
                async with store.lock(name, reentrant=True) as inner:
                    assert inner.ticket == outer.ticket
                    assert inner.fencing_token == outer.fencing_token
                    async with store.lock(name, reentrant=True):
                        assert self.numbers(store, name) == [outer.ticket]
                assert self.numbers(store, name) == [outer.ticket]
            assert not outer.lost
        assert self.numbers(store, name) == []

    @scenario
    async def test_an_error_inside_a_reentrant_lock_comes_out(self, store: LockStore) -> None:
        name = self.conversation()
        async with store.lock(name) as outer:
            with pytest.raises(KeyError):
                async with store.lock(name, reentrant=True):
                    raise KeyError
            assert self.numbers(store, name) == [outer.ticket]

    @scenario
    async def test_a_lock_is_not_entered_again_once_its_lease_has_ended(
        self, store: LockStore
    ) -> None:
        """The store was not asked yet, so nobody says that the ticket expired."""
        name = self.conversation()
        with quiet():
            async with store.lock(name, self.seconds(0.1)):
                time.sleep(self.seconds(0.15))  # noqa: ASYNC251 - nothing is asked meanwhile
                with pytest.raises(LockLost, match=LEASE_ENDED):
                    async with store.lock(name, reentrant=True):
                        pytest.fail("the body ran")

    @scenario
    async def test_a_lost_lock_is_not_entered_again(self, store: LockStore) -> None:
        name = self.conversation()
        with quiet():
            async with store.lock(name, self.seconds(0.1)) as outer:
                await self.until_lost(outer)
                with pytest.raises(LockLost, match=name):
                    async with store.lock(name, reentrant=True):
                        pytest.fail("the body ran")

    @scenario
    async def test_other_conversations_may_be_nested(self, store: LockStore) -> None:
        one, other = self.conversation(), self.conversation()
        async with store.lock(one), store.lock(other):
            assert self.numbers(store, one) == self.numbers(store, other) == [0]

    @scenario
    async def test_a_child_task_waits_like_everybody(self, store: LockStore) -> None:
        name = self.conversation()

        async def child() -> None:
            async with store.lock(
                name, self.long, self.look, reentrant=True, timeout=self.seconds(0.05)
            ):
                pytest.fail("the body ran")

        async with store.lock(name):
            with pytest.raises(LockTimeout):
                await asyncio.create_task(child())

    @scenario
    async def test_a_task_may_take_one_turn_after_another(self, store: LockStore) -> None:
        name = self.conversation()
        for _ in range(3):
            async with store.lock(name):
                pass

    def test_a_thread_is_told_too(self) -> None:
        with self.opened() as store:
            name = self.conversation()
            with store.lock(name) as outer:
                with pytest.raises(LockReentered), store.lock(name):
                    pytest.fail("the body ran")
                with store.lock(name, reentrant=True) as inner:
                    assert inner.ticket == outer.ticket
                assert self.numbers(store, name) == [outer.ticket]

    def test_it_may_be_allowed_on_the_store(self) -> None:
        async def play(_: object, store: LockStore) -> None:
            name = self.conversation()
            async with store.lock(name), store.lock(name):
                assert self.numbers(store, name) == [0]

        self.run(play, reentrant=True)


class Serialized(StoreHarness):
    """``store.serialized``."""

    @scenario
    async def test_a_handlers_calls_run_one_at_a_time_in_order(self, store: LockStore) -> None:
        name, inside = self.conversation(), Overlaps()

        @store.serialized("conversation_id", self.long, self.seconds(0.01))
        async def handle(text: int, conversation_id: str) -> int:
            """Handle it."""
            assert conversation_id == name
            with inside.visit(text):
                await asyncio.sleep(self.seconds(0.001))
            return text * 2

        assert inspect.iscoroutinefunction(handle)
        assert (handle.__name__, handle.__doc__) == ("handle", "Handle it.")
        results = await asyncio.gather(*(handle(i, conversation_id=name) for i in range(8)))
        assert results == [i * 2 for i in range(8)]
        assert inside.visits == list(range(8))

    @scenario
    async def test_the_key_may_be_a_function_of_the_arguments(self, store: LockStore) -> None:
        name = self.conversation()

        @store.serialized(key=lambda message: message["sender"])
        async def handle(message: dict[str, str]) -> list[int]:
            return self.numbers(store, message["sender"])

        assert await handle({"sender": name}) == [0]
        assert self.numbers(store, name) == []

    @scenario
    async def test_the_key_may_be_a_parameters_default(self, store: LockStore) -> None:
        name = self.conversation()

        @store.serialized(key="who")
        async def handle(who: str = name) -> list[int]:
            return self.numbers(store, who)

        assert await handle() == [0]

    def test_a_synchronous_handler(self) -> None:
        with self.opened() as store:
            name = self.conversation()

            @store.serialized(key="conversation_id")
            def handle(conversation_id: str) -> list[int]:
                return self.numbers(store, conversation_id)

            assert not inspect.iscoroutinefunction(handle)
            assert len(handle(name)) == len(handle(conversation_id=name)) == 1
            assert store.get_lock(name) is None

    @scenario
    async def test_the_arguments_of_lock_may_be_given(self, store: LockStore) -> None:
        name = self.conversation()
        ticket = store.issue_ticket(name)

        @store.serialized(key="conversation_id", timeout=0)
        async def handle(conversation_id: str) -> None:
            pytest.fail(f"the body ran for {conversation_id}")

        with pytest.raises(LockTimeout):
            await handle(name)
        store.finish_serving(name, ticket)

    @scenario
    async def test_an_error_of_the_handler_comes_out(self, store: LockStore) -> None:
        name = self.conversation()

        @store.serialized(key="conversation_id")
        async def handle(conversation_id: str) -> None:
            raise KeyError(conversation_id)

        with pytest.raises(KeyError):
            await handle(name)
        assert self.numbers(store, name) == []

    def test_a_key_that_is_no_parameter_is_an_error_when_it_is_decorated(self) -> None:
        with self.opened() as store:

            def handle(conversation_id: str) -> None:
                pytest.fail(conversation_id)

            with pytest.raises(TypeError, match=r"handle.*'sender'.*conversation_id"):
                store.serialized(key="sender")(handle)

    def test_a_generator_is_an_error_when_it_is_decorated(self) -> None:
        """Its body would run after the call, and so after the turn."""
        with self.opened() as store:

            def tokens(conversation_id: str) -> Iterator[str]:
                yield conversation_id

            async def atokens(conversation_id: str) -> AsyncIterator[str]:
                yield conversation_id

            for handler in (tokens, atokens, functools.partial(tokens)):
                with pytest.raises(TypeError, match=r"tokens.*around the loop.*task of its own"):
                    store.serialized(key="conversation_id")(handler)

    def test_a_wrong_argument_is_an_error_before_the_handler_runs(self) -> None:
        with self.opened() as store:

            @store.serialized(key="conversation_id")
            def handle(conversation_id: object) -> None:
                pytest.fail(f"the body ran for {conversation_id}")

            with pytest.raises(TypeError, match="conversation_id"):
                handle(5)
            with pytest.raises(TypeError):
                handle()  # type: ignore[call-arg]
