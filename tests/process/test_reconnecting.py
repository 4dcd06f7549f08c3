"""Connections that come into being just when nobody wants them any more."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from nowserving.protocol.outages import Outages
from nowserving.stores._remote.reconnecting import ReconnectingConnection
from nowserving.stores.redis.connection.credentials import Login
from nowserving.stores.redis.connection.dial import Dialler, redis_server
from tests.support.redis_server import HOST
from tests.support.tasks import until

if TYPE_CHECKING:
    from nowserving.stores.redis.connection.resp import RespProtocol
    from tests.support.redis_server import RedisServer


def _nothing(*_: object) -> None:
    pass


async def test_a_connection_that_stands_when_its_owner_has_just_closed_is_closed(
    server: RedisServer,
) -> None:
    closed = asyncio.Event()
    dialler = Dialler(Login(db=1), None, 4.0)

    async def connect() -> RespProtocol:
        fresh = await dialler.connect(host=HOST, port=server.port)
        connection.close()
        closed.set()
        return fresh

    connection = ReconnectingConnection(
        redis_server(connect, "here", 2.0, Outages()),
        on_reply=_nothing,
        on_up=_nothing,
        on_lost=_nothing,
        on_failure=_nothing,
        wanted=lambda: True,
    )
    connection.dial()
    await asyncio.wait_for(closed.wait(), 5.0)
    # Only the one that asks is left.
    await until(lambda: len(server.cli("CLIENT", "LIST").splitlines()) == 1)
    assert connection.current is None
