"""Looking at a line from outside, and releasing whoever is in it: ``inspect`` and ``release``."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import pytest

from nowserving.errors import DuplicateMessage, LockError, LockLost, LockReleased, LockTimeout
from nowserving.protocol.status import RELEASED
from nowserving.testing.harness import StoreHarness, log_records, policy, scenario

if TYPE_CHECKING:
    from nowserving.stores.base import LockStore


class Operating(StoreHarness):
    """What an operator sees of a line, and does to it."""

    @scenario
    async def test_nobody_is_seen_where_nobody_is_in_line(self, store: LockStore) -> None:
        name = self.conversation()
        assert await store.inspect(name) is None
        async with store.lock(name):
            pass
        assert await store.inspect(name) is None

    @policy(label="of the call")
    async def test_everybody_in_line_is_seen_in_order(self, store: LockStore) -> None:
        name = self.conversation()
        began = time.time()
        holder = await self.enter(store, name, message_id="m-1", label="the holder")
        first = await self.line_up(store, name, message_id="m-2 \u00e9")
        second = await self.line_up(store, name, label="- a: trace/id \u00e9 \x00\n")
        line = await store.inspect(name)
        assert line is not None
        assert line.holder is not None
        assert (line.holder.label, line.holder.message_id) == ("the holder", "m-1")
        assert line.holder.number == holder.held.ticket
        assert [(one.label, one.message_id) for one in line.waiting] == [
            (None, "m-2 \u00e9"),
            ("- a: trace/id \u00e9 \x00\n", None),
        ]
        for one in (line.holder, *line.waiting):
            assert one.since == pytest.approx(began, abs=self.seconds(2.0))
            assert one.expires_in > 0
        for visitor in (holder, first, second):
            await visitor.serves()
            await visitor.goes()

    def test_a_label_of_the_store_is_that_of_calls_without_one(self) -> None:
        async def look(_: object, store: LockStore) -> None:
            name = self.conversation()
            holder = await self.enter(store, name)
            waiter = await self.line_up(store, name, label="the call's")
            issued = await store.take_ticket(name)
            other = await store.take_ticket(name, label="the ticket's")
            line = await store.inspect(name)
            assert line is not None
            assert line.holder is not None
            assert line.holder.label == "the store's"
            labels = ["the call's", "the store's", "the ticket's"]
            assert [ticket.label for ticket in line.waiting] == labels
            for ticket in (issued, other):
                assert await store.give_back(name, ticket)
            for visitor in (holder, waiter):
                await visitor.serves()
                await visitor.goes()

        with self.opened() as store:
            decides = self.guarantees(store).policies
        if decides:
            self.run(look, label="the store's")
        else:
            self.refused(label="the call's")

    @policy(label="issued")
    async def test_a_ticket_keeps_its_label_and_may_get_another(self, store: LockStore) -> None:
        name = self.conversation()
        for label in (None, "redeemed"):
            issued = await store.take_ticket(name, label="issued", message_id=f"of {label}")
            async with store.lock(name, ticket=issued, label=label):
                line = await store.inspect(name)
                assert line is not None
                assert line.holder is not None
                assert line.holder.label == (label or "issued")
                assert line.holder.message_id == f"of {label}"

    @policy(label="a")
    async def test_a_holder_that_is_released_is_told_why(self, store: LockStore) -> None:
        name = self.conversation()
        with log_records(logging.WARNING) as records:
            holder = await self.enter(store, name, message_id="m")
            waiter = await self.line_up(store, name)
            assert await store.release(name, reason="it hangs: \u00e9")
            await waiter.serves()
            assert waiter.held.predecessor == "released"
            await self.until_lost(holder.held)
            await holder.goes()
            await waiter.goes()
        (warning,) = [record.getMessage() for record in records]
        assert f": {RELEASED}: it hangs: \u00e9. " in warning
        async with store.lock(name, message_id="m"):
            pass  # its message is not known any more

    @policy(label="a")
    async def test_a_holder_finds_out_by_its_leave_why(self, store: LockStore) -> None:
        name = self.conversation()
        with log_records(logging.WARNING), pytest.raises(LockLost, match="because of me"):
            async with store.lock(name, self.long, self.long, on_lost="cancel") as lock:
                assert await store.release(name, lock.ticket, "because of me")

    @policy(label="a")
    async def test_a_waiter_that_is_released_is_told_why(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        waiter = await self.line_up(store, name, message_id="m")
        after = await self.line_up(store, name)
        with pytest.raises(DuplicateMessage):
            async with store.lock(name, message_id="m"):
                pytest.fail("the body ran")
        assert await store.release(name, holder.held.ticket + 1, "too late")
        error = await waiter.end()
        assert isinstance(error, LockReleased)
        assert error.reason == "too late"
        assert "too late" in str(error)
        assert not holder.held.lost
        await holder.goes()
        await after.serves()
        assert after.held.predecessor == "done"
        await after.goes()

    @policy(label="a")
    async def test_who_is_not_in_line_is_not_released(self, store: LockStore) -> None:
        name = self.conversation()
        assert not await store.release(name)
        async with store.lock(name) as lock:
            assert not await store.release(name, lock.ticket + 1)
            assert not await store.release(name, f"{lock.ticket}.wrong")
            assert not lock.lost
        assert not await store.release(name)

    @policy(label="a")
    async def test_an_issued_ticket_is_released(self, store: LockStore) -> None:
        name = self.conversation()
        issued = await store.take_ticket(name)
        behind = await self.line_up(store, name)
        assert await store.release(name, issued, "too old")
        await behind.serves()
        for _ in range(2):
            with pytest.raises(LockReleased, match="too old") as released:
                async with store.lock(name, ticket=issued):
                    pytest.fail("the body ran")
            assert released.value.reason == "too old"
        assert not await store.release(name, issued)
        assert not await store.give_back(name, issued)
        assert not await store.renew_ticket(name, issued, self.long)
        await behind.goes()
        other = await store.take_ticket(name)  # its number may be the same
        with pytest.raises(LockReleased):
            async with store.lock(name, ticket=issued):
                pytest.fail("the body ran")
        async with store.lock(name, ticket=other):
            pass

    @policy(label="a")
    async def test_a_place_that_was_kept_is_released(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        issued = await store.take_ticket(name)
        with pytest.raises(LockTimeout):
            async with store.lock(name, ticket=issued, timeout=0, keep_place=True):
                pytest.fail("the body ran")
        assert await store.release(name, issued, "too late")
        with pytest.raises(LockReleased, match="too late"):
            async with store.lock(name, ticket=issued):
                pytest.fail("the body ran")
        await holder.goes()

    @policy(label="a")
    async def test_a_conversation_is_listed(self, store: LockStore) -> None:
        name = self.conversation("one \u00e9")
        async with store.lock(name):
            assert name in [one async for one in store.conversations()]

    def test_a_thread_does_the_same(self) -> None:
        with self.opened() as store:
            if not self.guarantees(store).policies:
                with pytest.raises(LockError, match="atomically"):
                    store.blocking.release("a")
                with pytest.raises(LockError, match="atomically"):
                    store.blocking.conversations()
                return
            name = self.conversation()
            with log_records(logging.WARNING), store.lock(name, label="mine") as lock:
                line = store.blocking.inspect(name)
                assert line is not None
                assert line.holder is not None
                assert line.holder.label == "mine"
                assert name in store.blocking.conversations()
                assert store.blocking.release(name, reason="enough")
                end = time.monotonic() + self.limit
                while not lock.lost and time.monotonic() < end:
                    time.sleep(self.seconds(0.01))
                assert lock.lost

    @scenario
    async def test_wrong_arguments_are_refused(self, store: LockStore) -> None:
        with pytest.raises(ValueError, match="empty"):
            await store.inspect("")
        with pytest.raises(TypeError, match="conversation_id=7"):
            await store.release(7)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="200 bytes"):
            await store.release("a", reason="\u00e9" * 101)
        with pytest.raises(ValueError, match="200 bytes"):
            store.lock("a", label="\u00e9" * 101)
        with pytest.raises(ValueError, match="is not a ticket"):
            await store.release("a", "no ticket")
