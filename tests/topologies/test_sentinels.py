"""Sentinels that ask for a user and a password, and speak TLS; with Redis beside them or not."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import pytest

from nowserving import LockStore, RedisLockStore, StoreUnavailable
from tests.support.crew import assert_exact
from tests.support.redis_server import HOST
from tests.support.secrecy import assert_untold
from tests.support.sentinel import SERVICE, SentinelSetup
from tests.support.tasks import Turns, take_turns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.tls import Certificates

THEIRS = "sentinels:own/pass@word"
OURS = "redis:own/pass@word"


@pytest.fixture(scope="module")
def guarded(certificates: Certificates) -> Iterator[SentinelSetup]:
    """Everything over TLS; the sentinels have one password, Redis has another one."""
    with SentinelSetup(certificates.identity()) as setup:
        setup.demand("watcher", THEIRS)
        setup.ask(0, "ACL", "SETUSER", "stranger", "on", f">{THEIRS}", "-@all", "+ping")
        for server in setup.servers:
            server.cli("ACL", "SETUSER", "locker", "reset", "on", f">{OURS}", "~*", "&*", "+@all")
        yield setup


def store_over(
    setup: SentinelSetup, certificates: Certificates, ports: list[int], **more: Any
) -> RedisLockStore:
    settings = {
        "sentinel_username": "watcher",
        "sentinel_password": THEIRS,
        "username": "locker",
        "password": OURS,
        "use_ssl": True,
        "ssl_ca_certs": str(certificates.authority),
        **more,
    }
    assert ports in (setup.ports, setup.tls_ports)
    return RedisLockStore(
        deployment_mode="sentinel",
        endpoints=[f"{HOST}:{port}" for port in ports],
        sentinel_service=SERVICE,
        **{name: value for name, value in settings.items() if value is not None},
    )


async def test_all_over_tls_with_two_passwords(
    guarded: SentinelSetup, certificates: Certificates
) -> None:
    store = store_over(guarded, certificates, guarded.tls_ports)
    async with store, store.lock("c"):
        clients = guarded.primary.cli("CLIENT", "LIST")
        assert "user=locker" in str(clients)
    await take_turns(store_over(guarded, certificates, guarded.tls_ports))


async def test_the_same_as_a_url(guarded: SentinelSetup, certificates: Certificates) -> None:
    hosts = ",".join(f"{HOST}:{port}" for port in guarded.tls_ports)
    more = {
        "sentinel_username": "watcher",
        "sentinel_password": THEIRS,
        "ssl_ca_certs": str(certificates.authority),
    }
    login = f"locker:{quote(OURS, safe='')}"
    url = f"rediss+sentinel://{login}@{hosts}/{SERVICE}/1?{urlencode(more)}"
    await take_turns(LockStore.create(url))


async def test_sentinels_without_tls_before_a_redis_with_it(
    guarded: SentinelSetup, certificates: Certificates
) -> None:
    await take_turns(store_over(guarded, certificates, guarded.ports, sentinel_use_ssl=False))


async def test_a_failover_with_tls_and_passwords(
    guarded: SentinelSetup, certificates: Certificates
) -> None:
    store = store_over(guarded, certificates, guarded.tls_ports, socket_timeout=8)
    async with store:
        turns = Turns(store, "failover")
        turns.start(hold=1.0, wait=0.2, auto_renew=True)
        turns.start(5, hold=0.02, wait=0.2)
        await turns.until_in_line(6)
        await asyncio.to_thread(guarded.fail_over)
        turns.start(3, hold=0.02, wait=0.2)
        await turns.finish(30.0)
    assert not turns.errors
    assert [turn.number for turn in turns.done] == list(range(9))
    assert_exact(turns.done)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"sentinel_password": "not-" + THEIRS}, "WRONGPASS|invalid username-password"),
        ({"sentinel_username": None, "sentinel_password": None}, "(?i)auth"),
        ({"sentinel_username": "stranger"}, "(?i)WRONGPASS|invalid|no permissions"),
        ({"password": "not-" + OURS}, "WRONGPASS|invalid username-password"),
        ({"ssl_ca_certs": None}, "(?i)certificate"),
    ],
    ids=["sentinel password", "none", "sentinel user", "redis password", "certificate"],
)
async def test_what_is_refused_is_told_at_once_without_the_password(
    guarded: SentinelSetup,
    certificates: Certificates,
    caplog: pytest.LogCaptureFixture,
    wrong: dict[str, Any],
    reason: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with store_over(guarded, certificates, guarded.tls_ports, **wrong) as store:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match=reason) as told:
            async with store.lock("c"):
                pass
        assert time.monotonic() - began < 4.0, "it was tried for socket_timeout"
        assert "refused the connection" in str(told.value)
        assert SERVICE in str(told.value)
        assert_untold([THEIRS, OURS], store, caplog, told.value)


async def test_tls_where_the_sentinels_speak_none_is_told_in_time(
    guarded: SentinelSetup, certificates: Certificates
) -> None:
    async with store_over(guarded, certificates, guarded.ports, socket_timeout=2) as store:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match="sentinels"):
            async with store.lock("c"):
                pass
        assert time.monotonic() - began < 4.0


async def test_sentinels_that_are_not_there_are_passed_over_or_told(
    guarded: SentinelSetup, certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    alive = f"{HOST}:{guarded.tls_ports[2]}"
    tls = {"use_ssl": True, "ssl_ca_certs": str(certificates.authority)}
    login = {"sentinel_username": "watcher", "sentinel_password": THEIRS, "password": OURS}
    options: dict[str, Any] = {"sentinel_service": SERVICE, "username": "locker", **tls, **login}
    some = RedisLockStore(
        deployment_mode="sentinel", endpoints=["127.0.0.1:1", "127.0.0.1:2", alive], **options
    )
    await take_turns(some)
    none = RedisLockStore(
        deployment_mode="sentinel", endpoints=["127.0.0.1:1", "127.0.0.1:2"], **options
    )
    async with none:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match="can't be reached") as told:
            async with none.lock("c"):
                pass
        assert 0.9 < time.monotonic() - began < 4.0
        assert "127.0.0.1:1:" in str(told.value)
        assert "127.0.0.1:2:" in str(told.value)
        assert_untold([THEIRS, OURS], none, caplog, told.value)


async def test_sentinels_with_tls_before_a_redis_without(certificates: Certificates) -> None:
    with SentinelSetup(certificates.identity(), redis_tls=False) as setup:
        hosts = ",".join(f"{HOST}:{port}" for port in setup.tls_ports)
        more = {"sentinel_use_ssl": "true", "ssl_ca_certs": str(certificates.authority)}
        await take_turns(
            LockStore.create(f"redis+sentinel://{hosts}/{SERVICE}/1?{urlencode(more)}")
        )
