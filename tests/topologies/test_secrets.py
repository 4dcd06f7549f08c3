"""No secret is told, whoever quotes it: a server, redis-py, a credential provider."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

import pytest
import redis

from nowserving import RedisLockStore, StoreUnavailable
from tests.support.redis_server import HOST, RedisServer
from tests.support.secrecy import assert_untold, sameness, seen
from tests.support.sentinel import SERVICE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

LONG = "sesame:open/up@now"
SHORT = ["p", "a", "redis", "AUTH", "ERR", "1"]  # each of which is in some word of ours

Make = Any  # a function of a password that returns a store


@pytest.fixture(autouse=True)
def everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("asyncio").setLevel(logging.INFO)  # it tells which selector it uses


@contextlib.asynccontextmanager
async def parrot(before: bytes) -> AsyncIterator[int]:
    """Answer every command with an error that quotes it whole, as a proxy might."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while heard := await reader.read(10_000):
                said = b" ".join(heard.split())
                writer.write(before + said + b"\r\n")
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, HOST, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


class Gossip(redis.CredentialProvider):
    """A provider that tells what it should not."""

    def __init__(self, kind: type[Exception], password: str) -> None:
        self._error = kind(f"the token {password} has expired")

    def get_credentials(self) -> tuple[str, str]:
        raise self._error

    async def get_credentials_async(self) -> tuple[str, str]:
        raise self._error


async def attempt(
    store: RedisLockStore, caplog: pytest.LogCaptureFixture
) -> tuple[list[str], StoreUnavailable]:
    caplog.clear()
    async with store:
        with pytest.raises(StoreUnavailable) as told:
            async with store.lock("c"):
                pass
        await asyncio.sleep(0.05)  # the inbox has failed as well
        return seen(store, caplog, told.value), told.value


async def assert_secret(
    make: Callable[[str], RedisLockStore], caplog: pytest.LogCaptureFixture
) -> str:
    """Check that nothing depends on the password, and return what is told."""
    store = make(LONG)
    texts, error = await attempt(store, caplog)
    assert_untold([LONG, "sesame"], store, caplog, error)
    for password in SHORT:
        others, _ = await attempt(make(password), caplog)
        assert sameness(others) == sameness(texts), password
    return str(error)


LIMIT: Any = {"socket_timeout": 0.6}


@pytest.mark.parametrize(
    "before", [b"-ERR unknown command ", b"-ERR ", b"-", b"-WRONGPASS ", b"-NOAUTH ", b"+", b"?"]
)
@pytest.mark.parametrize("kind", ["one server", "sentinels", "cluster"])
async def test_whatever_a_server_quotes(
    caplog: pytest.LogCaptureFixture, before: bytes, kind: str
) -> None:
    async with parrot(before) as port:
        endpoints = [f"{HOST}:{port}"]

        def make(password: str) -> RedisLockStore:
            if kind == "one server":
                return RedisLockStore(HOST, port, password=password, **LIMIT)
            if kind == "cluster":
                return RedisLockStore(
                    deployment_mode="cluster", endpoints=endpoints, password=password, **LIMIT
                )
            return RedisLockStore(
                deployment_mode="sentinel",
                endpoints=endpoints,
                sentinel_service=SERVICE,
                sentinel_password=password,
                password=password,
                **LIMIT,
            )

        await assert_secret(make, caplog)


async def test_a_server_that_has_auth_renamed(caplog: pytest.LogCaptureFixture) -> None:
    with RedisServer("--rename-command", "AUTH", "OPEN") as server:
        told = await assert_secret(
            lambda password: RedisLockStore(HOST, server.port, password=password, **LIMIT), caplog
        )
    assert "does not know AUTH" in told


@pytest.mark.parametrize("kind", [LookupError, OSError, redis.ConnectionError, UnicodeError])
async def test_a_credential_provider_that_tells(
    caplog: pytest.LogCaptureFixture, kind: type[Exception]
) -> None:
    with RedisServer() as server:

        def make(password: str) -> RedisLockStore:
            provider = Gossip(kind, password)
            return RedisLockStore(HOST, server.port, credential_provider=provider, **LIMIT)

        told = await assert_secret(make, caplog)
    assert f"the credential provider raised {kind.__name__}" in told


async def test_a_password_that_can_not_be_sent(caplog: pytest.LogCaptureFixture) -> None:
    with RedisServer() as server:
        texts = [
            (await attempt(RedisLockStore(HOST, server.port, password=password), caplog))[0]
            for password in ("x\udc80", "yy\udc90")
        ]
    assert sameness(texts[0]) == sameness(texts[1])
