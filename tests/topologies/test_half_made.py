"""Connections that are given up while they are made: nothing stays open, nobody complains."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nowserving import RedisLockStore
from nowserving.stores.redis.connection.credentials import Login
from nowserving.stores.redis.connection.dial import Dialler
from nowserving.stores.redis.connection.tls import Tls
from tests.support.redis_server import HOST, RedisServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.tls import Certificates

WAYS = ["tcp", "tls", "unix", "silence", "silence instead of tls"]
STEPS = 40
"""Of the loop, after which it is given up: a connection is made in less."""


@pytest.fixture(params=["asyncio", "uvloop"])
def new_loop(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    module: Any = asyncio if request.param == "asyncio" else pytest.importorskip("uvloop")
    make: Callable[[], asyncio.AbstractEventLoop] = module.new_event_loop
    return make


@pytest.fixture(scope="module")
def unix_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("unix") / "redis.sock"
    with RedisServer("--unixsocket", str(path)):
        yield str(path)


@pytest.fixture(params=WAYS)
def way(
    request: pytest.FixtureRequest,
    tls_server: tuple[RedisServer, int],
    unix_socket: str,
    certificates: Certificates,
    client_certificate: tuple[Path, Path],
) -> Iterator[dict[str, Any]]:
    """Arguments of a store."""
    tls: dict[str, Any] = {
        "use_ssl": True,
        "ssl_ca_certs": str(certificates.authority),
        "ssl_certfile": str(client_certificate[0]),
        "ssl_keyfile": str(client_certificate[1]),
    }
    with socket.socket() as silent:
        silent.bind((HOST, 0))
        silent.listen(500)
        port = silent.getsockname()[1]
        yield {
            "tcp": {"host": HOST, "port": tls_server[0].port},
            "tls": {"host": HOST, "port": tls_server[1], **tls},
            "unix": {"unix_socket": unix_socket},
            "silence": {"host": HOST, "port": port},
            "silence instead of tls": {"host": HOST, "port": port, **tls},
        }[request.param]


def descriptors() -> int:
    return sum(1 for _ in Path("/dev/fd").iterdir())


def some_time(steps: int) -> float:
    """Return how long to wait at a step: a server needs some for its answers."""
    return 0.001 if steps % 4 == 0 else 0.0


def dialler_and_address(way: dict[str, Any]) -> tuple[Dialler, dict[str, Any]]:
    tls = {name: value for name, value in way.items() if name.startswith("ssl_")}
    address: dict[str, Any] = {name: way[name] for name in ("host", "port") if name in way}
    if "unix_socket" in way:
        address = {"path": way["unix_socket"]}
    return Dialler(Login(db=1), Tls(tls) if tls else None, 4.0), address


def is_ours(record: logging.LogRecord) -> bool:
    """Return whether a warning is not uvloop's own.

    Its TLS protocol may be about to write when the transport below is aborted, and logs that.
    """
    uvloops = "uvloop" in record.getMessage() and "SSL protocol" in record.getMessage()
    return record.levelno >= logging.WARNING and not uvloops


def test_a_connection_that_is_cancelled_in_any_step(
    redis_server: RedisServer,
    new_loop: Callable[[], asyncio.AbstractEventLoop],
    way: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def work() -> None:
        dialler, address = dialler_and_address(way)
        await warm_up(redis_server)
        before = descriptors()
        for steps in range(STEPS):
            dialling = asyncio.ensure_future(dialler.connect(**address))
            for step in range(steps):
                await asyncio.sleep(some_time(step))
            dialling.cancel()
            await asyncio.wait([dialling])
            if not dialling.cancelled():
                dialling.result().close()
            await until(lambda: descriptors() <= before)

    loop = new_loop()
    loop.run_until_complete(work())
    loop.close()
    assert not [record for record in caplog.records if is_ours(record)]


async def warm_up(server: RedisServer) -> None:
    """Make a connection: uvloop opens something with the first one that it keeps."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(asyncio.Protocol, HOST, server.port)
    transport.abort()
    await asyncio.sleep(0.01)


async def until(what: Callable[[], bool]) -> None:
    over = time.monotonic() + 2.0
    while not what():
        assert time.monotonic() < over
        await asyncio.sleep(0.001)


def test_a_loop_that_is_closed_in_any_step_of_a_connection(
    redis_server: RedisServer,
    new_loop: Callable[[], asyncio.AbstractEventLoop],
    way: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with warnings.catch_warnings():
        if new_loop is not asyncio.new_event_loop:
            # uvloop says so of each transport that is there, and closes it.
            warnings.simplefilter("ignore", ResourceWarning)
        loops_that_end_while_they_connect(new_loop, lambda loop: loop.close(), way, redis_server)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_loop_that_is_dropped_in_any_step_of_a_connection(
    redis_server: RedisServer, way: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Not one of uvloop's, which keeps all of a loop that nobody closes, itself as well."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the loop says that nobody has closed it
        loops_that_end_while_they_connect(asyncio.new_event_loop, lambda _: None, way, redis_server)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def loops_that_end_while_they_connect(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
    end: Callable[[asyncio.AbstractEventLoop], None],
    way: dict[str, Any],
    server: RedisServer,
) -> None:
    async def begin(steps: int) -> None:
        queue: Any = store._runtime.queue
        queue.connections.here().session.call(b"", ("PING",))
        for step in range(steps):
            await asyncio.sleep(some_time(step))

    loop = new_loop()
    loop.run_until_complete(warm_up(server))
    loop.close()
    gc.collect()
    before = descriptors()
    with RedisLockStore(**way) as store:
        for steps in range(STEPS):
            loop = new_loop()
            loop.run_until_complete(begin(steps))
            end(loop)
            del loop
            gc.collect()
            assert descriptors() <= before
