"""A cluster that is moved about, fails over, or is down, while holders hold and waiters wait."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from nowserving import (
    ConfigurationError,
    LockStore,
    Observer,
    RedisLockStore,
    StoreEvent,
    StoreUnavailable,
)
from tests.support.cluster import ClusterSetup
from tests.support.crew import assert_exact
from tests.support.tasks import Turns, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.redis_server import RedisServer

NAMES = [f"c{index}" for index in range(12)]  # spread over all three nodes


@pytest.fixture(scope="module")
def cluster() -> Iterator[ClusterSetup]:
    """Tests leave it well, though not always with the same primaries."""
    with ClusterSetup() as setup:
        yield setup


class Outages(Observer):
    """Notes when a server is told to be down, and up."""

    def __init__(self, told: list[StoreEvent]) -> None:
        self._told = told

    def store_down(self, event: StoreEvent) -> None:
        self._told.append(event)

    store_up = store_down


def another_primary(cluster: ClusterSetup, than: RedisServer) -> RedisServer:
    return next(owner for owner in map(cluster.owner, NAMES) if owner is not than)


async def test_records_are_spread_and_found(cluster: ClusterSetup) -> None:
    assert len({cluster.owner(name).port for name in NAMES}) == 3
    async with LockStore.create(cluster.url()) as store:
        for name in NAMES:
            await store.take_ticket(name, 5.0)
        found = [name async for name in store._runtime.queue.conversations()]
        assert set(NAMES) <= set(found)
        for name in NAMES:
            await asyncio.to_thread(store.delete_lock, name)


async def test_a_failover_on_request_keeps_every_line(cluster: ClusterSetup) -> None:
    async with LockStore.create(cluster.url(socket_timeout=8)) as store:
        lines = await lines_of_turns(store)
        await asyncio.to_thread(cluster.fail_over, cluster.owner("c0"))
        await all_in_order(lines)


async def test_a_killed_primary_is_followed_by_its_replica(cluster: ClusterSetup) -> None:
    dead = cluster.owner("c1")
    outages: list[StoreEvent] = []
    async with LockStore.create(cluster.url(socket_timeout=15)) as store:
        store.observe(Outages(outages))
        lines = await lines_of_turns(store)
        await asyncio.to_thread(cluster.until, lambda: replicated(cluster, dead))
        await asyncio.to_thread(dead.kill)
        began = time.monotonic()
        await all_in_order(lines)
        assert time.monotonic() - began < 20.0
        assert cluster.owner("c1") is not dead
        # Nobody asks the dead one for anything any more; its outage is over all the same.
        await until(lambda: not store._runtime.queue.outages.now)
    assert outages
    assert {event.where for event in outages} == {f"127.0.0.1:{dead.port}"}
    # One that another event loop sees only then begins once more, until that has read the map.
    begins = [event.lasted is None for event in outages]
    assert begins == [True, False] * (len(outages) // 2)
    await asyncio.to_thread(dead.start)
    await asyncio.to_thread(cluster.until, lambda: dead.cli("ROLE")[0] == "slave")


def replicated(cluster: ClusterSetup, primary: RedisServer) -> bool:
    replica = cluster.replica_of(primary)
    return bool(replica.cli("ROLE")[4] >= primary.cli("ROLE")[1])


async def lines_of_turns(store: LockStore) -> list[Turns]:
    lines = [Turns(store, name) for name in NAMES[:6]]
    for turns in lines:
        turns.start(hold=0.6, wait=0.2, lifetime=20.0)
        turns.start(6, hold=0.01, wait=0.2, lifetime=20.0)
    for turns in lines:
        await turns.until_in_line(7)
    return lines


async def all_in_order(lines: list[Turns]) -> None:
    for turns in lines:
        turns.start(3, hold=0.01, wait=0.2)
    for turns in lines:
        await turns.finish(30.0)
    for turns in lines:
        assert not turns.errors
        assert [turn.turn for turn in turns.done] == list(range(10))
        assert_exact(turns.done)


async def test_a_slot_that_is_moved_under_a_line(cluster: ClusterSetup) -> None:
    """``ASK`` while the slot is open, ``MOVED`` afterwards, and never another order."""
    name = "moving"
    source = cluster.owner(name)
    target, slot = another_primary(cluster, source), cluster.slot(name)
    async with LockStore.create(cluster.url()) as store:
        turns = Turns(store, name)
        turns.start(hold=1.0, wait=0.1)
        turns.start(5, hold=0.01, wait=0.1)
        await turns.until_in_line(6)
        await asyncio.to_thread(cluster.begin_to_move, slot, source, target)
        turns.start(5, hold=0.01, wait=0.1)
        await turns.until_in_line(11)
        await asyncio.to_thread(cluster.move_keys, slot, source, target)
        turns.start(5, hold=0.01, wait=0.1)
        await turns.until_in_line(16)
        await asyncio.to_thread(cluster.end_move, slot, target)
        turns.start(5, hold=0.01, wait=0.1)
        await turns.finish()
        assert not turns.errors
        assert [turn.turn for turn in turns.done] == list(range(21))
        assert [turn.number for turn in turns.done] == list(range(21))
        assert_exact(turns.done)
        assert cluster.owner(name) is target


async def test_scripts_that_are_flushed_on_every_node(cluster: ClusterSetup) -> None:
    async with LockStore.create(cluster.url()) as store:
        lines = [Turns(store, name) for name in NAMES]
        for _ in range(5):
            for turns in lines:
                turns.start(3, hold=0.005)
            await asyncio.sleep(0.05)
            for server in cluster.servers:
                await asyncio.to_thread(server.cli, "SCRIPT", "FLUSH")
        for turns in lines:
            await turns.finish()
            assert not turns.errors
            assert [turn.turn for turn in turns.done] == list(range(15))
            assert_exact(turns.done)


async def test_a_node_that_is_not_one_of_the_named_ones_is_found(cluster: ClusterSetup) -> None:
    async with RedisLockStore(
        deployment_mode="cluster",
        endpoints=["127.0.0.1:1", f"127.0.0.1:{cluster.servers[5].port}"],  # one is dead
    ) as store:
        for name in NAMES:
            async with store.lock(name):
                pass


async def test_no_node_at_all_is_told_soon() -> None:
    async with RedisLockStore(deployment_mode="cluster", endpoints=["127.0.0.1:1"]) as store:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1:1"):
            async with store.lock("c"):
                pass
        assert time.monotonic() - began < 4.0


def test_a_cluster_has_no_databases() -> None:
    with pytest.raises(ConfigurationError, match="db=1 can't be used in a cluster"):
        LockStore.create("redis+cluster://localhost:7000/1")
