"""Issue now, redeem later: a place in line is taken where the message arrives."""

from __future__ import annotations

import asyncio
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from nowserving.errors import LockBusy, LockError, LockInterrupted, LockSuperseded, LockTimeout
from nowserving.protocol.status import IssuedTicket
from nowserving.testing.harness import (
    StoreHarness,
    policy,
    quiet,
    scenario,
)

if TYPE_CHECKING:
    from nowserving.stores.base import LockStore


class Issued(StoreHarness):
    """``take_ticket``, ``issue_ticket`` and ``lock(ticket=...)``."""

    @scenario
    async def test_take_ticket_joins_the_line(self, store: LockStore) -> None:
        name = self.conversation()
        numbers = [await store.take_ticket(name) for _ in range(3)]
        assert numbers == [0, 1, 2]
        assert all(isinstance(number, int) for number in numbers)
        assert self.numbers(store, name) == numbers
        assert f"{numbers[1]}" == "1"
        store.delete_lock(name)

    @scenario
    async def test_tickets_are_finished_by_what_was_issued(self, store: LockStore) -> None:
        name = self.conversation()
        first, second = await store.take_ticket(name), await store.take_ticket(name)
        store.finish_serving(name, first)
        assert self.numbers(store, name) == [second]
        store.cleanup(name, int(second))
        assert store.get_lock(name) is None

    @policy(ticket=0)
    async def test_tickets_are_served_in_the_order_of_their_issue(self, store: LockStore) -> None:
        name, served = self.conversation(), list[int]()
        tickets = [await store.take_ticket(name) for _ in range(5)]

        async def redeem(ticket: int) -> None:
            async with store.lock(name, self.long, self.look, ticket=ticket) as lock:
                assert lock.ticket == ticket
                served.append(ticket)

        await asyncio.gather(*(redeem(ticket) for ticket in reversed(tickets)))
        assert served == tickets

    @policy(ticket=0)
    async def test_an_issued_ticket_keeps_its_place_before_newcomers(
        self, store: LockStore
    ) -> None:
        name = self.conversation()
        ticket = await store.take_ticket(name)
        newcomer = await self.line_up(store, name)
        async with store.lock(name, self.long, self.look, ticket=ticket, timeout=0) as lock:
            assert lock.ticket == 0
            assert newcomer.lock is None
        await newcomer.serves()
        await newcomer.goes()

    @policy(ticket=0)
    async def test_a_ticket_travels_as_pickle_text_or_number(self, store: LockStore) -> None:
        name = self.conversation()
        for travel in (lambda t: t, _pickled, str, int, lambda t: str(int(t))):
            ticket = await store.take_ticket(name)
            redeemed: Any = travel(ticket)
            async with store.lock(name, self.long, self.look, ticket=redeemed, timeout=0) as lock:
                assert lock.ticket == ticket

    @policy(ticket=0)
    async def test_issue_ticket_gives_a_ticket_to_redeem_too(self, store: LockStore) -> None:
        name = self.conversation()
        ticket = store.issue_ticket(name)
        async with store.lock(name, self.long, self.look, ticket=str(ticket), timeout=0) as lock:
            assert lock.ticket == ticket

    def test_a_thread_redeems_a_ticket(self) -> None:
        with self.opened() as store:
            name = self.conversation()
            ticket = store.issue_ticket(name)
            if self.guarantees(store).policies:
                with store.lock(name, self.long, self.look, ticket=ticket) as lock:
                    assert lock.ticket == ticket
            else:
                with (
                    pytest.raises(LockError, match="ticket"),
                    store.lock(name, self.long, self.look, ticket=ticket),
                ):
                    pytest.fail("the body ran")
                store.cleanup(name, ticket)

    @policy(ticket=0)
    async def test_another_store_redeems_a_ticket(self, store: LockStore) -> None:
        name, other = self.conversation(), self.another(store)
        ticket = pickle.loads(pickle.dumps(await store.take_ticket(name)))  # noqa: S301
        async with other.lock(name, self.long, self.look, ticket=ticket) as lock:
            assert self.numbers(store, name) == [lock.ticket]
        assert store.get_lock(name) is None
        if other is not store:
            await other.aclose()

    @policy(ticket=0)
    async def test_a_second_redeemer_gets_an_error(self, store: LockStore) -> None:
        name = self.conversation()
        ticket = await store.take_ticket(name)
        holder = await self.enter(store, name, ticket=ticket)
        for again in (ticket, int(ticket), str(ticket)):
            with pytest.raises(LockError, match=name):
                async with store.lock(name, self.long, self.look, ticket=again):
                    pytest.fail("the body ran")
        assert self.numbers(store, name) == [ticket]
        assert not holder.held.lost
        await holder.goes()
        with pytest.raises(LockError):
            async with store.lock(name, self.long, self.look, ticket=ticket):
                pytest.fail("the body ran")
        assert self.numbers(store, name) == []

    @policy(ticket=0)
    async def test_a_waiting_ticket_is_redeemed_once(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        ticket = await store.take_ticket(name)
        waiter = await self.line_up(store, name, ticket=ticket)
        with pytest.raises(LockError):
            async with store.lock(name, self.long, self.look, ticket=ticket):
                pytest.fail("the body ran")
        await holder.goes()
        await waiter.serves()
        await waiter.goes()

    @policy(ticket=0)
    async def test_a_number_does_not_redeem_a_holders_or_a_waiters_ticket(
        self, store: LockStore
    ) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        waiter = await self.line_up(store, name)
        for number in (0, 1):
            with pytest.raises(LockError):
                async with store.lock(name, self.long, self.look, ticket=number):
                    pytest.fail("the body ran")
        assert self.numbers(store, name) == [0, 1]
        for visitor in (holder, waiter):
            await visitor.serves()
            await visitor.goes()

    @policy(ticket=0)
    async def test_a_wrong_secret_redeems_nothing(self, store: LockStore) -> None:
        name = self.conversation()
        ticket = await store.take_ticket(name)
        for wrong in (IssuedTicket(ticket, "guessed"), f"{int(ticket)}.guessed", ticket + 1):
            with pytest.raises(LockError):
                async with store.lock(name, self.long, self.look, ticket=wrong):
                    pytest.fail("the body ran")
        assert self.numbers(store, name) == [ticket]
        store.delete_lock(name)

    @policy(ticket=0)
    async def test_a_ticket_redeemed_too_late_is_gone(self, store: LockStore) -> None:
        name = self.conversation()
        ticket = await store.take_ticket(name, self.seconds(0.1))
        await asyncio.sleep(self.seconds(0.2))
        with pytest.raises(LockError) as gone:
            async with store.lock(name, self.long, self.look, ticket=ticket):
                pytest.fail("the body ran")
        assert type(gone.value) is LockError
        assert self.numbers(store, name) == []

    @policy(ticket=0)
    async def test_a_ticket_that_expired_in_mid_line_is_gone(self, store: LockStore) -> None:
        """Though nobody has walked past it yet; its message may be in line again."""
        name = self.conversation()
        holder = await self.enter(store, name)
        ticket = await store.take_ticket(name, self.seconds(0.1), message_id="m")
        await asyncio.sleep(self.seconds(0.2))
        again = await store.take_ticket(name, message_id="m")
        for late in (ticket, int(ticket)):
            with pytest.raises(LockError) as gone:
                async with store.lock(name, self.long, self.look, ticket=late):
                    pytest.fail("the body ran")
            assert type(gone.value) is LockError
        assert self.numbers(store, name) == [holder.held.ticket, again]
        await holder.goes()
        async with store.lock(name, self.long, self.look, ticket=again) as lock:
            assert lock.ticket == again

    @policy(ticket=0)
    async def test_redeeming_gives_the_ticket_a_lifetime(self, store: LockStore) -> None:
        name = self.conversation()
        ticket = await store.take_ticket(name, self.seconds(0.3))
        async with store.lock(name, self.long, self.look, ticket=ticket) as lock:
            await asyncio.sleep(self.seconds(0.4))
            assert not lock.lost
            assert self.numbers(store, name) == [ticket]

    @policy(ticket=0)
    async def test_a_redeemed_ticket_may_be_renewed(self, store: LockStore) -> None:
        name = self.conversation()
        ticket = await store.take_ticket(name, self.seconds(1.0))
        async with store.lock(
            name, self.seconds(0.5), self.look, ticket=ticket, auto_renew=True
        ) as lock:
            await asyncio.sleep(self.seconds(0.8))
            assert not lock.lost

    @policy(ticket=0)
    async def test_an_unredeemed_ticket_is_not_renewed(self, store: LockStore) -> None:
        name = self.conversation()
        await store.take_ticket(name, self.seconds(0.3))
        waiter = await self.line_up(store, name, self.seconds(0.6), auto_renew=True)
        await waiter.serves(self.seconds(0.3) + self.soon)
        assert waiter.held.predecessor == "expired"
        await waiter.goes()

    @policy(ticket=0)
    async def test_an_issued_ticket_survives_the_end_of_its_store(self, store: LockStore) -> None:
        name = self.conversation()
        if not self.guarantees(store).cross_process:
            ticket = await store.take_ticket(name)
            await store.aclose()
            assert self.numbers(store, name) == [ticket]
            store.delete_lock(name)
            return
        issuer = self.make_store()
        ticket = await issuer.take_ticket(name)
        by_number = issuer.issue_ticket(name)
        await issuer.aclose()
        assert self.numbers(store, name) == [ticket, by_number]
        async with store.lock(name, self.long, self.look, ticket=ticket):
            pass
        async with store.lock(name, self.long, self.look, ticket=int(by_number)):
            pass

    @policy(ticket=0)
    async def test_cancelling_a_redeemer_gives_its_ticket_back(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        redeemer = await self.line_up(store, name, ticket=await store.take_ticket(name))
        behind = await self.line_up(store, name)
        await redeemer.cancel()
        assert self.numbers(store, name) == [0, 2]
        await holder.goes()
        await behind.serves()
        await behind.goes()

    @policy(ticket=0)
    async def test_a_redeemers_time_limit_gives_its_ticket_back(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        ticket = await store.take_ticket(name)
        with pytest.raises(LockTimeout):
            async with store.lock(
                name, self.long, self.look, ticket=ticket, timeout=self.seconds(0.1)
            ):
                pytest.fail("the body ran")
        assert self.numbers(store, name) == [0]
        await holder.goes()

    @policy(ticket=0)
    async def test_an_issued_ticket_can_be_superseded(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        ticket = await store.take_ticket(name)
        latest = await self.line_up(store, name, when_busy="latest")
        with pytest.raises(LockSuperseded):
            async with store.lock(name, self.long, self.look, ticket=ticket):
                pytest.fail("the body ran")
        for visitor in (holder, latest):
            await visitor.serves()
            await visitor.goes()

    @policy(when_busy="reject")
    async def test_taking_a_ticket_can_be_rejected(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        with pytest.raises(LockBusy):
            await store.take_ticket(name, when_busy="reject")
        assert self.numbers(store, name) == [0]
        await holder.goes()
        ticket = await store.take_ticket(name, when_busy="reject")
        async with store.lock(name, self.long, self.look, ticket=ticket, timeout=0) as lock:
            assert lock.ticket == ticket

    @policy(when_busy="latest")
    async def test_taking_a_ticket_can_supersede(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        waiter = await self.line_up(store, name)
        earlier = await store.take_ticket(name)
        latest = await store.take_ticket(name, when_busy="latest")
        assert isinstance(await waiter.end(), LockSuperseded)
        with pytest.raises(LockSuperseded):
            async with store.lock(name, self.long, self.look, ticket=earlier):
                pytest.fail("the body ran")
        await holder.goes()
        async with store.lock(name, self.long, self.look, ticket=latest, timeout=0) as lock:
            assert lock.ticket == latest

    @policy(when_busy="interrupt")
    async def test_taking_a_ticket_can_interrupt(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name)
        ticket = await store.take_ticket(name, when_busy="interrupt")
        assert isinstance(await holder.end(), LockInterrupted)
        async with store.lock(name, self.long, self.look, ticket=ticket, timeout=0) as lock:
            assert lock.predecessor == "interrupted"

    @policy(ticket=0)
    async def test_a_redeemed_ticket_is_not_finished_by_its_stale_number(
        self, store: LockStore
    ) -> None:
        name, other = self.conversation(), self.another(store)
        ticket = await store.take_ticket(name)
        with quiet():
            holder = await self.enter(store, name, ticket=ticket)
            if other is not store:
                other.finish_serving(name, int(ticket))
                other.finish_serving(name, ticket)
                await other.aclose()
            store.finish_serving(name, ticket)  # what was issued became the holder's own
            assert self.numbers(store, name) == [ticket]
            await holder.goes()

    @policy(ticket=0)
    async def test_a_ticket_issued_in_a_thread_is_redeemed_in_a_loop(
        self, store: LockStore
    ) -> None:
        name = self.conversation()
        ticket = await self.in_thread(lambda: store.issue_ticket(name))
        waiter = await self.line_up(store, name)
        redeemer = await self.enter(store, name, ticket=ticket)
        assert waiter.lock is None
        await redeemer.goes()
        await waiter.serves()
        await waiter.goes()

    @scenario
    async def test_taking_a_ticket_can_be_cancelled(self, store: LockStore) -> None:
        name = self.conversation()
        for _ in range(5):
            task = asyncio.ensure_future(store.take_ticket(name))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled():
                store.finish_serving(name, task.result())
        await self.until(lambda: self.numbers(store, name) == [])


def _pickled(ticket: int) -> int:
    copy: int = pickle.loads(pickle.dumps(ticket))  # noqa: S301 - made in this line
    return copy
