"""Turns whose coroutine is closed, not cancelled."""

from __future__ import annotations

import asyncio

import pytest

from nowserving import InMemoryLockStore, LockInterrupted
from nowserving._runtime.cancellation import BodyCancellation


async def test_an_interrupted_turn_whose_coroutine_is_closed_awaits_nothing() -> None:
    async with InMemoryLockStore() as store:
        turn = store.lock("c")
        await turn.__aenter__()
        (ticket,) = store._runtime.live()
        other = asyncio.create_task(asyncio.sleep(30))
        ticket.cancellation = BodyCancellation(other, LockInterrupted, 0)
        leaving = turn.__aexit__(GeneratorExit, GeneratorExit(), None)
        with pytest.raises(StopIteration):
            leaving.send(None)
        assert store.get_lock("c") is None
        await asyncio.wait({other})
