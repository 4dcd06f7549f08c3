"""Turns whose coroutine is closed, not cancelled."""

from __future__ import annotations

import asyncio

import pytest

from nowserving import InMemoryLockStore, LockStore


async def test_an_interrupted_turn_whose_coroutine_is_closed_awaits_nothing() -> None:
    async with InMemoryLockStore() as store:
        holder = hold(store)
        holder.send(None)  # this very task runs it, so this one is cancelled for it
        newest = asyncio.create_task(interrupt(store))
        with pytest.raises(asyncio.CancelledError):
            await asyncio.sleep(30)
        holder.close()  # a RuntimeError if it awaits anything
        assert await asyncio.wait_for(newest, 5) == "interrupted"
        assert store.get_lock("c") is None


async def hold(store: LockStore) -> None:
    async with store.lock("c"):
        await asyncio.sleep(30)


async def interrupt(store: LockStore) -> str:
    async with store.lock("c", when_busy="interrupt") as lock:
        return lock.predecessor
