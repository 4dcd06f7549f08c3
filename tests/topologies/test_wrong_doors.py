"""What is configured does not fit what is there: told at once, with what to change."""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from nowserving import RedisLockStore, StoreUnavailable
from tests.support.redis_server import HOST, RedisServer
from tests.support.sentinel import SERVICE
from tests.support.tls import TlsServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.support.cluster import ClusterSetup
    from tests.support.sentinel import SentinelSetup
    from tests.support.tls import Certificates

AT_ONCE = 1.5  # seconds; the limit is ten


@pytest.fixture(scope="module")
def both(certificates: Certificates) -> Iterator[TlsServer]:
    """A server with a plain and a TLS port."""
    with TlsServer(certificates.identity()) as server:
        yield server


async def refusal(store: RedisLockStore) -> str:
    """Return what is told, at once, and again the next time."""
    told = []
    async with store:
        for _ in range(2):
            began = time.monotonic()
            with pytest.raises(StoreUnavailable) as failed:
                async with store.lock("c"):
                    pass
            assert time.monotonic() - began < AT_ONCE
            told.append(str(failed.value))
    assert told[0] == told[1]
    return told[0]


async def test_a_database_that_is_not_there(redis_server: RedisServer) -> None:
    told = await refusal(RedisLockStore(HOST, redis_server.port, db=99))
    assert f"{HOST}:{redis_server.port}/99" in told
    assert "no database 99 (DB index is out of range): choose a smaller db" in told


@pytest.mark.parametrize("db", [0, 1])
@pytest.mark.parametrize("password", [None, "secret"])
async def test_tls_is_spoken_and_we_do_not(both: TlsServer, db: int, password: str | None) -> None:
    told = await refusal(RedisLockStore(HOST, both.tls_port, db=db, password=password))
    assert f"{HOST}:{both.tls_port}" in told
    assert "speaks TLS at this port: set use_ssl (rediss://" in told


@pytest.mark.parametrize("db", [0, 1])
async def test_no_tls_is_spoken_and_we_do(
    both: TlsServer, certificates: Certificates, db: int
) -> None:
    settings: Any = {"use_ssl": True, "ssl_ca_certs": str(certificates.authority)}
    told = await refusal(RedisLockStore(HOST, both.port, db=db, **settings))
    assert f"{HOST}:{both.port}" in told
    assert "does not speak TLS at this port: leave use_ssl out (redis://" in told


@contextlib.contextmanager
def web_server() -> Iterator[int]:
    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer((HOST, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize("db", [0, 1])
@pytest.mark.parametrize("tls", [False, True])
async def test_a_web_server(db: int, *, tls: bool) -> None:
    with web_server() as port:
        told = await refusal(RedisLockStore(HOST, port, db=db, use_ssl=tls))
    assert ("does not speak TLS" if tls else "does not speak Redis's protocol") in told


async def test_a_node_of_a_cluster_as_one_server(cluster_setup: ClusterSetup) -> None:
    told = await refusal(RedisLockStore(HOST, cluster_setup.servers[0].port))
    assert "it is a node of a cluster" in told
    assert "set deployment_mode: cluster" in told


async def test_a_sentinel_as_a_server(sentinel_setup: SentinelSetup) -> None:
    assert "does not know SELECT: is it the right port?" in await refusal(
        RedisLockStore(HOST, sentinel_setup.ports[0])
    )


async def test_a_server_as_a_sentinel(redis_server: RedisServer) -> None:
    endpoint = f"{HOST}:{redis_server.port}"
    store = RedisLockStore(
        endpoints=[endpoint], deployment_mode="sentinel", sentinel_service=SERVICE
    )
    assert f"{endpoint}: it does not know SENTINEL: is it the right port?" in await refusal(store)


# Credentials


@pytest.fixture
def guarded() -> Iterator[RedisServer]:
    with RedisServer() as server:
        server.cli(
            "ACL", "SETUSER", "locker", "reset", "on", ">hers", "~*", "&*", "+@all", "-select"
        )
        server.cli("ACL", "SETUSER", "admin", "on", ">his", "~*", "&*", "+@all")
        server.cli("CONFIG", "SET", "requirepass", "by-now")
        yield server


@pytest.mark.parametrize("db", [0, 1])
async def test_what_is_wrong_with_the_credentials(guarded: RedisServer, db: int) -> None:
    def store(**login: Any) -> RedisLockStore:
        return RedisLockStore(HOST, guarded.port, db=db, **login)

    assert "asks for authentication (NOAUTH): set password" in await refusal(store())
    told = await refusal(store(password="nothing"))  # noqa: S106
    assert "refuses the default user with this password (WRONGPASS)" in told
    told = await refusal(store(username="nobody", password="nothing"))  # noqa: S106
    assert "refuses user 'nobody' with this password (WRONGPASS)" in told
    if db:
        told = await refusal(store(username="locker", password="hers"))  # noqa: S106
        assert "user 'locker' may not do what a connection begins with (NOPERM)" in told


async def test_a_password_that_nobody_asks_for(redis_server: RedisServer) -> None:
    store = RedisLockStore(HOST, redis_server.port, password="more")  # noqa: S106
    assert "no password for the default user: leave password out" in await refusal(store)


@contextlib.asynccontextmanager
async def answering(words: bytes) -> AsyncIterator[int]:
    """Answer whoever comes with this, and hang up."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(words)
        await writer.drain()
        await reader.read(100)
        writer.close()

    server = await asyncio.start_server(answer, HOST, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_protected_mode() -> None:
    reason = b"-DENIED Redis is running in protected mode because protected mode is enabled.\r\n"
    async with answering(reason) as port:
        assert "it is in protected mode" in await refusal(RedisLockStore(HOST, port))


async def test_a_server_that_hangs_up_may_be_about_to_restart() -> None:
    async with answering(b"") as port, RedisLockStore(HOST, port, socket_timeout=1.0) as store:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match=r"did not answer in time.*connection"):
            async with store.lock("c"):
                pass
        assert time.monotonic() - began > 0.9
