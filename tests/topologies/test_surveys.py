"""A survey of a cluster goes to every primary, also while slots are on the move."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

import pytest

from nowserving import LockStore, RedisLockStore, StoreUnavailable
from tests.support.redis_server import HOST, RedisServer
from tests.topologies.test_ways_in import ALLOWED, PASSWORD

if TYPE_CHECKING:
    from tests.support.cluster import ClusterSetup

LONG = 60.0
COUNT = 300


async def fill(store: LockStore, prefix: str) -> set[str]:
    names = [f"{prefix}-{number}" for number in range(COUNT)]
    await asyncio.gather(*(store.take_ticket(name, lock_lifetime=LONG) for name in names))
    return set(names)


async def seen_of(store: LockStore, prefix: str) -> list[str]:
    lines = (await store.survey(10_000)).lines
    return [line.conversation_id for line in lines if line.conversation_id.startswith(prefix)]


async def test_the_lines_of_all_primaries_are_seen(cluster_setup: ClusterSetup) -> None:
    prefix = uuid.uuid4().hex
    async with LockStore.create(cluster_setup.url()) as store:
        names = await fill(store, prefix)
        assert len({cluster_setup.owner(name) for name in list(names)[:40]}) == 3
        seen = await seen_of(store, prefix)
    assert len(seen) == len(names)
    assert set(seen) == names


async def test_each_line_is_seen_once_while_a_slot_moves(cluster_setup: ClusterSetup) -> None:
    prefix = uuid.uuid4().hex
    name = f"{prefix}-7"
    slot, source = cluster_setup.slot(name), cluster_setup.owner(name)
    target = next(
        server
        for server in cluster_setup.servers
        if server is not source and server.cli("ROLE")[0] == "master"
    )
    async with LockStore.create(cluster_setup.url()) as store:
        names = await fill(store, prefix)
        await store.survey()
        cluster_setup.begin_to_move(slot, source, target)
        assert sorted(await seen_of(store, prefix)) == sorted(names)
        cluster_setup.move_keys(slot, source, target)
        assert sorted(await seen_of(store, prefix)) == sorted(names)
        cluster_setup.end_move(slot, target)
        assert sorted(await seen_of(store, prefix)) == sorted(names)


async def test_an_acl_user_who_may_scan_may_survey() -> None:
    with RedisServer() as server:
        keys = ["~lock:*", "&lock:inbox:*"]
        granted = [*ALLOWED, "+scan"]
        server.cli(
            "ACL", "SETUSER", "locker", "reset", "on", f">{PASSWORD}", *keys, "-@all", *granted
        )
        async with (
            RedisLockStore(HOST, server.port, username="locker", password=PASSWORD) as store,
            store.lock("c"),
        ):
            seen = await store.survey()
            assert (seen.conversations, seen.held) == (1, 1)
        server.cli("ACL", "SETUSER", "locker", "-scan")
        async with RedisLockStore(HOST, server.port, username="locker", password=PASSWORD) as store:
            with pytest.raises(StoreUnavailable, match="scan"):
                await store.survey()
