"""Every way to reach one server: TCP, TLS, a unix socket, an ACL user, a ready client."""

from __future__ import annotations

import asyncio
import logging
import shutil
import ssl
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
        server.cli(
            "ACL", "SETUSER", "locker", "reset", "on", f">{PASSWORD}", *keys, "-@all", *ALLOWED
        )
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
            "ACL",
            "SETUSER",
            "locker",
            "reset",
            "on",
            f">{PASSWORD}",
            *keys,
            "-@all",
            *ALLOWED,
            *more,
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


class AsyncProvider(redis.CredentialProvider):
    """As newer versions of redis-py ask for them, and nothing else."""

    async def get_credentials_async(self) -> tuple[str, str]:
        await asyncio.sleep(0)
        return "locker", PASSWORD


class DuckProvider:
    """Has redis-py's method, and nothing of redis-py."""

    def get_credentials(self) -> tuple[str, str]:
        return "locker", PASSWORD


@pytest.mark.parametrize("provider", [AsyncProvider(), DuckProvider()])
async def test_a_credential_provider_of_another_kind(
    acl_server: RedisServer, provider: object, caplog: pytest.LogCaptureFixture
) -> None:
    await take_turns(RedisLockStore(HOST, acl_server.port, credential_provider=provider))
    assert not caplog.records


@pytest.mark.parametrize("given", [None, "a-token", (), ("a", "b", "c")])
async def test_a_credential_provider_that_gives_something_else(
    redis_server: RedisServer, given: object
) -> None:
    class Confused(redis.CredentialProvider):
        def get_credentials(self) -> Any:
            return given

    async with RedisLockStore(HOST, redis_server.port, credential_provider=Confused()) as store:
        with pytest.raises(StoreUnavailable, match=r"neither \(user, password\) nor \(password,\)"):
            await enter(store, "c", 1.0)


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


async def test_a_ready_client_brings_its_login_and_its_name(acl_server: RedisServer) -> None:
    client = redis.asyncio.Redis(
        host=HOST,
        port=acl_server.port,
        username="locker",
        password=PASSWORD,
        db=2,
        client_name="desk-7",
    )
    with acl_server_client(acl_server) as admin:
        admin.execute_command("ACL", "SETUSER", "locker", "+client|setname")
        async with RedisLockStore(client=client) as store, store.lock("c"):
            known = [each for each in admin.client_list() if each["user"] == "locker"]
    assert {each["name"] for each in known} == {"desk-7"}
    assert {each["db"] for each in known} == {"2"}


async def test_a_ready_client_with_a_unix_socket() -> None:
    with tempfile.TemporaryDirectory(prefix="ns") as folder:
        path = f"{folder}/redis.sock"
        with RedisServer("--unixsocket", path) as server:
            server.cli(
                "ACL", "SETUSER", "locker", "reset", "on", f">{PASSWORD}", "~*", "&*", "+@all"
            )
            await take_turns(
                RedisLockStore(
                    client=redis.asyncio.Redis(
                        unix_socket_path=path, username="locker", password=PASSWORD
                    )
                )
            )


def template(**settings: Any) -> redis.asyncio.Redis:
    """Return a client with TLS settings that this version of redis-py may not know yet."""
    pool: Any = redis.asyncio.ConnectionPool(
        connection_class=redis.asyncio.SSLConnection, host=HOST, **settings
    )
    return redis.asyncio.Redis(connection_pool=pool)


async def test_a_ready_client_with_all_that_can_be_said_of_tls(
    tls_server: tuple[RedisServer, int],
    certificates: Certificates,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    certificate, key = certificates.issue("locked client")
    locked = certificates.lock(key, PASSWORD)
    login: dict[str, Any] = {
        "port": tls_server[1],
        "ssl_certfile": str(certificate),
        "ssl_keyfile": str(locked),
    }
    trusted = certificates.authority.read_text()
    await take_turns(
        RedisLockStore(
            client=template(
                ssl_ca_data=trusted,
                ssl_ciphers="ECDHE+AESGCM",
                ssl_cert_reqs=ssl.CERT_REQUIRED,
                ssl_check_hostname=True,
                ssl_min_version=ssl.TLSVersion.TLSv1_2,
                ssl_password=PASSWORD,
                ssl_include_verify_flags=[ssl.VerifyFlags.VERIFY_X509_TRUSTED_FIRST],
                ssl_exclude_verify_flags=[ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF],
                **login,
            )
        )
    )
    for wrong, reason in (
        ({"ssl_ca_data": trusted}, "ssl_password can't be used"),  # the key is locked
        ({"ssl_ca_data": trusted, "ssl_password": "another"}, "ssl_password can't be used"),
        ({"ssl_ca_data": "trust me", "ssl_password": PASSWORD}, "ssl_ca_data can't be used"),
        ({"ssl_password": PASSWORD}, "its certificate is not trusted"),
    ):
        async with RedisLockStore(client=template(**wrong, **login)) as store:
            with pytest.raises(StoreUnavailable, match=reason) as told:
                await enter(store, "c", 1.0)
            assert_untold([PASSWORD], store, caplog, told.value)
    await take_turns(
        RedisLockStore(client=template(ssl_cert_reqs=None, ssl_password=PASSWORD, **login))
    )


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"ssl_validate_ocsp": True}, "ssl_validate_ocsp can't be used"),
        (
            {"ssl_keyfile": "client.key"},
            "ssl_keyfile is the key of a certificate: set ssl_certfile",
        ),
        (
            {"ssl_cert_reqs": "maybe"},
            "ssl_cert_reqs='maybe' must be one of none, optional, required",
        ),
    ],
)
def test_a_ready_client_with_what_can_not_be_taken_over(
    settings: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"client= .*{told}"):
        RedisLockStore(client=template(**settings))


def test_a_ready_client_with_connections_of_its_own() -> None:
    class Tunnelled(redis.asyncio.Connection):
        pass

    pool: Any = redis.asyncio.ConnectionPool(connection_class=Tunnelled, host=HOST)
    with pytest.raises(ConfigurationError, match=r"a class of its own .*Tunnelled"):
        RedisLockStore(client=redis.asyncio.Redis(connection_pool=pool))


async def test_a_certificate_that_is_replaced_while_the_store_is_there(
    tls_server: tuple[RedisServer, int], certificates: Certificates, tmp_path: Path
) -> None:
    pair = [tmp_path / name for name in ("current.crt", "current.key")]
    for file, source in zip(pair, certificates.issue("first"), strict=True):
        shutil.copy(source, file)
    url = tls_url(tls_server[1], certificates, (pair[0], pair[1]), HOST) + "&socket_timeout=2"
    async with LockStore.create(url) as store:
        await enter(store, "c", 1.0)
        for file in pair:
            file.write_text("being replaced")
        tls_server[0].cli("CLIENT", "KILL", "TYPE", "normal")
        with pytest.raises(StoreUnavailable, match="TLS failed"):
            await enter(store, "c", 1.0)
        for file, source in zip(pair, certificates.issue("second"), strict=True):
            shutil.copy(source, file)
        await enter(store, "c", 1.0)


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
