"""A reply that is lost, right there: each verb is carried out once, and its caller is answered."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from nowserving import LockReleased, StoreUnavailable
from nowserving.testing.harness import log_records, until
from tests.toys.socket_server import Loss, SocketServer
from tests.toys.socket_store import SocketLockStore

if TYPE_CHECKING:
    from collections.abc import Iterator

LONG = 600.0
LOSSES: tuple[Loss, ...] = ("hang up", "say nothing")


@pytest.fixture
def server() -> Iterator[SocketServer]:
    with SocketServer() as server:
        yield server


@pytest.mark.parametrize("how", LOSSES)
def test_a_take_whose_reply_is_lost_has_one_place(server: SocketServer, how: Loss) -> None:
    async def play() -> None:
        async with SocketLockStore(server.port, socket_timeout=1.0) as store:
            async with store.lock("warm up", LONG):
                pass
            server.lose("take", how)
            async with store.lock("lost", LONG) as lock:
                assert (lock.ticket, store_line(store)) == (0, [0])
            assert server.lost == 1

    asyncio.run(play())
    assert server.asked["take"] == 3


def store_line(store: SocketLockStore) -> list[int]:
    picture = store.get_lock("lost")
    return [] if picture is None else [ticket.number for ticket in picture.tickets]


@pytest.mark.parametrize("how", LOSSES)
def test_a_leave_whose_reply_is_lost_serves_one(
    server: SocketServer, how: Loss, caplog: pytest.LogCaptureFixture
) -> None:
    async def play() -> None:
        async with SocketLockStore(server.port, socket_timeout=1.0) as store:
            async with store.lock("lost", LONG):
                waiter = asyncio.create_task(visit(store))
                await until(lambda: server.asked["take"] == 2)
                server.lose("leave", how)
            assert await waiter == "done"

    asyncio.run(play())
    assert server.lost == 1
    assert not caplog.records  # it is neither a loss of the lock nor an outage


async def visit(store: SocketLockStore) -> str:
    async with store.lock("lost", LONG, wait_time_in_seconds=0.05) as lock:
        return lock.predecessor


@pytest.mark.parametrize("how", LOSSES)
def test_what_an_operator_asks_is_answered_though_each_reply_is_lost(
    server: SocketServer, how: Loss
) -> None:
    async def play() -> None:
        async with SocketLockStore(server.port, socket_timeout=1.0) as store:
            first, second = [await store.take_ticket("lost", LONG) for _ in range(2)]
            server.lose("line", how)
            line = await store.inspect("lost")
            assert line is not None
            assert line.holder is not None
            assert [ticket.number for ticket in line.waiting] == [second]
            server.lose("renew", how)
            assert await store.renew_ticket("lost", first, LONG)
            server.lose("conversations", how)
            assert [name async for name in store.conversations()] == ["lost"]
            server.lose("release", how)
            assert await store.release("lost", second, "enough")
            server.lose("take", how)
            with pytest.raises(LockReleased, match="enough"):
                async with store.lock("lost", ticket=second):
                    pytest.fail("the body ran")
            server.lose("leave", how)
            assert await store.give_back("lost", first)
            assert server.lost == 6
            assert store_line(store) == []

    asyncio.run(play())


def test_an_outage_is_told_once() -> None:
    with SocketServer() as server:
        port = server.port

    async def play() -> None:
        async with SocketLockStore(port, socket_timeout=0.3) as store:
            for _ in range(3):
                with pytest.raises(StoreUnavailable, match=f":{port}"):
                    await store.take_ticket("nobody there")

    with log_records(logging.WARNING) as records:
        asyncio.run(play())
    assert ["does not serve" in record.getMessage() for record in records].count(True) == 1
