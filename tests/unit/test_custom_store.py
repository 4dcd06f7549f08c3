"""A custom store of three methods whose storage fails, and one whose numbers begin again."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from nowserving import IssuedTicket, LockError, LockStore, StoreUnavailable, TicketLock
from nowserving._config.options import NAMES
from nowserving.protocol.queue import status_of
from nowserving.protocol.status import Admission, State
from nowserving.testing.harness import SOON, log_records, quiet, until
from nowserving.testing.visitor import Visitor

if TYPE_CHECKING:
    from nowserving._turns.turn import Turn
    from nowserving.protocol.queue import TicketQueue


class Shards(LockStore):
    """A custom store over a dict; the conversations in ``down`` can't be reached."""

    def __init__(self) -> None:
        super().__init__()
        self.saved: dict[str, str] = {}
        self.down: set[str] = set()

    def _reach(self, conversation_id: str) -> None:
        if conversation_id in self.down:
            raise OSError("shard 7 is down")

    def get_lock(self, conversation_id: str) -> TicketLock | None:
        self._reach(conversation_id)
        text = self.saved.get(conversation_id)
        return None if text is None else TicketLock.from_dict(json.loads(text))

    def save_lock(self, lock: TicketLock) -> None:
        self._reach(lock.conversation_id)
        self.saved[lock.conversation_id] = lock.dumps()

    def delete_lock(self, conversation_id: str) -> None:
        self._reach(conversation_id)
        self.saved.pop(conversation_id, None)


async def test_a_conversation_that_cannot_be_renewed_costs_no_other_its_lease() -> None:
    async with Shards() as store:
        names = ["a", "down", "b"]
        visitors = [Visitor(store, name, 0.45, auto_renew=True) for name in names]
        for visitor in visitors:
            await visitor.serves()
        store.down.add("down")
        with quiet():
            await asyncio.sleep(0.9)
            assert [visitor.held.lost for visitor in visitors] == [False, True, False]
            store.down.clear()
            for visitor in visitors:
                await visitor.goes()


async def test_every_place_has_its_own_error_of_a_renewal() -> None:
    async with Shards() as store:
        queue = store._runtime.queue
        handles = [queue.handle(name) for name in ("down", "a")]
        for handle in handles:
            await queue.take(handle, Admission(lifetime=60))
        store.down.add("down")
        failed, renewed = await queue.renew([(handle, 60) for handle in handles])
        assert isinstance(failed, StoreUnavailable)
        assert "'down'" in str(failed)
        assert "shard 7 is down" in str(failed)
        assert isinstance(failed.__cause__, OSError)
        assert not isinstance(renewed, Exception)
        assert renewed.state is State.SERVED


async def test_a_storage_that_fails_at_the_release_covers_no_error_of_the_body() -> None:
    async with Shards() as store:
        visitor = Visitor(store, "c")
        await visitor.serves()
        store.down.add("c")
        with quiet():
            await visitor.goes(raising=ValueError("the body's"))  # or it fails here
        store.down.clear()
        await until(lambda: not store.saved)


async def test_a_storage_that_fails_at_the_release_costs_no_success() -> None:
    async with Shards() as store:
        with log_records(logging.WARNING) as records:
            async with store.lock("c"):
                store.down.add("c")
        assert "shard 7 is down" in records[0].getMessage()
        store.down.clear()
        await until(lambda: not store.saved)


async def test_a_storage_that_fails_covers_no_cancellation() -> None:
    async with Shards() as store:
        holder, waiter = Visitor(store, "c"), Visitor(store, "c")
        await holder.serves()
        await until(lambda: waiter.in_line)
        store.down.add("c")
        with quiet():
            for visitor in (waiter, holder):
                visitor.task.cancel()
                await asyncio.wait({visitor.task})
                assert visitor.task.cancelled()
        store.down.clear()
        await until(lambda: not store.saved)


async def test_a_body_that_is_closed_while_the_storage_fails_is_closed_quietly() -> None:
    async with Shards() as store:

        async def stay() -> None:
            async with store.lock("c"):
                await asyncio.Event().wait()

        body = stay()
        body.send(None)
        store.down.add("c")
        body.close()
        store.down.clear()
        await until(lambda: not store.saved)


def test_a_thread_gives_back_later_what_the_storage_would_not_take() -> None:
    with Shards() as store:
        with quiet(), store.lock("c"):
            store.down.add("c")
        store.down.clear()
        deadline = time.monotonic() + SOON
        while store.saved and time.monotonic() < deadline:
            time.sleep(0.002)
        assert not store.saved


async def test_a_ticket_of_which_the_storage_said_that_it_failed_is_given_back() -> None:
    class Late(Shards):
        def save_lock(self, lock: TicketLock) -> None:
            super().save_lock(lock)
            if lock.tickets:
                raise TimeoutError  # it has no words of its own

    async with Late() as store:
        with pytest.raises(StoreUnavailable, match="'c' failed: TimeoutError"):
            async with store.lock("c"):
                pytest.fail("the body ran")
        assert not store.saved


def test_a_storage_that_fails_says_why_to_whoever_takes_a_ticket() -> None:
    with Shards() as store:
        store.down.add("c")
        with pytest.raises(LockError, match=r"^Error while acquiring lock. Error:\n.*shard 7"):
            store.issue_ticket("c")
        with pytest.raises(StoreUnavailable, match=r"'c'.*shard 7 is down"), store.lock("c"):
            pytest.fail("the body ran")
        for call in (store.update_lock, lambda name: store.cleanup(name, 0)):
            with pytest.raises(OSError, match=r"^shard 7 is down$"):
                call("c")


async def test_a_holder_that_outlived_its_ticket_touches_none_with_the_same_number() -> None:
    async with Shards() as store:
        outlived = Visitor(store, "c", 0.1)
        await outlived.serves()
        await asyncio.sleep(0.15)
        stranger = Visitor(store, "c", 60)
        assert (await stranger.serves()).ticket == outlived.held.ticket == 0
        next_one = Visitor(store, "c", 60)
        await until(lambda: next_one.in_line)
        with quiet():
            await outlived.goes()
        assert outlived.held.lost
        await asyncio.sleep(0.1)  # the next one has polled
        assert next_one.lock is None
        assert not stranger.held.lost
        for visitor in (stranger, next_one):
            await visitor.serves()
            await visitor.goes()


async def test_a_number_that_came_again_is_gone_for_whoever_had_it_before() -> None:
    async with Shards() as store:
        queue = store._runtime.queue
        before, after = queue.handle("c"), queue.handle("c")
        await queue.take(before, Admission(lifetime=0.01))
        await asyncio.sleep(0.02)
        await queue.take(after, Admission(lifetime=60))
        assert before.number == after.number
        (renewed,) = await queue.renew([(before, 3600)])
        assert renewed == await status_of(queue, before)
        assert (await status_of(queue, before)).state is State.GONE
        assert (await queue.leave(before, "done")).left is False
        still = await status_of(queue, after)
        assert still.state is State.SERVED
        assert still.expires_in <= 60
        assert (await queue.leave(after, "done")).left is True


def test_threads_that_are_first_to_use_a_store_without_our_init_share_one_line() -> None:
    class Mine(Shards):
        def __init__(self) -> None:
            self.saved, self.down = {}, set()

        def _make_queue(self) -> TicketQueue[Any]:
            if threading.current_thread() is slow:
                is_making.set()
                may_go_on.wait(5)
            return super()._make_queue()

    def ask() -> None:
        turns.append(store.lock("c"))

    is_making, may_go_on, store = threading.Event(), threading.Event(), Mine()
    turns: list[Turn] = []
    slow = threading.Thread(target=ask, daemon=True)
    slow.start()
    assert is_making.wait(5)
    ask()
    may_go_on.set()
    slow.join(5)
    assert len(turns) == 2
    assert turns[0]._runtime is turns[1]._runtime is store._runtime
    store.close()


_NEED_NO_DECISION = {
    *{"lock_lifetime", "wait_time_in_seconds", "auto_renew", "timeout", "max_hold"},
    *{"on_lost", "on_expiring", "reentrant"},
}
_NEED_A_DECISION: dict[str, dict[str, Any]] = {
    "when_busy": {"when_busy": "latest"},
    "max_waiting": {"max_waiting": 3},
    "when_full": {"when_full": "drop_oldest"},
    "settle": {"settle": 1.0},
    "settle_max": {"settle": 1.0, "settle_max": 2.0},
    "ticket": {"ticket": 0},
    "message_id": {"message_id": "m"},
    "remember_for": {"remember_for": 1.0},
    "keep_place": {"ticket": 0, "timeout": 1.0, "keep_place": True},
    "label": {"label": "a trace"},
}


class Untouched(Shards):
    """A custom store that must not be asked for anything."""

    def _reach(self, conversation_id: str) -> None:
        pytest.fail(f"the storage of {conversation_id} was touched")


def test_every_option_is_known_to_need_a_decision_or_not() -> None:
    assert set(NAMES) == _NEED_NO_DECISION | _NEED_A_DECISION.keys()


@pytest.mark.parametrize("option", _NEED_A_DECISION)
async def test_what_needs_a_decision_is_refused_before_anything_is_touched(option: str) -> None:
    asked = _NEED_A_DECISION[option]
    async with Untouched() as store:
        with pytest.raises(LockError, match=f"{option}.*decides atomically"):
            async with store.lock("c", **asked):
                pytest.fail("the body ran")
        if asked.keys() <= inspect.signature(store.take_ticket).parameters.keys():
            with pytest.raises(LockError, match=f"{option}.*decides atomically"):
                await store.take_ticket("c", **asked)


async def test_what_an_operator_can_not_do_is_refused_before_anything_is_touched() -> None:
    async with Untouched() as store:
        for refused in (
            store.release("c"),
            store.release("c", 0, "a reason"),
            anext(aiter(store.conversations())),
            store.give_back("c", IssuedTicket(0, "secret")),
            store.renew_ticket("c", IssuedTicket(0, "secret"), 1.0),
        ):
            with pytest.raises(LockError, match=r"only.* get_lock, save_lock"):
                await refused


async def test_a_holder_can_not_absorb_and_holds_on() -> None:
    async with Shards() as store, store.lock("c") as lock:
        before = dict(store.saved)
        for asked in (lock.absorb, lock.news):
            with pytest.raises(LockError, match=r"absorb\(\) and news\(\).*decides atomically"):
                await asked()
        assert (store.saved, lock.lost, lock.absorbed, lock.superseded) == (before, False, (), ())
