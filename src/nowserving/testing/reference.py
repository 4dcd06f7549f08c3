"""The reference API's synchronous methods, as Rasa's tests and tools call them."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import time
from collections import deque
from typing import Any

import pytest

from nowserving.errors import LockError
from nowserving.lock import NO_TICKET_ISSUED, Ticket, TicketLock
from nowserving.stores.base import LOCK_LIFETIME, LockStore
from nowserving.testing.harness import StoreHarness, log_records, scenario


class ReferenceApi(StoreHarness):
    """What a tool that knows nothing but the reference page relies on."""

    def test_a_store_made_of_a_store_is_that_store(self) -> None:
        with self.opened() as store:
            assert LockStore.create(store) is store

    def test_an_unknown_conversation_has_no_lock(self) -> None:
        with self.opened() as store:
            name = self.conversation()
            assert store.get_lock(name) is None
            assert not store.is_someone_waiting(name)
            store.delete_lock(name)
            store.update_lock(name)
            store.cleanup(name, 0)
            store.finish_serving(name, 0)
            assert store.get_lock(name) is None

    def test_create_lock_stores_nothing(self) -> None:
        with self.opened() as store:
            name = self.conversation()
            lock = store.create_lock(name)
            assert (lock.conversation_id, list(lock.tickets)) == (name, [])
            assert store.get_lock(name) is None

    def test_get_or_create_lock_gives_an_empty_lock_or_the_stored_one(self) -> None:
        with self.opened() as store:
            name = self.conversation()
            assert list(store.get_or_create_lock(name).tickets) == []
            number = store.issue_ticket(name)
            assert [ticket.number for ticket in store.get_or_create_lock(name).tickets] == [number]
            store.cleanup(name, number)

    def test_a_saved_lock_can_be_fetched(self) -> None:
        with self.opened() as store:
            name = self.conversation()
            lock = store.create_lock(name)
            store.save_lock(lock)
            fetched = store.get_lock(name)
            assert fetched is not None
            assert (fetched.conversation_id, list(fetched.tickets)) == (name, [])

    def test_tickets_of_a_saved_lock_join_the_line(self) -> None:
        with self.opened() as store:
            name = self.conversation()
            lock = store.get_or_create_lock(name)
            assert [lock.issue_ticket(self.long), lock.issue_ticket(self.long)] == [0, 1]
            store.save_lock(lock)
            assert self.numbers(store, name) == [0, 1]
            assert store.issue_ticket(name) == 2
            store.delete_lock(name)

    def test_a_saved_lock_keeps_its_expiries(self) -> None:
        with self.opened() as store:
            name = self.conversation()
            expires = time.time() + self.seconds(30)
            store.save_lock(TicketLock(name, [Ticket(4, expires)]))
            lock = store.get_lock(name)
            assert lock is not None
            assert [ticket.number for ticket in lock.tickets] == [4]
            assert lock.tickets[0].expires == pytest.approx(expires, abs=self.seconds(1.0))
            store.delete_lock(name)

    def test_a_saved_lock_can_drop_its_tickets(self) -> None:
        with self.opened() as store:
            name = self.conversation()
            first, second = store.issue_ticket(name), store.issue_ticket(name)
            lock = store.get_lock(name)
            assert lock is not None
            lock.remove_ticket_for(first)
            store.save_lock(lock)
            assert self.numbers(store, name) == [second]
            store.cleanup(name, second)

    def test_a_saved_lock_can_extend_a_ticket(self) -> None:
        with self.opened() as store:
            name = self.conversation()
            store.issue_ticket(name, self.seconds(0.3))
            lock = store.get_lock(name)
            assert lock is not None
            lock.tickets[0].expires = time.time() + self.long
            store.save_lock(lock)
            time.sleep(self.seconds(0.4))
            assert self.numbers(store, name) == [0]
            store.delete_lock(name)

    def test_a_ticket_of_the_far_past_is_saved_as_expired(self) -> None:
        with self.opened() as store:
            name = self.conversation()
            first, second, third = (store.issue_ticket(name) for _ in range(3))
            lock = store.get_lock(name)
            assert lock is not None
            lock.tickets[1].expires, lock.tickets[2].expires = 0.0, -1e300
            store.save_lock(lock)
            assert self.numbers(store, name) == [first]
            store.cleanup(name, first)
            assert not self.numbers(store, name)
            with store.lock(name) as held:
                assert held.ticket not in {second, third} or not self.keeps_records(store)

    @pytest.mark.parametrize("unit", [1e3, 1e9, math.inf, math.nan])
    def test_a_ticket_of_the_far_future_is_named_and_nothing_saved(self, unit: float) -> None:
        with self.opened() as store:
            if not self.keeps_records(store):
                return  # what it saves is its author's affair
            name = self.conversation()
            lock = TicketLock(name, [Ticket(0, time.time() + 9), Ticket(1, time.time() * unit)])
            with pytest.raises(ValueError, match=rf"number=1,.*{name}.*in seconds") as wrong:
                store.save_lock(lock)
            assert repr(lock.tickets[1].expires) in str(wrong.value)
            assert store.get_lock(name) is None
            with store.lock(name):
                pass

    @pytest.mark.parametrize("number", [-1, 1.0, True, 2**53])
    def test_a_number_that_is_none_is_named_and_nothing_saved(self, number: Any) -> None:
        with self.opened() as store:
            if not self.keeps_records(store):
                return
            name, expires = self.conversation(), time.time() + 9
            with pytest.raises(ValueError, match=f"number={number}.*{name}"):
                store.save_lock(TicketLock(name, [Ticket(number, expires), Ticket(3, expires)]))
            assert store.get_lock(name) is None

    def test_a_lock_of_many_tickets_is_saved_whole(self) -> None:
        with self.opened() as store:
            name, expires = self.conversation(), time.time() + self.long
            many = list(range(9_000))
            store.save_lock(TicketLock(name, [Ticket(number, expires) for number in many]))
            assert self.numbers(store, name) == many
            lock = store.get_lock(name)
            assert lock is not None
            issued = store.issue_ticket(name)
            lock.tickets = deque([lock.tickets[0], lock.tickets[-1], Ticket(issued, expires)])
            store.save_lock(lock)
            assert self.numbers(store, name) == [0, 8_999, 9_000]
            store.delete_lock(name)

    def test_a_lock_travels_as_json(self) -> None:
        with self.opened() as store:
            name = self.conversation()
            store.issue_ticket(name)
            lock = store.get_lock(name)
            assert lock is not None
            data = json.loads(lock.dumps())
            assert data["conversation_id"] == name
            assert [json.loads(text)["number"] for text in data["tickets"]] == [0]
            assert TicketLock.from_dict(data).dumps() == lock.dumps()
            store.save_lock(TicketLock.from_dict(data))
            assert self.numbers(store, name) == [0]
            store.delete_lock(name)

    def test_tickets_are_numbered_from_zero(self) -> None:
        with self.opened() as store:
            name = self.conversation()
            numbers = [store.issue_ticket(name) for _ in range(5)]
            assert numbers == [0, 1, 2, 3, 4]
            assert self.numbers(store, name) == numbers
            store.delete_lock(name)

    def test_a_ticket_lives_for_its_lifetime(self) -> None:
        with self.opened() as store:
            name = self.conversation()
            before = time.time()
            store.issue_ticket(name)
            store.issue_ticket(name, self.seconds(5))
            lock = store.get_lock(name)
            assert lock is not None
            lives = [ticket.expires - before for ticket in lock.tickets]
            assert lives == pytest.approx([LOCK_LIFETIME, self.seconds(5)], abs=self.seconds(2.0))
            store.delete_lock(name)

    def test_the_first_ticket_is_served_and_the_others_wait(self) -> None:
        with self.opened() as store:
            name = self.conversation()
            first, second = store.issue_ticket(name), store.issue_ticket(name)
            lock = store.get_lock(name)
            assert lock is not None
            assert (lock.now_serving, lock.last_issued) == (first, second)
            assert not lock.is_locked(first)
            assert lock.is_locked(second)
            assert lock.is_someone_waiting()
            store.delete_lock(name)

    def test_someone_waits_while_there_is_a_live_ticket(self) -> None:
        with self.opened() as store:
            name = self.conversation()
            assert not store.is_someone_waiting(name)
            number = store.issue_ticket(name)
            assert store.is_someone_waiting(name)
            store.finish_serving(name, number)
            assert not store.is_someone_waiting(name)

    def test_an_empty_lock_stays_when_the_last_ticket_was_served(self) -> None:
        with self.opened() as store:
            name = self.conversation()
            number = store.issue_ticket(name)
            store.finish_serving(name, number)
            lock = store.get_lock(name)
            assert lock is not None
            assert list(lock.tickets) == []
            assert (lock.now_serving, lock.last_issued) == (0, NO_TICKET_ISSUED)
            store.cleanup(name, number)
            assert store.get_lock(name) is None

    def test_finish_serving_serves_the_next_ticket(self) -> None:
        with self.opened() as store:
            name = self.conversation()
            first, second = store.issue_ticket(name), store.issue_ticket(name)
            store.finish_serving(name, first)
            lock = store.get_lock(name)
            assert lock is not None
            assert lock.now_serving == second
            assert not lock.is_locked(second)
            store.finish_serving(name, second)

    def test_cleanup_keeps_a_lock_that_someone_waits_for(self) -> None:
        with self.opened() as store:
            name = self.conversation()
            first, second = store.issue_ticket(name), store.issue_ticket(name)
            store.cleanup(name, first)
            assert self.numbers(store, name) == [second]
            store.cleanup(name, second)
            assert store.get_lock(name) is None

    def test_delete_lock_removes_the_lock_with_its_tickets(self) -> None:
        with self.opened() as store:
            name = self.conversation()
            store.issue_ticket(name)
            store.issue_ticket(name)
            store.delete_lock(name)
            assert store.get_lock(name) is None
            assert not store.is_someone_waiting(name)

    def test_update_lock_removes_expired_tickets(self) -> None:
        with self.opened() as store:
            name = self.conversation()
            store.issue_ticket(name, self.seconds(0.2))
            staying = store.issue_ticket(name, self.long)
            time.sleep(self.seconds(0.3))
            store.update_lock(name)
            lock = store.get_lock(name)
            assert lock is not None
            assert [ticket.number for ticket in lock.tickets] == [staying]
            store.delete_lock(name)

    def test_issue_ticket_turns_every_error_into_a_lock_error(self) -> None:
        with self.opened() as store:
            wrong = [("name", -1.0), ("name", float("nan"))]
            if not self.takes_empty_names:
                wrong.append(("", 60.0))
            for conversation_id, lifetime in wrong:
                with pytest.raises(LockError, match=r"^Error while acquiring lock. Error:\n"):
                    store.issue_ticket(conversation_id, lifetime)
            assert store.get_lock("name") is None

    @scenario
    async def test_the_synchronous_methods_work_inside_a_running_loop(
        self, store: LockStore
    ) -> None:
        name = self.conversation()
        number = store.issue_ticket(name)
        assert store.is_someone_waiting(name)
        store.update_lock(name)
        store.finish_serving(name, number)
        store.cleanup(name, number)
        assert store.get_lock(name) is None

    @scenario
    async def test_the_reference_arguments_may_be_given_by_position(self, store: LockStore) -> None:
        name = self.conversation()
        async with store.lock(name, self.seconds(30), self.seconds(1)) as lock:
            assert isinstance(lock, TicketLock)
            assert lock.conversation_id == name
            assert lock.tickets[0].expires == pytest.approx(
                time.time() + self.seconds(30), abs=self.seconds(2.0)
            )

    @scenario
    async def test_after_a_turn_there_is_no_lock(self, store: LockStore) -> None:
        name = self.conversation()
        async with store.lock(name) as lock:
            assert lock.ticket == 0
            assert self.numbers(store, name) == [0]
            assert not lock.is_locked(lock.ticket)
        assert store.get_lock(name) is None

    @scenario
    async def test_someone_waits_while_a_turn_lasts(self, store: LockStore) -> None:
        name = self.conversation()
        async with store.lock(name):
            assert store.is_someone_waiting(name)
        assert not store.is_someone_waiting(name)

    @scenario
    async def test_a_waiter_logs_its_looks(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        with log_records(logging.DEBUG) as records:
            waiter = await self.line_up(store, name)
            await asyncio.sleep(self.seconds(0.2))
            looks = [record for record in records if "ahead" in record.getMessage()]
        assert {record.levelno for record in looks} == {logging.DEBUG}
        assert len(looks) >= (1 if self.guarantees(store).pushes else 2)
        for look in looks:
            assert name in look.getMessage()
            assert "1 item(s) ahead" in look.getMessage()
            assert "again in" in look.getMessage()
        await holder.goes()
        await waiter.serves()
        await waiter.goes()

    @scenario
    async def test_a_waiter_whose_lock_is_deleted_gives_up(self, store: LockStore) -> None:
        name = self.conversation()
        store.issue_ticket(name)
        waiter = await self.line_up(store, name)
        store.delete_lock(name)
        error = await waiter.end()
        assert type(error) is LockError
        assert str(error) == f"Could not acquire lock for conversation_id '{name}'."
        assert error.message == str(error)
        assert error.conversation_id == name

    @scenario
    async def test_a_waiter_is_served_when_the_issued_ticket_is_finished(
        self, store: LockStore
    ) -> None:
        name = self.conversation()
        number = store.issue_ticket(name)
        waiter = await self.line_up(store, name)
        await asyncio.sleep(self.seconds(0.05))
        assert waiter.lock is None
        store.finish_serving(name, number)
        await waiter.serves()
        await waiter.goes()
        await self.until(lambda: store.get_lock(name) is None)
