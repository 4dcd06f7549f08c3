"""A wait that ends in time, or is cancelled: never neither."""

from __future__ import annotations

import asyncio

import pytest

from nowserving._host.waits import ends_within, result_within


@pytest.mark.parametrize("seconds", [None, 60.0])
@pytest.mark.parametrize("steps", range(5))
async def test_a_cancellation_that_comes_with_the_end_is_not_lost(
    steps: int, seconds: float | None
) -> None:
    bell, ended = asyncio.Event(), []

    async def wait() -> None:
        ended.append(await ends_within(bell.wait(), seconds))
        await asyncio.sleep(60)

    waiting = asyncio.ensure_future(wait())
    await asyncio.sleep(0.01)
    bell.set()
    for _ in range(steps):
        await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting}, timeout=1.0)
    assert waiting.cancelled()
    assert ended in ([], [True])


async def test_what_takes_longer_is_cancelled() -> None:
    cancelled = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    assert not await ends_within(work(), 0.01)
    await asyncio.sleep(0)
    assert cancelled.is_set()


async def test_what_is_raised_in_time_is_raised() -> None:
    async def work() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        await ends_within(work(), 60.0)


async def test_a_result_that_comes_in_time_is_returned() -> None:
    heard: asyncio.Queue[int] = asyncio.Queue()
    with pytest.raises(asyncio.TimeoutError):
        await result_within(heard.get(), 0.01)
    heard.put_nowait(7)
    assert await result_within(heard.get(), 0.01) == 7


def test_a_wait_whose_loop_is_closed_ends_without_a_word() -> None:
    loop = asyncio.new_event_loop()
    waiting = ends_within(asyncio.Event().wait(), 60.0)

    async def begin() -> None:
        waiting.send(None)

    loop.run_until_complete(begin())
    loop.close()
    waiting.close()
