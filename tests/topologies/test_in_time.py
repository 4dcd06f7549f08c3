"""``StoreUnavailable`` comes within ``socket_timeout``, whatever does not answer."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from nowserving import LockStore, RedisLockStore, StoreUnavailable
from nowserving.protocol.status import Admission
from tests.support.redis_server import HOST, RedisServer
from tests.support.sentinel import SERVICE

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT = 0.6  # seconds
ROOM = 0.15  # the law says 0.05, on a machine that does nothing else


async def take(store: LockStore, name: str = "c") -> None:
    queue: Any = store._runtime.queue
    handle = queue.handle(name)
    await queue.take(handle, Admission(30.0))
    await queue.leave(handle, "done")


async def assert_told_in_time(store: LockStore) -> None:
    async def told(name: str) -> float:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match="did not answer in time"):
            await take(store, name)
        return time.monotonic() - began

    names = [*("c", "c", "d", "e"), *(f"c{index}" for index in range(40))]
    for took in await asyncio.gather(*map(told, names)):
        assert TIMEOUT - 0.01 < took < TIMEOUT + ROOM


@pytest.mark.parametrize("silence", ["frozen", "paused", "gone", "without replicas"])
async def test_a_server_that_answered_before(silence: str) -> None:
    with RedisServer() as server:
        async with LockStore.create(server.url(socket_timeout=TIMEOUT)) as store:
            await asyncio.gather(take(store, "c"), take(store, "d"))
            if silence == "frozen":
                server.pause()
            elif silence == "paused":
                server.cli("CLIENT", "PAUSE", "10000", "ALL")
            elif silence == "gone":
                server.stop()
            else:
                server.cli("CONFIG", "SET", "min-replicas-to-write", "3")
            await assert_told_in_time(store)


@contextlib.contextmanager
def black_holes(count: int, *, full: bool) -> Iterator[list[int]]:
    """Open ports at which nothing is ever answered, and when they are full nobody is let in."""
    with contextlib.ExitStack() as stack:
        listening = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in listening:
            each.bind((HOST, 0))
            each.listen(0 if full else 100)
            for _ in range(3 if full else 0):
                one = stack.enter_context(socket.socket())
                one.settimeout(0.0)
                with contextlib.suppress(BlockingIOError):
                    one.connect(each.getsockname())
        yield [each.getsockname()[1] for each in listening]


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("kind", ["one server", "tls", "sentinels", "cluster"])
async def test_an_address_that_swallows_everything(kind: str, *, full: bool) -> None:
    with black_holes(3, full=full) as ports:
        addresses: Any = [f"{HOST}:{port}" for port in ports]
        settings: Any = {"socket_timeout": TIMEOUT}
        if kind == "sentinels":
            settings |= {"deployment_mode": "sentinel", "sentinel_service": SERVICE}
            store = RedisLockStore(endpoints=addresses, **settings)
        elif kind == "cluster":
            store = RedisLockStore(endpoints=addresses, deployment_mode="cluster", **settings)
        else:
            store = RedisLockStore(HOST, ports[0], use_ssl=kind == "tls", **settings)
        async with store:
            await assert_told_in_time(store)


async def test_a_name_with_several_addresses_at_none_of_which_anybody_listens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As ``localhost`` often is: that nobody is there is told after a second, not as an outage."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
        for address in (HOST, "127.0.0.2")
    ]

    async def resolve(*_: object, **__: object) -> list[Any]:
        return found

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    async with RedisLockStore("several", port) as store:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match="can't be reached"):
            await take(store)
        assert 0.9 < time.monotonic() - began < 3.0
