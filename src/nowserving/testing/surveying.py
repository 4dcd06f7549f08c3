"""Looking over all lines of a store: ``survey``."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING

import pytest

from nowserving.errors import LockError
from nowserving.testing.harness import StoreHarness, policy, scenario

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nowserving.protocol.survey import LineSummary, Survey
    from nowserving.stores.base import LockStore

_ALL = 10_000


class Surveying(StoreHarness):
    """What an operator sees of all lines. Other lines may be in the same store."""

    @policy(label="a")
    async def test_each_line_in_use_is_seen_with_its_holder(self, store: LockStore) -> None:
        held, longer, idle = (self.conversation(end) for end in ("held", "longer \u00e9", "idle"))
        async with store.lock(idle):
            pass
        first = await self.enter(store, held, message_id="m-1 \u00e9", label="of the holder")
        second = await self.enter(store, longer)
        waiters = [await self.line_up(store, longer) for _ in range(3)]
        seen = await store.survey(_ALL)
        lines = _lines(seen, (held, longer, idle))
        assert sorted(lines) == sorted((held, longer))
        assert (lines[held].waiting, lines[held].oldest_wait) == (0, None)
        assert lines[longer].waiting == len(waiters)
        for name, holder in ((held, first), (longer, second)):
            line = await store.inspect(name)
            assert line is not None
            assert line.holder is not None
            shown = lines[name].holder
            assert shown is not None
            assert shown.number == holder.held.ticket
            assert (shown.label, shown.message_id) == (line.holder.label, line.holder.message_id)
            assert shown.since == pytest.approx(line.holder.since, abs=self.seconds(1.0))
            assert shown.expires_in == pytest.approx(line.holder.expires_in, abs=self.seconds(2.0))
        oldest = lines[longer].oldest_wait
        assert oldest is not None
        assert 0 <= oldest < self.limit
        assert seen.conversations >= len(lines)
        assert seen.held >= len(lines)
        assert seen.waiting >= len(waiters)
        assert seen.oldest_wait is not None
        assert seen.oldest_wait >= oldest
        for visitor in (first, second, *waiters):
            await visitor.serves()
            await visitor.goes()
        assert _lines(await store.survey(_ALL), (held, longer, idle)) == {}

    @policy(label="a")
    async def test_the_most_notable_lines_come_first(self, store: LockStore) -> None:
        old, long = self.conversation("old"), self.conversation("long")
        visitors = [await self.enter(store, old), await self.line_up(store, old)]
        await asyncio.sleep(self.seconds(0.05))
        visitors += [await self.enter(store, long)]
        visitors += [await self.line_up(store, long) for _ in range(2)]
        first: dict[str, list[str]] = {}
        for order in ("waiting", "oldest_wait", "held_for"):
            seen = await store.survey(_ALL, order)
            first[order] = list(_lines(seen, (old, long)))
        assert first == {
            "waiting": [long, old],
            "oldest_wait": [old, long],
            "held_for": [old, long],
        }
        assert len((await store.survey(1)).lines) == 1
        nothing_shown = await store.survey(0)
        assert nothing_shown.lines == ()
        assert nothing_shown.conversations >= len((old, long))
        for visitor in visitors:
            await visitor.serves()
            await visitor.goes()

    @policy(label="a")
    async def test_a_long_line_is_counted_to_its_end(self, store: LockStore) -> None:
        name, count = self.conversation(), 450
        holder = await self.enter(store, name)
        issued = [await store.take_ticket(name) for _ in range(count)]
        line = _lines(await store.survey(_ALL), [name])[name]
        assert line.waiting == count
        for ticket in issued[: count // 2]:
            assert await store.give_back(name, ticket)
        line = _lines(await store.survey(_ALL), [name])[name]
        assert line.waiting == count - count // 2
        for ticket in issued[count // 2 :]:
            assert await store.give_back(name, ticket)
        await holder.goes()

    @policy(label="a")
    async def test_whoever_has_expired_is_not_seen(self, store: LockStore) -> None:
        name = self.conversation()
        await store.take_ticket(name, lock_lifetime=self.seconds(0.2))
        await asyncio.sleep(self.seconds(0.2) + self.seconds(0.1))
        assert _lines(await store.survey(_ALL), [name]) == {}

    @policy(label="a")
    async def test_nothing_is_changed_by_looking(self, store: LockStore) -> None:
        name = self.conversation()
        await store.take_ticket(name, lock_lifetime=self.seconds(0.2))
        behind = await self.line_up(store, name)
        for _ in range(3):
            await store.survey()
        await behind.serves()
        assert behind.held.predecessor == "expired"
        await behind.goes()

    @policy(label="a")
    async def test_the_processes_are_told(self, store: LockStore) -> None:
        name = self.conversation()
        holder, waiter = await self.enter(store, name), await self.line_up(store, name)
        ours = (socket.gethostname(), os.getpid())
        seen = {(one.host, one.pid): one for one in (await store.survey()).processes}
        mine = seen.get(ours) or seen[None, None]  # it may not have told yet who it is
        assert mine.holding >= 1
        assert mine.waiting >= 1
        for visitor in (holder, waiter):
            await visitor.serves()
            await visitor.goes()

    @policy(label="a")
    async def test_lines_are_seen_while_they_move(self, store: LockStore) -> None:
        names = [self.conversation(str(number)) for number in range(5)]
        stop = asyncio.Event()

        async def take_turns(name: str) -> None:
            while not stop.is_set():
                async with store.lock(name, self.long):
                    await asyncio.sleep(0)

        at_work = [asyncio.ensure_future(take_turns(name)) for name in names]
        for _ in range(10):
            for line in _lines(await store.survey(_ALL), names).values():
                assert line.holder is not None or line.waiting
                assert line.waiting <= 1
        stop.set()
        await asyncio.gather(*at_work)

    def test_a_thread_surveys_the_same(self) -> None:
        with self.opened() as store:
            if not self.guarantees(store).policies:
                with pytest.raises(LockError, match=r"survey\(\) needs .* atomically"):
                    store.blocking.survey()
                return
            name = self.conversation()
            with store.lock(name):
                assert name in _lines(store.blocking.survey(_ALL), [name])

    @scenario
    async def test_wrong_questions_are_refused(self, store: LockStore) -> None:
        with pytest.raises(ValueError, match="longest=-1"):
            await store.survey(-1)
        with pytest.raises(TypeError, match="longest='7'"):
            await store.survey("7")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="'waiting', 'oldest_wait', 'held_for'"):
            await store.survey(order="age")  # type: ignore[arg-type]


def _lines(seen: Survey, names: Iterable[str]) -> dict[str, LineSummary]:
    """Return those of these conversations that were seen, in the order in which they were."""
    wanted = set(names)
    return {line.conversation_id: line for line in seen.lines if line.conversation_id in wanted}
