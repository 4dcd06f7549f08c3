"""A loop that somebody's handler blocks for longer than socket_timeout: no outage of Redis."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

import pytest

from nowserving import LockStore
from nowserving.stores._remote.call import Call
from nowserving.stores.redis.connection.credentials import Login
from nowserving.stores.redis.connection.dial import Dialler
from nowserving.stores.redis.trouble import RedisTrouble

TIMEOUT = 0.3  # seconds
BLOCKED = 3 * TIMEOUT
STEPS = [0, 2, 5, 12, 30]
"""Of the loop, from asking to being blocked: a connection comes into being in some twenty."""


@pytest.fixture(params=["one server", "sentinels", "cluster"])
def url(request: pytest.FixtureRequest) -> str:
    name = {"one server": "redis_server", "sentinels": "sentinel_setup"}.get(request.param)
    setup: Any = request.getfixturevalue(name or "cluster_setup")
    return str(setup.url(socket_timeout=TIMEOUT))


async def enter(store: LockStore, name: str) -> str:
    async with store.lock(name):
        return "entered"


async def block(steps: int) -> str:
    for _ in range(steps):
        await asyncio.sleep(0)
    time.sleep(BLOCKED)  # noqa: ASYNC251 - as somebody's handler does
    return "blocked"


@pytest.mark.parametrize("steps", STEPS)
async def test_it_is_blocked_while_connections_are_made(
    url: str, caplog: pytest.LogCaptureFixture, steps: int
) -> None:
    async with LockStore.create(url) as store:
        # Of the same conversation only one can go out over a connection that is not proven.
        entering = [enter(store, name) for name in ("c", "c", "d")]
        done = await asyncio.gather(*entering, block(steps), enter(store, "e"))
    assert done == ["entered"] * 3 + ["blocked", "entered"]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("steps", [0, 1])
async def test_it_is_blocked_while_calls_are_under_way(
    url: str, caplog: pytest.LogCaptureFixture, steps: int
) -> None:
    async with LockStore.create(url) as store:
        names = [f"c{index}" for index in range(40)]  # more than may go out at once
        await asyncio.gather(*(enter(store, name) for name in names))
        entering = [enter(store, name) for name in (*names, *names)]
        done = await asyncio.gather(*entering, block(steps), enter(store, "e"))
    assert done.count("entered") == 81
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_trouble_that_is_over_explains_nothing() -> None:
    loop = asyncio.get_running_loop()
    server = Dialler(Login(), None, 2.0).server("here", host="nobody dials", port=1)
    trouble = RedisTrouble(loop, server.outage, 1.0)

    def ask() -> Call:
        args = ("take", "owner")
        return Call(b"key", args, args, loop.create_future(), loop.time(), 1.0)

    before = ask()
    await asyncio.sleep(0.01)
    trouble.note(ConnectionError("the cable was cut"))
    await asyncio.sleep(0.01)
    assert "the cable was cut" in str(trouble.too_late(before))
    assert "the cable was cut" not in str(trouble.too_late(ask()))
    trouble.is_over([before])
    assert "the cable was cut" not in str(trouble.too_late(before))
