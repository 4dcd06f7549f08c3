"""Every way to reach one server: TCP, TLS, a unix socket, an ACL user, a ready client."""

from __future__ import annotations

import asyncio
import logging
import tempfile
import time
from typing import TYPE_CHECKING, Any

import pytest
import redis.asyncio
from redis.asyncio.sentinel import Sentinel

from nowserving import ConfigurationError, LockStore, RedisLockStore, StoreUnavailable
from tests.support.redis_server import HOST, RESP2, RedisServer
from tests.support.secrecy import assert_untold
from tests.support.sentinel import SERVICE
from tests.support.tasks import take_turns

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.cluster import ClusterSetup
    from tests.support.sentinel import SentinelSetup
    from tests.support.tls import Certificates

PASSWORD = "pass:word/with@signs"  # noqa: S105 - the test's own
ALLOWED = tuple(
    f"+{name}"
    for name in (
        *("eval", "evalsha", "select", "subscribe", "ping"),
        *("time", "exists", "hget", "hmget", "hset", "hsetnx", "hdel", "pexpire", "publish"),
    )
)
"""What docs/redis.md lists: these commands and no other."""


@pytest.fixture
def acl_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        keys = ["~lock:*", "&lock:inbox:*"]
        server.cli("ACL", "SETUSER", "locker", "on", f">{PASSWORD}", *keys, "-@all", *ALLOWED)
        server.cli("ACL", "SETUSER", "admin", "on", ">admin", "~*", "&*", "+@all")
        server.cli("ACL", "SETUSER", "default", "off")
        yield server


async def test_an_acl_user_with_the_listed_commands(acl_server: RedisServer) -> None:
    store = RedisLockStore(HOST, acl_server.port, username="locker", password=PASSWORD)
    await take_turns(store)


async def test_an_acl_user_in_a_cluster(cluster_setup: ClusterSetup) -> None:
    for server in cluster_setup.servers:
        keys = ["~lock:*", "&lock:inbox:*"]
        more = ["+cluster|slots", "+asking"]
        server.cli(
            "ACL", "SETUSER", "locker", "on", f">{PASSWORD}", *keys, "-@all", *ALLOWED, *more
        )
    store = RedisLockStore(
        deployment_mode="cluster",
        endpoints=cluster_setup.endpoints,
        username="locker",
        password=PASSWORD,
    )
    await take_turns(store)


async def test_the_further_commands_that_an_acl_user_may_need(acl_server: RedisServer) -> None:
    with acl_server_client(acl_server) as client:
        client.execute_command("ACL", "SETUSER", "locker", "+wait", "+scan")
    store = RedisLockStore(
        HOST, acl_server.port, username="locker", password=PASSWORD, min_replicas=1
    )
    async with store, store.lock("c"):
        assert [name async for name in store._runtime.queue.conversations()] == ["c"]
    assert store.unconfirmed == 1


async def test_the_password_is_told_nowhere(
    acl_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = "not-" + PASSWORD
    async with RedisLockStore(HOST, acl_server.port, username="locker", password=wrong) as store:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match="refused the connection") as told:
            async with store.lock("c"):
                pass
        assert time.monotonic() - began < 2.0, "another attempt would end just so"
        assert_untold([PASSWORD], store, caplog, told.value)


@pytest.mark.parametrize("denied", ["hset", "evalsha", "publish", "subscribe"])
async def test_a_denied_command_is_named_or_done_without(
    acl_server: RedisServer, denied: str
) -> None:
    with acl_server_client(acl_server) as client:
        client.execute_command("ACL", "SETUSER", "locker", f"-{denied}")
    async with RedisLockStore(HOST, acl_server.port, username="locker", password=PASSWORD) as store:
        if denied in {"publish", "subscribe"}:  # slower, that's all
            async with store.lock("c") as first:
                waiter = asyncio.create_task(enter(store, "c", 0.1))
                await asyncio.sleep(0.1)
            assert await waiter == first.ticket + 1
        else:
            with pytest.raises(StoreUnavailable, match=r"(?i)no permissions|can't run this|NOPERM"):
                await enter(store, "c", 0.1)


def acl_server_client(server: RedisServer) -> redis.Redis:
    return redis.Redis(host=HOST, port=server.port, username="admin", password="admin")  # noqa: S106


async def enter(store: LockStore, conversation: str, look: float) -> int:
    async with store.lock(conversation, wait_time_in_seconds=look) as lock:
        return lock.ticket


class Provider(redis.CredentialProvider):
    """Gives a new password at each connection, as a cloud's token service does."""

    def __init__(self) -> None:
        self.asked = 0

    def get_credentials(self) -> tuple[str, str]:
        self.asked += 1
        return "locker", PASSWORD


async def test_a_credential_provider(acl_server: RedisServer) -> None:
    provider = Provider()
    await take_turns(RedisLockStore(HOST, acl_server.port, credential_provider=provider))
    assert provider.asked >= 2
    with pytest.raises(ConfigurationError, match="credential_provider"):
        RedisLockStore(credential_provider=provider, password="x")  # noqa: S106


class BrokenProvider(redis.CredentialProvider):
    def get_credentials(self) -> tuple[str, str]:
        raise LookupError("no token today")


async def test_a_credential_provider_that_fails_says_why() -> None:
    with RedisServer() as server:
        provider = BrokenProvider()
        async with RedisLockStore(HOST, server.port, credential_provider=provider) as store:
            with pytest.raises(StoreUnavailable, match="provider raised LookupError") as told:
                await enter(store, "c", 1.0)
            assert "no token" not in str(told.value), "what it says may hold one"


@pytest.mark.parametrize("scheme", ["unix", "redis+unix"])
async def test_a_unix_socket(scheme: str) -> None:
    with tempfile.TemporaryDirectory(prefix="ns") as folder:  # the path must be short
        path = f"{folder}/redis.sock"
        with RedisServer("--unixsocket", path) as server:
            await take_turns(LockStore.create(f"{scheme}://{path}?db=3"))
            await take_turns(RedisLockStore(unix_socket=path))
            assert "db3" in server.cli("INFO", "keyspace")


async def test_a_socket_that_is_not_there_is_told_soon() -> None:
    async with RedisLockStore(unix_socket="/nowhere/redis.sock") as store:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match=r"/nowhere/redis\.sock"):
            await enter(store, "c", 1.0)
        assert 0.9 < time.monotonic() - began < 4.0


# TLS


def tls_url(
    port: int, certificates: Certificates, pair: tuple[Path, Path] | None, host: str
) -> str:
    url = f"rediss://{host}:{port}/1?ssl_ca_certs={certificates.authority}"
    return url if pair is None else f"{url}&ssl_certfile={pair[0]}&ssl_keyfile={pair[1]}"


async def test_tls_with_a_client_certificate(
    tls_server: tuple[RedisServer, int],
    certificates: Certificates,
    client_certificate: tuple[Path, Path],
) -> None:
    url = tls_url(tls_server[1], certificates, client_certificate, HOST)
    await take_turns(LockStore.create(url))


async def test_tls_without_a_client_certificate_is_refused(
    tls_server: tuple[RedisServer, int], certificates: Certificates
) -> None:
    url = tls_url(tls_server[1], certificates, None, HOST) + "&socket_timeout=2"
    async with LockStore.create(url) as store:
        with pytest.raises(StoreUnavailable):
            await enter(store, "c", 1.0)


async def test_a_server_that_nobody_vouches_for_is_refused(
    tls_server: tuple[RedisServer, int],
) -> None:
    async with RedisLockStore(HOST, tls_server[1], use_ssl=True) as store:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match=r"(?i)certificate"):
            await enter(store, "c", 1.0)
        assert time.monotonic() - began < 4.0


async def test_a_certificate_for_another_host_is_refused_unless_that_is_switched_off(
    tls_server: tuple[RedisServer, int],
    certificates: Certificates,
    client_certificate: tuple[Path, Path],
) -> None:
    url = tls_url(tls_server[1], certificates, client_certificate, "localhost")
    async with LockStore.create(url) as store:
        with pytest.raises(StoreUnavailable, match=r"(?i)certificate|hostname"):
            await enter(store, "c", 1.0)
    await take_turns(LockStore.create(f"{url}&ssl_check_hostname=false"))


def test_a_certificate_file_that_is_not_there_is_told_at_once() -> None:
    with pytest.raises(ConfigurationError, match="ssl_ca_certs"):
        RedisLockStore(use_ssl=True, ssl_ca_certs="/nowhere/ca.pem")


# A ready client


async def test_a_ready_client_is_a_template(redis_server: RedisServer) -> None:
    client = redis.asyncio.Redis(host=HOST, port=redis_server.port, db=5, decode_responses=False)
    await take_turns(RedisLockStore(client=client))
    assert not client.connection_pool._available_connections
    assert "db5" in redis_server.cli("INFO", "keyspace")


async def test_a_ready_client_with_tls(
    tls_server: tuple[RedisServer, int],
    certificates: Certificates,
    client_certificate: tuple[Path, Path],
) -> None:
    certificate, key = map(str, client_certificate)
    client = redis.asyncio.Redis(
        host=HOST,
        port=tls_server[1],
        ssl=True,
        ssl_ca_certs=str(certificates.authority),
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    await take_turns(RedisLockStore(client=client))


async def test_a_ready_client_from_a_sentinel(sentinel_setup: SentinelSetup) -> None:
    addresses = [(HOST, port) for port in sentinel_setup.ports]
    sentinel: Any = Sentinel(addresses, **RESP2)  # type: ignore[no-untyped-call]
    await take_turns(RedisLockStore(client=sentinel.master_for(SERVICE, db=2)))
    with pytest.raises(ConfigurationError, match="master_for"):
        RedisLockStore(client=sentinel.slave_for(SERVICE))


async def test_a_ready_cluster_client(cluster_setup: ClusterSetup) -> None:
    client = redis.asyncio.RedisCluster(host=HOST, port=cluster_setup.servers[0].port)
    try:
        await take_turns(RedisLockStore(client=client))
    finally:
        await client.aclose() if hasattr(client, "aclose") else await client.close()


def test_what_is_no_asyncio_client_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"redis\.asyncio"):
        RedisLockStore(client=redis.Redis())
