"""Sentinels promote the replica, while holders hold and waiters wait."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from nowserving import LockStore, StoreUnavailable
from tests.support.crew import assert_exact
from tests.support.sentinel import SentinelSetup
from tests.support.tasks import Turns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.conftest import Told


@pytest.fixture
def setup() -> Iterator[SentinelSetup]:
    with SentinelSetup() as setup:
        yield setup


@pytest.mark.parametrize("how", ["on request", "killed", "frozen"])
async def test_a_failover_keeps_line_and_order(setup: SentinelSetup, how: str, told: Told) -> None:
    old = setup.primary
    async with LockStore.create(setup.url(socket_timeout=8)) as store:
        turns = Turns(store)
        turns.start(hold=1.0, wait=0.2, auto_renew=True)
        turns.start(8, hold=0.02, wait=0.2)
        await turns.until_in_line(9)
        if how == "on request":
            await asyncio.to_thread(setup.fail_over)
        elif how == "killed":
            await asyncio.to_thread(old.kill)
        else:
            old.pause()
        turns.start(3, hold=0.02, wait=0.2)
        began = time.monotonic()
        await turns.finish(30.0)
        assert time.monotonic() - began < 15.0
        assert not turns.errors
        assert not turns.losses
        assert [turn.turn for turn in turns.done] == list(range(12))
        assert [turn.number for turn in turns.done] == list(range(12))
        assert_exact(turns.done)
        assert setup.primary is not old
        if how == "frozen":
            old.resume()
    assert told.times("does not serve") <= 1
    assert told.times("serves again") == told.times("does not serve")


async def test_sentinels_that_know_no_such_service_are_told_in_time(setup: SentinelSetup) -> None:
    url = setup.url(socket_timeout=1).replace("mymaster", "yours")
    async with LockStore.create(url) as store:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match="yours"):
            async with store.lock("c"):
                pass
        assert time.monotonic() - began < 3.0


async def test_min_replicas_is_waited_for_and_a_shortfall_is_told(
    setup: SentinelSetup, told: Told
) -> None:
    replica = next(server for server in setup.servers if server is not setup.primary)
    store = LockStore.create(setup.url(min_replicas=1, socket_timeout=2))
    async with store:
        for _ in range(3):
            async with store.lock("c"):
                assert await asyncio.to_thread(replica.cli, "EXISTS", "lock:{c}") == 1
        assert not told.times("min_replicas")
        replica.pause()
        for _ in range(2):
            began = time.monotonic()
            async with store.lock("c"):
                assert 0.15 < time.monotonic() - began < 1.5
        assert told.times("min_replicas=1 was not reached") == 1
        assert store.unconfirmed == 2  # type: ignore[attr-defined]
        replica.resume()
        give_up = time.monotonic() + 20.0
        while not told.times("reached again"):
            assert time.monotonic() < give_up
            async with store.lock("c"):
                await asyncio.sleep(0.1)
