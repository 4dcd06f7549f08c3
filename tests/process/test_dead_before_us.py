"""Whoever is dead before a live waiter costs it that one's lease, and never the wait for a poll.

``wait_time_in_seconds`` is long here. It bounds what a lost push costs, and nobody is pushed when a
ticket of a dead process is served, or ends.
"""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.crew import Worker, until
from tests.support.worker import TurnJob

if TYPE_CHECKING:
    from nowserving import LockStore
    from tests.process.conftest import Measured
    from tests.support.redis_server import RedisServer

WAIT = 15.0
ROOM = 0.7  # seconds, on a noisy machine; what was wrong was wrong by 3.5 s and more


def in_line(store: LockStore) -> int:
    lock = store.get_lock("c")
    return 0 if lock is None else len(lock.tickets)


def die(server: RedisServer, store: LockStore, *lifetimes: float, renewed: bool = False) -> None:
    """Put tickets into the line, and kill the process that has them."""
    jobs = [
        TurnJob(hold=60.0, lifetime=each, wait=WAIT, options={"auto_renew": renewed})
        for each in lifetimes
    ]
    before = in_line(store)
    with Worker(server.url(), *jobs) as worker:
        until(lambda: in_line(store) == before + len(lifetimes))
        worker.signal(signal.SIGKILL)


async def enter(store: LockStore) -> float:
    """Wait behind all others, and return when the turn began."""
    async with store.lock("c", 60, WAIT, timeout=12):
        return time.monotonic()


@pytest.mark.parametrize("renewed", [False, True])
async def test_the_next_in_line_is_dead(
    server: RedisServer, store: LockStore, measured: Measured, *, renewed: bool
) -> None:
    async with store.lock("c"):
        await asyncio.to_thread(die, server, store, 1.5, renewed=renewed)
        waiter = asyncio.create_task(enter(store))
        await asyncio.sleep(0.3)
        left = time.monotonic()
    took = await waiter - left
    measured("seconds", took)
    assert took < 1.5 + ROOM  # served when the holder leaves, it lives one lifetime from then


async def test_a_chain_of_the_dead(
    server: RedisServer, store: LockStore, measured: Measured
) -> None:
    """The first is served when the holder leaves, the second when that one's lease ends."""
    async with store.lock("c"):
        await asyncio.to_thread(die, server, store, 0.8, 2.0)
        waiter = asyncio.create_task(enter(store))
        await asyncio.sleep(0.2)
        left = time.monotonic()
    took = await waiter - left
    measured("seconds", took)
    assert took < 0.8 + 2.0 + ROOM
