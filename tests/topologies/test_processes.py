"""Which process has a ticket, where Redis is a cluster, or denies us to note it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from nowserving import LockBusy, LockStore, RedisLockStore
from tests.support.redis_server import HOST, RedisServer
from tests.topologies.test_ways_in import ALLOWED, PASSWORD, enter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nowserving import LineTicket
    from tests.support.cluster import ClusterSetup


@pytest.fixture
def narrow_server() -> Iterator[RedisServer]:
    """A server whose user may not touch the notes of processes, but all else."""
    with RedisServer() as server:
        keys = ["~lock:{*", "&lock:inbox:*"]
        server.cli(
            "ACL", "SETUSER", "locker", "reset", "on", f">{PASSWORD}", *keys, "-@all", *ALLOWED
        )
        yield server


async def test_whom_the_acl_denies_the_processes_is_told_of_none(
    narrow_server: RedisServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what travels beside these questions is carried out all the same."""
    caplog.set_level(logging.DEBUG, "nowserving")
    monkeypatch.setattr("nowserving.stores.redis.processes._NOTED_AFTER", 0.1)
    monkeypatch.setattr("nowserving.stores.redis.processes._AGAIN", 0.1)
    who: Any = {"username": "locker", "password": PASSWORD}
    refused = 0

    async def look(store: LockStore) -> None:
        nonlocal refused
        while True:
            line = await store.inspect("c")
            assert line is not None
            assert line.holder is not None
            assert (line.holder.label, line.holder.host) == ("trace 7", None)
            with pytest.raises(LockBusy) as busy:
                async with store.lock("c", when_busy="reject"):
                    pytest.fail("the body ran")
            assert busy.value.holder
            assert busy.value.holder.host is None
            refused += 1

    async with (
        RedisLockStore(HOST, narrow_server.port, **who) as store,
        store.lock("c", label="trace 7"),
    ):
        looking = [asyncio.create_task(look(store)) for _ in range(5)]
        end = time.monotonic() + 1.0
        while time.monotonic() < end or refused < 20:
            await asyncio.gather(*(enter(store, f"c{each}", 1.0) for each in range(20)))
        for task in looking:
            task.cancel()
        ends = await asyncio.gather(*looking, return_exceptions=True)
        assert [type(end) for end in ends] == [asyncio.CancelledError] * 5
        narrow_server.cli("ACL", "SETUSER", "locker", "~lock:process:*")
        holder = await noted_holder(store, "c")
        assert (holder.host, holder.pid) == (socket.gethostname(), os.getpid())
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]
    told = [record for record in caplog.records if "could not be noted" in record.getMessage()]
    assert len(told) == 1


async def test_a_process_is_noted_in_a_cluster(cluster_setup: ClusterSetup) -> None:
    """Its key is in a slot of its own, mostly on another node than the conversation."""
    async with RedisLockStore(
        deployment_mode="cluster", endpoints=cluster_setup.endpoints
    ) as store:
        names = [f"c{each}" for each in range(8)]
        async with contextlib.AsyncExitStack() as stack:
            for name in names:
                await stack.enter_async_context(store.lock(name))
            for name in names:
                holder = await noted_holder(store, name)
                assert (holder.host, holder.pid) == (socket.gethostname(), os.getpid())


async def noted_holder(store: LockStore, name: str) -> LineTicket:
    """Return who holds a conversation, once its process is noted."""
    while True:
        line = await store.inspect(name)
        assert line is not None
        assert line.holder is not None
        if line.holder.host is not None:
            return line.holder
        await asyncio.sleep(0.05)
