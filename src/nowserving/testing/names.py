"""Every name is a lock of its own, and every wrong argument is a clear error."""

from __future__ import annotations

import asyncio
import json
import math
import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from nowserving.errors import DuplicateMessage
from nowserving.protocol.limits import LONGEST
from nowserving.testing.harness import StoreHarness, policy, scenario

if TYPE_CHECKING:
    from collections.abc import Callable

    from nowserving.stores.base import LockStore

NAMES = (
    "plain",
    "Plain",
    "a:b",
    "a;b",
    "a*",
    "a?",
    "a[b]",
    "a{b}",
    "{a}b",
    "{}",
    "}{",
    "a b",
    " a",
    "a ",
    " ",
    "\t",
    "\n",
    "a\nb",
    "a\x00b",
    "\x00",
    "-",
    "0",
    "-1",
    "*",
    "a/b",
    "../a",
    "a\\b",
    "%s%d{0}",
    "'\"`$(a)",
    "ünïcödé",
    "u\u0308",
    "\u00fc",
    "🦄",
    "👩‍👩‍👧",
    "\ud800",
    "\udc80",
    "a\ud800\x00\udfff",
    "nowserving",
    "lock:a",
    "next",
    "x" * 10_000,
    "x" * 9_999,
)
"""Names of conversations and messages that have broken something somewhere."""

_WRONG_SECONDS: tuple[tuple[object, type[Exception]], ...] = (
    (math.nan, ValueError),
    (math.inf, ValueError),
    (-math.inf, ValueError),
    (LONGEST + 1, ValueError),
    (sys.maxsize, ValueError),
    (-1, ValueError),
    (-0.001, ValueError),
    (True, TypeError),
    ("5", TypeError),
    ([1], TypeError),
)
_WRONG: dict[str, tuple[tuple[object, type[Exception]], ...]] = {
    "lock_lifetime": (*_WRONG_SECONDS, (0, ValueError), (None, TypeError)),
    "wait_time_in_seconds": (*_WRONG_SECONDS, (None, TypeError)),
    "timeout": _WRONG_SECONDS,
    "max_hold": (*_WRONG_SECONDS, (0, ValueError)),
    "settle": (*_WRONG_SECONDS, (0, ValueError)),
    "settle_max": (*_WRONG_SECONDS, (0, ValueError), (5, ValueError)),
    "remember_for": (*_WRONG_SECONDS, (0, ValueError), (604_801, ValueError)),
    "max_waiting": (
        (-1, ValueError),
        (1.5, TypeError),
        (math.nan, TypeError),
        (math.inf, TypeError),
        (True, TypeError),
        ("3", TypeError),
    ),
    "when_full": (("sometimes", ValueError), (None, ValueError), (["reject"], ValueError)),
    "when_busy": (("sometimes", ValueError), (None, ValueError), (["queue"], ValueError)),
    "on_lost": (("explode", ValueError), (None, ValueError)),
    "auto_renew": ((1, TypeError), ("yes", TypeError), (None, TypeError)),
    "reentrant": ((1, TypeError), ("no", TypeError), (None, TypeError)),
    "on_expiring": ((5, TypeError), ("print", TypeError)),
    "message_id": (("", TypeError), (5, TypeError), (b"m", TypeError)),
    "ticket": (
        ("", ValueError),
        ("one", ValueError),
        ("-1", ValueError),
        (-1, ValueError),
        (1.5, ValueError),
        (math.nan, ValueError),
        (True, ValueError),
        (b"1", ValueError),
    ),
    "surprise": ((1, TypeError),),
}
_WRONG_NAMES: tuple[tuple[object, type[Exception]], ...] = (
    ("", ValueError),
    (None, TypeError),
    (5, TypeError),
    (b"name", TypeError),
    (["name"], TypeError),
    (True, TypeError),
)
_WRONG_CASES = [
    pytest.param(name, value, kind, id=f"{name}={value!r}")
    for name, cases in _WRONG.items()
    for value, kind in cases
]


class Names(StoreHarness):
    """Conversations."""

    @scenario
    async def test_every_name_is_a_lock_of_its_own(self, store: LockStore) -> None:
        async with AsyncExitStack() as held:
            for name in NAMES:
                lock = await held.enter_async_context(store.lock(name, timeout=0))
                assert lock.conversation_id == name
                assert lock.ticket == 0
            for name in NAMES:
                stored = store.get_lock(name)
                assert stored is not None
                assert stored.conversation_id == name
                assert [ticket.number for ticket in stored.tickets] == [0]
                # Rasa writes locks as JSON.
                assert json.loads(stored.dumps())["conversation_id"] == name
        assert [store.get_lock(name) for name in NAMES] == [None] * len(NAMES)

    @scenario
    async def test_every_name_is_listed_as_it_is(self, store: LockStore) -> None:
        async with AsyncExitStack() as held:
            for name in NAMES:
                await held.enter_async_context(store.lock(name))
            found = [name async for name in store._runtime.queue.conversations()]  # noqa: SLF001
        listed = {ascii(name) for name in found}  # so that a failure can be printed
        if self.keeps_records(store):  # others may be there as well, from other tests
            assert listed >= {ascii(name) for name in NAMES}
        else:
            assert not listed

    @policy(message_id="m")
    async def test_every_message_id_is_a_message_of_its_own(self, store: LockStore) -> None:
        conversation_id = self.conversation()
        for message_id in NAMES:
            await store.take_ticket(conversation_id, message_id=message_id)
        for message_id in NAMES:
            with pytest.raises(DuplicateMessage):
                await store.take_ticket(conversation_id, message_id=message_id)
        store.delete_lock(conversation_id)

    @scenario
    async def test_waiters_are_woken_whatever_the_name(self, store: LockStore) -> None:
        async def pass_on(name: str) -> None:
            holder = await self.enter(store, name)
            waiter = await self.line_up(store, name)
            await holder.goes()
            await waiter.serves()
            await waiter.goes()

        for name in NAMES:
            await pass_on(name)

    @scenario
    async def test_the_synchronous_methods_take_every_name(self, store: LockStore) -> None:
        for name in NAMES:
            number = store.issue_ticket(name)
            assert store.is_someone_waiting(name)
            store.update_lock(name)
            lock = store.get_or_create_lock(name)
            store.save_lock(lock)
            store.finish_serving(name, number)
            store.cleanup(name, number)
            store.delete_lock(name)
            assert store.get_lock(name) is None

    def test_a_wrong_name_is_a_clear_error(self) -> None:
        with self.opened() as store:
            methods: list[Callable[[Any], object]] = [
                store.lock,
                store.get_lock,
                store.delete_lock,
                store.update_lock,
                store.get_or_create_lock,
                store.is_someone_waiting,
                lambda name: store.finish_serving(name, 0),
                lambda name: store.cleanup(name, 0),
                lambda name: asyncio.run(_consume(store.take_ticket(name))),
            ]
            if not self.keeps_records(store):  # its own methods are its author's
                methods = [store.lock, store.update_lock, *methods[-3:]]
            for name, kind in _WRONG_NAMES:
                if name == "" and self.takes_empty_names:
                    continue
                for method in methods:
                    with pytest.raises(kind, match="conversation_id"):
                        method(name)


class WrongArguments(StoreHarness):
    """Arguments of ``lock()``."""

    @pytest.mark.parametrize(("name", "value", "kind"), _WRONG_CASES)
    def test_a_wrong_argument_is_named_with_its_value(
        self, name: str, value: Any, kind: type[Exception]
    ) -> None:
        with self.opened() as store:
            conversation_id = self.conversation()
            with pytest.raises(kind, match=name) as wrong:
                store.lock(conversation_id, **{name: value})
            if name != "surprise":
                assert repr(value) in str(wrong.value)
            assert store.get_lock(conversation_id) is None

    @pytest.mark.parametrize("value", [math.nan, math.inf, 1e9, -1, True, "5", None])
    def test_a_wrong_drain_is_named(self, value: Any) -> None:
        with self.opened() as store:
            with pytest.raises((TypeError, ValueError), match="drain") as wrong:
                store.close(drain=value)
            assert repr(value) in str(wrong.value)
            with pytest.raises((TypeError, ValueError), match="drain"):
                asyncio.run(store.aclose(drain=value))

    @scenario
    async def test_wrong_arguments_of_take_ticket_are_named(self, store: LockStore) -> None:
        name = self.conversation()
        wrong: list[dict[str, Any]] = [
            {"lock_lifetime": math.nan},
            {"lock_lifetime": 0},
            {"lock_lifetime": LONGEST + 1},
            {"message_id": ""},
            {"max_waiting": -1},
            {"max_waiting": True},
            {"when_busy": "sometimes"},
            {"when_full": "sometimes"},
        ]
        for arguments in wrong:
            ((argument, value),) = arguments.items()
            with pytest.raises((TypeError, ValueError), match=argument) as error:
                await store.take_ticket(name, **arguments)
            assert repr(value) in str(error.value)
        assert store.get_lock(name) is None

    @pytest.mark.parametrize("number", [-1, 1.5, True, None, "one", math.nan])
    def test_a_wrong_ticket_number_is_named(self, number: Any) -> None:
        with self.opened() as store:
            name = self.conversation()
            for method in (store.finish_serving, store.cleanup):
                with pytest.raises((TypeError, ValueError), match="ticket") as wrong:
                    method(name, number)
                assert repr(number) in str(wrong.value)

    @pytest.mark.parametrize("option", ["surprise", "on_lost", "timeout"])
    def test_a_wrong_default_of_a_store_is_named(self, option: str) -> None:
        wrong: Any = {option: "nonsense"}
        with pytest.raises((TypeError, ValueError), match=option):
            self.make_store(**wrong)

    @scenario
    async def test_a_whole_number_is_a_time_too(self, store: LockStore) -> None:
        async with store.lock(
            self.conversation(),
            self.seconds(5),
            0,
            timeout=self.seconds(1),
            max_hold=self.seconds(4),
        ) as lock:
            assert not lock.lost

    @scenario
    async def test_the_longest_lifetime_leaves_a_lock_that_can_be_taken_again(
        self, store: LockStore
    ) -> None:
        name = self.conversation()
        for lifetime in (LONGEST, self.seconds(0.3)):
            holder = await self.enter(store, name, LONGEST)
            waiter = await self.line_up(store, name, lifetime, timeout=LONGEST)
            await holder.goes()
            await waiter.serves()
            await waiter.goes()
        assert store.issue_ticket(name, LONGEST) >= 0
        assert store.is_someone_waiting(name)
        store.delete_lock(name)

    @scenario
    async def test_looking_all_the_time_does_not_spin(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        waiter = await self.line_up(store, name, wait_time_in_seconds=0)
        await asyncio.sleep(self.look)
        await holder.goes()
        await waiter.serves()
        await waiter.goes()


async def _consume(awaitable: Any) -> object:
    return await awaitable
