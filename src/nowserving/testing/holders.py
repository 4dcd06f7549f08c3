"""Who is in the way: what the errors of those who do not get their turn tell of the holder."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from nowserving.errors import Holder, LockBusy, LockSuperseded, LockTimeout
from nowserving.testing.harness import StoreHarness, policy, scenario

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from nowserving.protocol.line import LineTicket
    from nowserving.stores.base import LockStore

_E = TypeVar("_E", LockBusy, LockTimeout, LockSuperseded)

_TRIES = 20
"""How often an error may lack its holder: nobody waits for a store that takes its time."""


class Holders(StoreHarness):
    """``error.holder`` of ``LockBusy``, ``LockTimeout`` and ``LockSuperseded``."""

    @scenario
    async def test_a_timeout_tells_who_holds(self, store: LockStore) -> None:
        name = self.conversation()
        tells = self.keeps_records(store)
        told: dict[str, Any] = {"label": "trace 7", "message_id": "m"} if tells else {}
        holder = await self.enter(store, name, **told)
        known = await _known(lambda: self._turned_away(LockTimeout, store, name, timeout=0))
        line = await store.inspect(name)
        assert line is not None
        assert line.holder is not None
        assert line.holder.number == holder.held.ticket
        self._same(known, line.holder)
        assert (known.label, known.message_id) == (told.get("label"), told.get("message_id"))
        await holder.goes()

    @policy(max_waiting=0)
    async def test_a_refusal_tells_who_holds(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name, label="trace 7", message_id="m")

        async def take_ticket() -> LockBusy:
            with pytest.raises(LockBusy) as busy:
                await store.take_ticket(name, max_waiting=0)
            return busy.value

        reject = {"when_busy": "reject", "label": "another"}
        for refused in (
            lambda: self._turned_away(LockBusy, store, name, **reject),
            lambda: self._turned_away(LockBusy, store, name, max_waiting=0),
            take_ticket,
        ):
            known = await _known(refused, lambda holder: holder.label)
            assert (known.label, known.message_id) == ("trace 7", "m")
            line = await store.inspect(name)
            assert line is not None
            assert line.holder is not None
            self._same(known, line.holder)
        await holder.goes()

    @policy(when_busy="latest")
    async def test_who_is_superseded_is_told_who_holds(self, store: LockStore) -> None:
        name = self.conversation()
        holder = await self.enter(store, name, label="trace 7")
        newest = await self.line_up(store, name)

        async def superseded() -> LockSuperseded:
            nonlocal newest
            before, newest = newest, await self.line_up(store, name, when_busy="latest")
            error = await before.end()
            assert isinstance(error, LockSuperseded)
            return error

        known = await _known(superseded)
        assert known.label == "trace 7"
        await holder.goes()
        await newest.serves()
        await newest.goes()

    @policy(when_busy="reject")
    async def test_nobody_is_told_the_secret_of_a_ticket(self, store: LockStore) -> None:
        name = self.conversation()
        issued = await store.take_ticket(name, self.long, label="trace 7")

        async def busy() -> LockBusy:
            return await self._turned_away(LockBusy, store, name, when_busy="reject")

        async def late() -> LockTimeout:
            return await self._turned_away(LockTimeout, store, name, timeout=0)

        refusals: tuple[Callable[[], Awaitable[LockBusy | LockTimeout]], ...] = (busy, late)
        for refused in refusals:
            known = await _known(refused, lambda holder: holder.label)
            assert (known, known.label) == ("", "trace 7")
            assert issued.secret not in str(await refused())
        line = await store.inspect(name)
        assert issued.secret not in repr(line)
        assert await store.give_back(name, issued)

    @policy(settle=1.0)
    async def test_nobody_holds_a_line_that_settles(self, store: LockStore) -> None:
        name = self.conversation()
        limit = self.seconds(0.2)
        error = await self._turned_away(
            LockTimeout, store, name, settle=self.long * 0.9, timeout=limit
        )
        assert error.holder is None

    def test_a_thread_is_told_who_holds(self) -> None:
        with self.opened() as store:
            name = self.conversation()
            with store.lock(name, self.long, self.look):

                def wait() -> LockTimeout:
                    with pytest.raises(LockTimeout) as timeout:
                        self.drop_in(store, name, timeout=0)
                    return timeout.value

                async def wait_elsewhere() -> LockTimeout:
                    return await self.in_thread(wait)

                known = asyncio.run(_known(wait_elsewhere))
                assert known.since is not None

    def _same(self, known: Holder, shown: LineTicket) -> None:
        assert known.since == pytest.approx(shown.since, abs=self.seconds(0.5))
        # A process is noted a moment after its first call: whoever asks later may know more.
        assert known.host in {None, shown.host}
        assert known.pid in {None, shown.pid}

    async def _turned_away(self, kind: type[_E], store: LockStore, name: str, **options: Any) -> _E:
        with pytest.raises(kind) as refusal:
            async with store.lock(name, self.long, self.look, **options):
                pytest.fail("the body ran")
        return refusal.value


async def _known(
    refused: Callable[[], Awaitable[LockBusy | LockTimeout | LockSuperseded]],
    enough: Callable[[Holder], object] = bool,
) -> Holder:
    """Be refused until the store has said in time who holds the lock."""
    for _ in range(_TRIES):
        holder = (await refused()).holder
        if holder is not None and enough(holder):
            return holder
    pytest.fail("nobody was told who holds the lock")
