"""Turns over SQLite, in a few words; every conversation is "c" unless it is named."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from nowserving import SQLiteLockStore
from nowserving.testing.harness import until

if TYPE_CHECKING:
    from pathlib import Path

LONG = 600.0


async def enter(store: SQLiteLockStore, name: str = "c") -> None:
    async with store.lock(name, LONG):
        pass


async def waited(store: SQLiteLockStore) -> int:
    async with store.lock("c", LONG, wait_time_in_seconds=60.0) as lock:
        return lock.ticket


def line(store: SQLiteLockStore) -> list[int]:
    lock = store.get_lock("c")
    return [] if lock is None else [ticket.number for ticket in lock.tickets]


async def assert_pushed(path: Path) -> None:
    async with SQLiteLockStore(path) as store, SQLiteLockStore(path) as other:
        async with store.lock("c", LONG):
            waiter = asyncio.create_task(waited(other))
            await until(lambda: len(line(store)) == 2)
        await asyncio.wait_for(waiter, 5.0)  # it looks every minute
