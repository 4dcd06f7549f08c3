"""Why a ticket is gone, where Redis has lost it, or the network has lost what told of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from nowserving import LockStore
from nowserving.protocol.status import RELEASED, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.proxy import Cut, Proxy
    from tests.support.redis_server import RedisServer

LONG, SHORT = 60.0, 0.05
LIFETIME = 1.0
SOON = 5.0

CUTS = pytest.mark.parametrize("what", ["request", "reply", "half a reply"])


@pytest.fixture
async def deaf(proxy: Proxy) -> AsyncIterator[LockStore]:
    """A store that gets no push."""
    async with LockStore.create(proxy.url(socket_timeout=2)) as store:
        async with store.lock("warm-up", LIFETIME):
            pass
        proxy.swallow_messages = True
        yield store


@pytest.fixture
async def other(server: RedisServer) -> AsyncIterator[LockStore]:
    async with LockStore.create(server.url()) as store:
        yield store


def told_lost(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was told of locks that are lost."""
    said = [record.getMessage() for record in caplog.records]
    return [message for message in said if "was lost" in message]


async def test_what_no_push_told_is_told_by_a_poll(
    deaf: LockStore, other: LockStore, caplog: pytest.LogCaptureFixture
) -> None:
    async with deaf.lock("c", LONG, SHORT) as lock:
        await asyncio.to_thread(other.delete_lock, "c")
        await asyncio.wait_for(lock.lost_event.wait(), SOON)
    (told,) = told_lost(caplog)
    assert RELEASED in told


async def test_what_no_push_told_is_told_by_a_renewal(
    deaf: LockStore, other: LockStore, caplog: pytest.LogCaptureFixture
) -> None:
    async with deaf.lock("c", LIFETIME, LONG, auto_renew=True) as lock:
        await asyncio.to_thread(other.delete_lock, "c")
        await asyncio.wait_for(lock.lost_event.wait(), SOON)
    (told,) = told_lost(caplog)
    assert RELEASED in told


@CUTS
async def test_a_leave_that_is_repeated_knows_what_somebody_else_did(
    proxy: Proxy, deaf: LockStore, other: LockStore, what: Cut, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a ticket that is just not there the first attempt may be the cause; not of this one."""
    async with deaf.lock("c", LONG, LONG):
        await asyncio.to_thread(other.delete_lock, "c")
        proxy.cut("leave", what)
    assert proxy.cuts == 1
    (told,) = told_lost(caplog)
    assert RELEASED in told


@CUTS
async def test_a_leave_that_is_repeated_is_no_loss(
    proxy: Proxy, deaf: LockStore, what: Cut, caplog: pytest.LogCaptureFixture
) -> None:
    async with deaf.lock("c", LONG, LONG):
        proxy.cut("leave", what)
    assert proxy.cuts == 1
    assert not told_lost(caplog)


async def test_a_store_that_has_lost_its_data_claims_nothing(
    server: RedisServer, other: LockStore, caplog: pytest.LogCaptureFixture
) -> None:
    """The ticket has not expired, and nobody has released it."""
    async with other.lock("c", LONG, SHORT) as lock:
        server.cli("FLUSHDB")
        await asyncio.wait_for(lock.lost_event.wait(), SOON)
    (told,) = told_lost(caplog)
    assert UNKNOWN in told
