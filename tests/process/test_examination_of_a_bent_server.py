"""A server behind a network that bends what it says: another time, late, or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING

import pytest

from nowserving import Finding, LockStore
from nowserving.stores.redis.examining import version
from nowserving.stores.redis.examining.place import Told
from tests.support.redis_server import HOST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.support.redis_server import RedisServer

_TIME = re.compile(rb"(?<=\*2\r\n\$10\r\n)\d{10}(?=\r\n)")


@contextlib.asynccontextmanager
async def bent(
    server: RedisServer, bend: Callable[[bytes], bytes | None], delay: float = 0.0
) -> AsyncIterator[str]:
    """Stand before a server, and bend each piece of its replies; None for a piece that is lost."""

    async def carry(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, replies: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                if replies:
                    await asyncio.sleep(delay)
                said = bend(data) if replies else data
                if said is not None:
                    writer.write(said)
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, to_them = await asyncio.open_connection(HOST, server.port)
        await asyncio.gather(
            carry(reader, to_them, replies=False), carry(theirs, writer, replies=True)
        )
        over.append(asyncio.gather(writer.wait_closed(), to_them.wait_closed()))

    over: list[asyncio.Future[tuple[None, None]]] = []
    listening = await asyncio.start_server(connected, HOST, 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        yield f"redis://{HOST}:{port}/1"
        await asyncio.sleep(2 * delay + 0.1)  # whoever was here has hung up by now
        for each in over:
            await each


async def found(url: str, check: str) -> Finding:
    async with LockStore.create(url) as store:
        examination = await store.examine()
    (one,) = [each for each in examination.findings if each.check == check]
    return one


@pytest.mark.parametrize(("ahead", "verdict"), [(20, "note"), (-20, "note"), (3600, "warning")])
async def test_a_clock_that_is_off(redis_server: RedisServer, ahead: int, verdict: str) -> None:
    def bend(data: bytes) -> bytes:
        return _TIME.sub(lambda time: b"%d" % (int(time.group()) + ahead), data)

    async with bent(redis_server, bend) as url:
        clock = await found(f"{url}?lock_lifetime=60", "clock")
    assert clock.verdict == verdict
    assert clock.figures["ahead_seconds"] == pytest.approx(ahead, abs=2)
    assert "NTP" in clock.remedy


async def test_a_server_that_is_far_away(redis_server: RedisServer) -> None:
    async with bent(redis_server, lambda data: data, delay=0.02) as url:
        latency = await found(url, "latency")
    assert latency.verdict in {"note", "warning"}
    assert latency.figures["median_seconds"] > 0.02
    assert latency.remedy


async def test_pushes_that_get_lost(redis_server: RedisServer) -> None:
    async with bent(redis_server, lambda data: None if b"message" in data else data) as url:
        push = await found(url, "push")
    assert push.verdict == "warning"
    assert push.figures["missed"] > 0
    assert redis_server.cli("EXISTS", "lock:{}") == 0


async def test_a_server_that_falls_silent_on_the_way(redis_server: RedisServer) -> None:
    def bend(data: bytes) -> bytes | None:
        return None if _TIME.search(data) else data

    async with bent(redis_server, bend) as url:
        address = await found(f"{url}?socket_timeout=1", "address")
    assert address.verdict == "broken"
    assert "no answer in time" in address.found


@pytest.mark.parametrize(
    ("hello", "info", "what", "verdict"),
    [
        ({"server": "redis", "version": "6.0.16"}, {}, "Redis 6.0.16", "broken"),
        ({"server": "redis", "version": "6.2.14"}, {}, "Redis 6.2.14", "fine"),
        ({"server": "valkey", "version": "9.1.0"}, {}, "Valkey 9.1.0", "fine"),
        ({}, {"redis_version": "7.2.4", "valkey_version": "8.0.1"}, "Valkey 8.0.1", "fine"),
        ({}, {"redis_version": "6.3.4", "mvcc_depth": "0"}, "KeyDB 6.3.4", "warning"),
        ({}, {"dragonfly_version": "df-v1.27.1"}, "Dragonfly 1.27.1", "warning"),
        ({}, {}, "could not be told", "note"),
    ],
)
def test_versions(hello: dict[str, str], info: dict[str, str], what: str, verdict: str) -> None:
    (told,) = version.examine(Told("a server", hello, info, {}))
    assert told.found.startswith(what)
    assert told.verdict == verdict
