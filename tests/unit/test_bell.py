from __future__ import annotations

import asyncio
import threading
import time

from nowserving._runtime.portal import run_inline
from nowserving.protocol.bell import Bell
from nowserving.protocol.status import State, TicketStatus

_NEWS = TicketStatus(State.SERVED, 1)


def test_a_ring_before_the_wait_is_kept() -> None:
    bell = Bell()
    bell.ring(_NEWS)
    assert run_inline(bell.wait(60.0)) is _NEWS
    started = time.monotonic()
    assert run_inline(bell.wait(0.02)) is None
    assert time.monotonic() - started >= 0.015


def test_a_ring_without_news_wakes() -> None:
    bell = Bell()
    bell.ring()
    assert run_inline(bell.wait(60.0)) is None


def test_the_latest_news_counts() -> None:
    bell = Bell()
    bell.ring(TicketStatus(State.WAITING, 1))
    bell.ring(_NEWS)
    bell.ring()
    assert bell.take_news() is _NEWS
    assert bell.take_news() is None


def test_a_thread_wakes_a_thread() -> None:
    bell = Bell()
    timer = threading.Timer(0.05, bell.ring, (_NEWS,))
    timer.start()
    started = time.monotonic()
    assert run_inline(bell.wait(60.0)) is _NEWS
    assert time.monotonic() - started < 5.0
    timer.join()


async def test_a_task_wakes_a_task() -> None:
    bell = Bell()
    waiting = asyncio.ensure_future(bell.wait(60.0))
    await asyncio.sleep(0)
    assert not waiting.done()
    bell.ring(_NEWS)
    assert await asyncio.wait_for(waiting, 5.0) is _NEWS


async def test_a_thread_wakes_a_task() -> None:
    bell = Bell()
    timer = threading.Timer(0.05, bell.ring, (_NEWS,))
    timer.start()
    assert await asyncio.wait_for(bell.wait(60.0), 5.0) is _NEWS
    timer.join()


async def test_a_wait_ends_by_itself() -> None:
    assert await Bell().wait(0.01) is None


async def test_a_cancelled_wait_loses_no_ring() -> None:
    bell = Bell()
    waiting = asyncio.ensure_future(bell.wait(60.0))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    bell.ring(_NEWS)
    assert await asyncio.wait_for(bell.wait(60.0), 5.0) is _NEWS


def test_a_ring_for_a_loop_that_is_closed_is_no_error() -> None:
    bell = Bell()

    async def begin() -> None:
        task = asyncio.ensure_future(bell.wait(60.0))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(begin())
    bell.ring(_NEWS)
    assert bell.take_news() is _NEWS


def test_an_answer_is_called_at_each_ring() -> None:
    bell, calls = Bell(), list[TicketStatus | None]()
    bell.answer(lambda: calls.append(bell.take_news()))
    bell.ring(_NEWS)
    bell.ring()
    bell.answer(None)
    bell.ring(_NEWS)
    assert calls == [_NEWS, None]
    bell.answer(lambda: calls.append(bell.take_news()))  # the ring in between was kept
    assert calls == [_NEWS, None, _NEWS]


def test_no_ring_is_lost_between_threads() -> None:
    bell, rounds = Bell(), 3000
    heard, rung = threading.Semaphore(0), 0

    def ring() -> None:
        nonlocal rung
        for _ in range(rounds):
            rung += 1
            bell.ring(_NEWS)
            assert heard.acquire(timeout=10.0)

    ringer = threading.Thread(target=ring, daemon=True)
    ringer.start()
    for _ in range(rounds):
        assert run_inline(bell.wait(10.0)) is _NEWS
        heard.release()
    ringer.join(5.0)
    assert rung == rounds
