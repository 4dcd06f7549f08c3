"""Cancellation at every ``await``: no ticket is left, and the next one is served promptly.

Each sweep first lets a turn run through and counts its awaits; then it runs the same turn once for
each of them and cancels there, before, during and just at the end of the wait. "Promptly" means
some 100 ms; the bound leaves room for a busy machine.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from nowserving.errors import LockAbsorbed, LockError, LockReleased, LockTimeout
from nowserving.testing.cancellation import Cancellation
from nowserving.testing.harness import quiet
from nowserving.testing.steps import WAYS, Steps

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from nowserving.stores.base import LockStore
    from nowserving.testing.steps import How

_MOST_AWAITS = 60
_TURNS = ("plain", "renewed", "limited")


class CancellationSweep(Cancellation):
    """Whoever does what a store can do, cancelled at each of its awaits."""

    @pytest.mark.parametrize("turn", _TURNS)
    def test_a_taker_and_leaver_is_cancelled_at_every_await(self, turn: str) -> None:
        """Nobody is ahead, so it takes, holds and leaves; one waits behind it."""
        self._sweep(self._alone, self._options(turn))

    @pytest.mark.parametrize("turn", _TURNS)
    def test_a_waiter_is_cancelled_at_every_await(self, turn: str) -> None:
        """One is ahead until the cancelled one is gone, and one waits behind."""
        self._sweep(self._behind_a_holder, self._options(turn))

    @pytest.mark.parametrize("turn", _TURNS)
    def test_a_waiter_that_is_served_is_cancelled_at_every_await(self, turn: str) -> None:
        """One is ahead and leaves soon; the cancelled one takes, waits, holds and leaves."""
        self._sweep(self._handed_over, self._options(turn))

    @pytest.mark.parametrize("when_busy", ["latest", "interrupt"])
    def test_a_superseding_waiter_is_cancelled_at_every_await(self, when_busy: str) -> None:
        with self.opened() as store:
            decides = self.guarantees(store).policies
        if decides:
            self._sweep(self._handed_over, {"when_busy": when_busy})
        else:
            self.refused(when_busy=when_busy)

    def test_whoever_settles_is_cancelled_at_every_await(self) -> None:
        """It takes the place of those who wait, settles, and learns for whom it answers."""
        with self.opened() as store:
            decides = self.guarantees(store).policies
        if decides:
            self._sweep(self._handed_over, {"when_busy": "latest", "settle": self.seconds(0.05)})
        else:
            self.refused(when_busy="latest", settle=1.0)

    def test_a_redeemer_is_cancelled_at_every_await(self) -> None:
        with self.opened() as store:
            decides = self.guarantees(store).policies
        if decides:
            self._sweep(self._redeeming, {})
        else:
            self.refused(ticket=0)

    def test_a_redeemer_that_keeps_its_place_is_cancelled_at_every_await(self) -> None:
        """Either its body has begun, or its ticket is there to be redeemed again."""
        with self.opened() as store:
            decides = self.guarantees(store).policies
        if decides:
            self._sweep(self._keeping_its_place, {"timeout": self.long, "keep_place": True})
        else:
            self.refused(ticket=0)

    def test_a_holder_that_absorbs_is_cancelled_at_every_await(self) -> None:
        """Whoever waits is told that its message was taken in, or is served: one of the two."""
        with self.opened() as store:
            decides = self.guarantees(store).policies
        if decides:
            self._sweep(self._absorbing, {})
        else:
            self.refused(message_id="a")

    def test_whoever_is_refused_is_cancelled_at_every_await(self) -> None:
        """It asks who holds, and takes no ticket with it."""
        self._sweep(self._refused, {"timeout": 0})

    def test_an_operator_is_cancelled_at_every_await(self) -> None:
        """What was not done can be done again, and nobody else is touched."""
        with self.opened() as store:
            decides = self.guarantees(store).policies
        if decides:
            self._sweep(self._operating, {})
            self._sweep(self._releasing, {})
        else:
            self._sweep(self._inspecting, {})

    def test_the_first_taker_of_a_store_is_cancelled_at_every_await(self) -> None:
        """Nothing is connected yet: each try has a store of its own."""
        self._names = []

        async def play() -> None:
            at, taken = 0, 1
            while at <= taken < _MOST_AWAITS:
                for how in WAYS:
                    store = self.make_store()
                    try:
                        taken = await self._cancel_first(store, at, how)
                    finally:
                        await store.aclose()
                at += 1

        with quiet():
            asyncio.run(play())

    async def _cancel_first(self, store: LockStore, at: int, how: How) -> int:
        name = self.conversation()
        steps = Steps(self._stay(store, name, {}), at, how)
        await self._ended(asyncio.ensure_future(_run(steps)))
        await self._check_nobody(store, name)
        await self._check_free(store, name)
        return steps.taken if at == 0 else at + 1 if steps.taken >= at else 0

    def _options(self, turn: str) -> dict[str, Any]:
        if turn == "limited":
            return {"timeout": self.long, "max_hold": self.long, "on_lost": "cancel"}
        return {"auto_renew": turn == "renewed"}

    # The sweep

    def _sweep(
        self,
        play: Callable[[LockStore, str, dict[str, Any], int, How], Awaitable[int]],
        options: dict[str, Any],
    ) -> None:
        async def sweep(_: object, store: LockStore) -> None:
            awaits = await play(store, self.conversation(), options, 0, "during")
            assert awaits < _MOST_AWAITS
            # One more than counted: a cancelled turn has other awaits than one that ran through.
            for at in range(1, awaits + 2):
                for how in WAYS:
                    await play(store, self.conversation(), options, at, how)

        with quiet():
            self.run(sweep)

    async def _alone(
        self, store: LockStore, name: str, options: dict[str, Any], at: int, how: How
    ) -> int:
        steps = Steps(self._stay(store, name, options), at, how)
        victim = asyncio.ensure_future(_run(steps))
        behind = self.visitor(store, name, wait_time_in_seconds=self.seconds(20.0))
        await self._ended(victim)
        await behind.serves(self._promptly)
        await behind.goes()
        await self._check_nobody(store, name)
        return steps.taken

    async def _behind_a_holder(
        self, store: LockStore, name: str, options: dict[str, Any], at: int, how: How
    ) -> int:
        holder = await self.enter(store, name)
        steps = Steps(self._stay(store, name, options), at, how)
        victim = asyncio.ensure_future(_run(steps))
        await asyncio.wait({victim}, timeout=self.seconds(0.02))
        if at == 0:  # counting: nobody cancels it, so it is the holder's leave that ends it
            await holder.goes()
            await self._ended(victim)
            return steps.taken
        behind = await self._next(store, name)
        await asyncio.wait({victim}, timeout=self.seconds(0.02))
        if not victim.done():  # it sleeps on, and was not cancelled yet
            victim.cancel()
            await self._ended(victim)
        # It takes the ticket with it when it goes: not later, not with the holder.
        await self.until(lambda: self.numbers(store, name) in ([0, 1], [0, 2]), self._promptly)
        await holder.goes()
        await behind.serves(self._promptly)
        await behind.goes()
        await self._check_nobody(store, name)
        return steps.taken

    async def _handed_over(
        self, store: LockStore, name: str, options: dict[str, Any], at: int, how: How
    ) -> int:
        holder = await self.enter(store, name)
        steps = Steps(self._stay(store, name, options), at, how)
        victim = asyncio.ensure_future(_run(steps))
        await asyncio.wait({victim}, timeout=self.seconds(0.01))
        behind = await self._next(store, name)
        with suppress(LockError):  # it may have been interrupted
            await holder.goes()
        await self._ended(victim)
        await behind.serves(self._promptly)
        await behind.goes()
        await self._check_nobody(store, name)
        return steps.taken

    async def _redeeming(
        self, store: LockStore, name: str, options: dict[str, Any], at: int, how: How
    ) -> int:
        ticket = await store.take_ticket(name)
        steps = Steps(self._stay(store, name, {**options, "ticket": ticket}), at, how)
        victim = asyncio.ensure_future(_run(steps))
        behind = await self._next(store, name)
        await self._ended(victim)
        if self.numbers(store, name)[:1] == [ticket]:
            # Cancelled before its redemption was asked for: it is still there to be redeemed.
            await asyncio.sleep(self.seconds(0.02))
            if self.numbers(store, name)[:1] == [ticket]:
                store.finish_serving(name, ticket)
        await behind.serves(self._promptly)
        await behind.goes()
        await self._check_nobody(store, name)
        return steps.taken

    async def _keeping_its_place(
        self, store: LockStore, name: str, options: dict[str, Any], at: int, how: How
    ) -> int:
        holder = await self.enter(store, name)
        ticket = await store.take_ticket(name)
        begun: list[int] = []

        async def stay() -> None:
            async with store.lock(
                name, self.long, self.seconds(0.02), ticket=ticket, **options
            ) as lock:
                begun.append(lock.ticket)
                await asyncio.sleep(0)

        steps = Steps(stay(), at, how)
        victim = asyncio.ensure_future(_run(steps))
        await asyncio.wait({victim}, timeout=self.seconds(0.01))
        assert victim.done() or self.numbers(store, name) == [0, ticket]
        await holder.goes()
        await self._ended(victim)
        if not begun:
            async with store.lock(
                name, self.long, self.look, ticket=ticket, timeout=self._promptly
            ) as lock:
                assert lock.ticket == ticket
        await self._check_nobody(store, name)
        return steps.taken

    async def _absorbing(
        self, store: LockStore, name: str, options: dict[str, Any], at: int, how: How
    ) -> int:
        ended_well: list[int] = []

        async def absorb() -> None:
            async with store.lock(name, self.long, self.seconds(0.02), **options) as lock:
                await lock.news()
                await lock.absorb()
                ended_well.append(len(lock.absorbed))

        steps = Steps(absorb(), at, how)
        victim = asyncio.ensure_future(_run(steps))
        behind = self.visitor(store, name, wait_time_in_seconds=self.seconds(20.0))
        await self._ended(victim)
        await self.until(lambda: behind.ended or behind.in_line)
        if not ended_well or ended_well == [0]:
            await behind.serves(self._promptly)
        with suppress(LockAbsorbed):
            await behind.goes()
        await self._check_nobody(store, name)
        return steps.taken

    async def _refused(
        self, store: LockStore, name: str, options: dict[str, Any], at: int, how: How
    ) -> int:
        holder = await self.enter(store, name)
        steps = Steps(self._stay(store, name, options), at, how)
        victim = asyncio.ensure_future(_run(steps))
        await asyncio.wait({victim}, timeout=self.soon)
        assert victim.done()
        assert victim.cancelled() or isinstance(victim.exception(), LockTimeout)
        await self.until(lambda: self.numbers(store, name) == [0], self._promptly)
        await holder.goes()
        await self._check_nobody(store, name)
        return steps.taken

    async def _operating(
        self, store: LockStore, name: str, _: dict[str, Any], at: int, how: How
    ) -> int:
        holder = await self.enter(store, name)
        ticket = await store.take_ticket(name, self.long)
        waiter = await self.line_up(store, name)
        behind = await self._next(store, name)

        async def operate() -> None:
            await store.inspect(name)
            async for _ in store.conversations():
                pass
            await store.renew_ticket(name, ticket, self.long)
            await store.release(name, 2, "enough")
            await store.give_back(name, ticket)

        steps = Steps(operate(), at, how)
        await self._ended(asyncio.ensure_future(_run(steps)))
        await store.release(name, 2, "enough")
        assert isinstance(await waiter.end(), LockReleased)
        await store.give_back(name, ticket)
        assert self.numbers(store, name) == [0, 3]
        assert not holder.held.lost
        await holder.goes()
        await behind.serves(self._promptly)
        await behind.goes()
        await self._check_nobody(store, name)
        return steps.taken

    async def _releasing(
        self, store: LockStore, name: str, _: dict[str, Any], at: int, how: How
    ) -> int:
        """Release whoever holds: the next one is served then, and is not released as well."""
        holder = await self.enter(store, name)
        behind = await self._next(store, name)
        steps = Steps(store.release(name, reason="it hangs"), at, how)
        await self._ended(asyncio.ensure_future(_run(steps)))
        await store.release(name, 0, "it hangs")
        await behind.serves(self._promptly)
        await self.until_lost(holder.held)
        await holder.goes()
        assert not behind.held.lost
        await behind.goes()
        await self._check_nobody(store, name)
        return steps.taken

    async def _inspecting(
        self, store: LockStore, name: str, _: dict[str, Any], at: int, how: How
    ) -> int:
        holder = await self.enter(store, name)
        steps = Steps(store.inspect(name), at, how)
        await self._ended(asyncio.ensure_future(_run(steps)))
        assert not holder.held.lost
        await holder.goes()
        await self._check_nobody(store, name)
        return steps.taken

    async def _check_free(self, store: LockStore, name: str) -> None:
        async with store.lock(name, timeout=0):
            pass

    async def _ended(self, task: asyncio.Future[None]) -> None:
        await asyncio.wait({task}, timeout=self.soon)
        assert task.done(), "a cancelled turn does not end"
        if not task.cancelled():
            task.result()


async def _run(awaitable: Awaitable[object]) -> None:
    await awaitable
