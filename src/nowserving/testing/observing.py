"""``store.observe()``: what observers are told, beside the law that every scenario is held to."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
from typing import TYPE_CHECKING

import pytest

from nowserving.errors import DuplicateMessage, LockBusy, LockTimeout
from nowserving.instrumentation.observer import Observer
from nowserving.testing.harness import StoreHarness, log_records, policy, quiet, scenario
from nowserving.testing.turn_log import TurnLog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from nowserving.instrumentation.observer import TicketEvent
    from nowserving.stores.base import LockStore

_request = contextvars.ContextVar("_request", default="nobody's")


class _InContext(Observer):
    """Notes in whose context it is called."""

    def __init__(self) -> None:
        self.contexts: list[str] = []

    def asked(self, event: TicketEvent) -> None:  # noqa: ARG002 - the interface
        self.contexts.append(_request.get())

    def lost(self, event: TicketEvent) -> None:  # noqa: ARG002
        self.contexts.append(_request.get())

    def left(self, event: TicketEvent) -> None:  # noqa: ARG002
        self.contexts.append(_request.get())


class _Failing(Observer):
    """Breaks in everything."""

    def asked(self, event: TicketEvent) -> None:
        raise RuntimeError(event)

    served = lost = left = asked


class Observing(StoreHarness):
    """What becomes of a turn, told."""

    @scenario
    async def test_a_turn_is_told_from_beginning_to_end(self, store: LockStore) -> None:
        name, told = self.conversation(), TurnLog()
        store.observe(told)
        async with store.lock(name) as lock:
            assert told.kinds(name) == [["asked", "served"]]
        assert told.kinds(name) == [["asked", "served", "left"]]
        served, left = told.last(name, "served"), told.last(name, "left")
        assert (served.number, served.token) == (lock.ticket, lock.fencing_token)
        assert served.waited == pytest.approx(lock.waited)
        assert (left.outcome, left.turn, left.reason) == ("done", served.turn, "")
        assert left.held is not None
        assert left.held >= 0

    @policy(message_id="m")
    async def test_those_who_wait_are_told_with_their_place(self, store: LockStore) -> None:
        name, told = self.conversation(), TurnLog()
        store.observe(told)
        holder = await self.enter(store, name)
        first = await self.line_up(store, name, message_id="m1", label="first")
        second = await self.line_up(store, name)
        await self.until(lambda: told.kinds(name)[1:] == [["asked", "waiting"]] * 2)
        assert told.last(name, "waiting").ahead == 2
        for visitor in (holder, first, second):
            await visitor.serves()
            await visitor.goes()
        turns = list(told.turns)
        served = told.last(name, "served")
        assert served.after == turns[1]
        assert served.handoff is not None
        assert 0 <= served.handoff <= served.waited
        assert served.predecessor == "done"
        _, first_served = told.turns[turns[1]][2]
        assert (first_served.message_id, first_served.label) == ("m1", "first")

    @scenario
    async def test_how_a_body_ended_is_told(self, store: LockStore) -> None:
        name, told = self.conversation(), TurnLog()
        store.observe(told)
        with pytest.raises(KeyError):
            async with store.lock(name):
                raise KeyError
        assert told.last(name, "left").outcome == "failed"

    @policy(when_busy="reject")
    async def test_a_refusal_is_told_with_its_reason(self, store: LockStore) -> None:
        name, told = self.conversation(), TurnLog()
        store.observe(told)
        holder = await self.enter(store, name, message_id="m")
        for reason, kind, options in (
            ("busy", LockBusy, {"when_busy": "reject"}),
            ("full", LockBusy, {"max_waiting": 0}),
            ("duplicate", DuplicateMessage, {"message_id": "m"}),
        ):
            error = await self.visitor(store, name, **options).end()
            assert isinstance(error, kind)
            assert told.last(name, "refused").reason == reason
        with pytest.raises(LockBusy):
            await store.take_ticket(name, when_busy="reject")
        (refused,) = told.issued
        assert (refused.conversation_id, refused.reason) == (name, "busy")
        assert told.kinds(name)[1:] == [["asked", "refused"]] * 3
        await holder.goes()

    @scenario
    async def test_a_wait_that_ends_without_a_turn_is_told(self, store: LockStore) -> None:
        name, told = self.conversation(), TurnLog()
        store.observe(told)
        holder = await self.enter(store, name)
        with pytest.raises(LockTimeout):
            async with store.lock(name, timeout=self.seconds(0.1)):
                pytest.fail("the body ran")
        assert told.last(name, "left").outcome == "timeout"
        waiter = await self.line_up(store, name)
        await waiter.cancel()
        assert told.last(name, "left").outcome == "abandoned"
        assert told.last(name, "left").held is None
        await holder.goes()

    @policy(when_busy="latest")
    async def test_each_way_out_of_a_line_is_told(self, store: LockStore) -> None:
        name, told = self.conversation(), TurnLog()
        store.observe(told)
        holder = await self.enter(store, name)
        superseded = await self.line_up(store, name)
        absorbed = await self.line_up(store, name, when_busy="latest")
        await superseded.end()
        await holder.held.absorb()
        released = await self.line_up(store, name)
        number = max(self.numbers(store, name))
        assert await store.release(name, number, "asked to")
        await released.end()
        await holder.goes()
        await absorbed.end()
        ends = [kinds[-1] for kinds in told.kinds(name)]
        assert ends == ["left", "superseded", "absorbed", "released"]
        assert told.last(name, "released").reason == "asked to"

    @policy(when_busy="reject")
    async def test_a_loss_is_told_before_the_end(self, store: LockStore) -> None:
        name, told = self.conversation(), TurnLog()
        store.observe(told)
        holder = await self.enter(store, name)
        with quiet():
            assert await store.release(name, reason="it is stuck")
            await self.until(lambda: told.kinds(name) == [["asked", "served", "lost"]])
            await holder.goes()
        assert told.kinds(name) == [["asked", "served", "lost", "left"]]
        assert "it is stuck" in told.last(name, "lost").reason

    @policy(when_busy="interrupt")
    async def test_an_interruption_is_told_as_the_outcome(self, store: LockStore) -> None:
        name, told = self.conversation(), TurnLog()
        store.observe(told)
        holder = await self.enter(store, name)
        newest = await self.line_up(store, name, when_busy="interrupt")
        await holder.end()
        await newest.serves()
        assert told.last(name, "left").outcome == "interrupted"
        assert told.last(name, "served").predecessor == "interrupted"
        await newest.goes()

    @policy(when_busy="reject")
    async def test_an_observer_is_called_in_the_context_of_the_turn(self, store: LockStore) -> None:
        name, told = self.conversation(), _InContext()
        store.observe(told)

        async def turn() -> None:
            _request.set("the request's")
            async with store.lock(name, self.long) as lock:
                await store.release(name)
                await self.until(lambda: lock.lost)

        with quiet():
            await asyncio.create_task(turn())
        assert told.contexts == ["the request's"] * 3

    @scenario
    async def test_a_thread_s_turn_is_told(self, store: LockStore) -> None:
        name, told = self.conversation(), TurnLog()
        store.observe(told)
        await self.in_thread(lambda: self.drop_in(store, name))
        assert told.kinds(name) == [["asked", "served", "left"]]

    @scenario
    async def test_one_that_fails_is_logged_and_breaks_nothing(self, store: LockStore) -> None:
        name, told = self.conversation(), TurnLog()
        store.observe(_Failing())
        store.observe(told)
        with log_records(logging.ERROR) as records:
            async with store.lock(name):
                pass
        assert told.kinds(name) == [["asked", "served", "left"]]
        assert [record.name for record in records] == ["nowserving.observers"] * 3

    @scenario
    async def test_who_stops_is_told_to_the_end_of_what_has_begun(self, store: LockStore) -> None:
        name, other, told = self.conversation(), self.conversation(), TurnLog()
        with store.observe(told) as observation:
            holder = await self.enter(store, name)
        async with store.lock(other):
            await holder.goes()
        observation.stop()
        assert told.kinds(name) == [["asked", "served", "left"]]
        assert told.kinds(other) == []

    @scenario
    async def test_who_comes_later_is_told_of_later_turns_only(self, store: LockStore) -> None:
        name, told = self.conversation(), TurnLog()
        async with store.lock(name):
            store.observe(told)
        async with store.lock(name):
            pass
        assert told.kinds(name) == [["asked", "served", "left"]]

    @scenario
    async def test_a_turn_that_is_collected_is_told_to_have_ended(self, store: LockStore) -> None:
        name, told = self.conversation(), TurnLog()
        store.observe(told)

        async def suspended() -> AsyncIterator[None]:
            async with store.lock(name):
                yield

        async def begin() -> None:
            await suspended().__anext__()

        await asyncio.create_task(begin())
        gc.collect()
        await self.until(lambda: told.kinds(name) == [["asked", "served", "left"]])

    @scenario
    async def test_a_turn_inside_another_is_none_of_its_own(self, store: LockStore) -> None:
        name, told = self.conversation(), TurnLog()
        store.observe(told)
        async with store.lock(name), store.lock(name, reentrant=True):
            pass
        assert told.kinds(name) == [["asked", "served", "left"]]

    @scenario
    async def test_what_is_no_observer_is_refused(self, store: LockStore) -> None:
        with pytest.raises(TypeError, match=r"nowserving\.Observer"):
            store.observe(print)  # type: ignore[arg-type]
