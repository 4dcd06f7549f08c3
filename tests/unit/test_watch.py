"""The watch asks for what can still change, and for nothing else."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from unittest import mock

from nowserving import InMemoryLockStore
from nowserving._host.clock import monotonic
from nowserving.protocol.status import LineUpdate, TicketStatus
from nowserving.stores.memory import MemoryQueue
from tests.support.tasks import until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nowserving.errors import LockError
    from nowserving.protocol.handle import TicketHandle
    from nowserving.protocol.queue import TicketQueue


class Remote(MemoryQueue):
    """Is polled as a remote queue is, and answers no lone question.

    Attributes:
        answers: Whether it answers polls.
        polls: When it was polled, with the line version that each ticket came with, by its number.
    """

    at_once = None
    guarantees = replace(MemoryQueue.guarantees, pushes=False, needs_loop=True, shares_polls=True)

    def __init__(self) -> None:
        super().__init__()
        self.answers = asyncio.Event()
        self.answers.set()
        self.polls: list[tuple[float, dict[int, str]]] = []

    async def poll(self, _: str, handles: Sequence[TicketHandle]) -> LineUpdate:
        self.polls.append((monotonic(), {it.number: it.line_version for it in handles}))
        await self.answers.wait()
        for handle in handles:
            handle.line_version = "known to wait"
        return LineUpdate(0, 60.0, {})

    async def renew(
        self, handles: Sequence[tuple[TicketHandle, float]], within: float | None = None
    ) -> list[TicketStatus | LockError]:
        await asyncio.sleep(60)
        return await super().renew(handles, within)


class Store(InMemoryLockStore):
    def _make_queue(self) -> TicketQueue[Any]:
        self.queue = Remote()
        return self.queue


async def test_a_store_that_is_slow_is_asked_one_question_at_a_time() -> None:
    async with Store() as store:
        store.queue.answers.clear()
        async with store.lock("c", 60.0, 0.01):
            await until(lambda: store.queue.polls)
            await asyncio.sleep(0.2)
            assert len(store.queue.polls) == 1
            store.queue.answers.set()
            await until(lambda: len(store.queue.polls) > 2)


async def test_for_a_lost_lock_it_neither_asks_nor_wakes() -> None:
    loop = asyncio.get_running_loop()
    async with Store() as store, store.lock("c", 60.0, 0.01) as lock:
        await until(lambda: store.queue.polls)
        await asyncio.to_thread(store.delete_lock, "c")
        await until(lambda: lock.lost)
        await asyncio.sleep(0.05)  # what was under way is answered
        before = len(store.queue.polls)
        with mock.patch.object(loop, "call_at", wraps=loop.call_at) as timers:
            await asyncio.sleep(0.2)
        assert len(store.queue.polls) == before
        assert timers.call_count <= 2  # the sleep's own, and one that was due


async def test_past_the_end_of_its_lease_a_waiter_is_asked_about_by_name() -> None:
    """Of a ticket whose lifetime is over, the version of its line tells nothing."""
    lifetime = 1.0
    async with Store() as store, store.lock("c", 60.0):
        polls, began = store.queue.polls, monotonic()
        waiter = asyncio.create_task(store.lock("c", lifetime, 0.01).__aenter__())
        await until(lambda: any(known.get(1) for _, known in polls))
        await until(lambda: polls[-1][0] > began + lifetime + 0.2)
        late = [known for moment, known in polls if moment > began + lifetime + 0.1]
        assert {known[1] for known in late if 1 in known} == {""}
        waiter.cancel()
        await asyncio.wait({waiter})
