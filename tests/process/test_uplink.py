"""Connections that come into being just when nobody wants them any more."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from nowserving.stores._remote.outage import Outage
from nowserving.stores._remote.reconnecting import ReconnectingConnection
from nowserving.stores.redis.connection.credentials import Login
from nowserving.stores.redis.connection.dial import Dialler, Server
from tests.support.redis_server import HOST

if TYPE_CHECKING:
    from nowserving.stores.redis.connection.resp import RespProtocol
    from tests.support.redis_server import RedisServer


def _nothing(*_: object) -> None:
    pass


async def test_a_connection_that_stands_when_its_owner_has_just_closed_is_closed(
    server: RedisServer,
) -> None:
    dialler = Dialler(Login(db=1), None, 4.0)

    async def connect() -> RespProtocol:
        fresh = await dialler.connect(host=HOST, port=server.port)
        connection.close()
        return fresh

    connection = ReconnectingConnection(
        Server(connect, Outage("here"), 2.0),
        on_reply=_nothing,
        on_up=_nothing,
        on_lost=_nothing,
        on_failure=_nothing,
        wanted=lambda: True,
    )
    connection.dial()
    give_up = time.monotonic() + 5.0
    while connection._dialling is not None:
        assert time.monotonic() < give_up
        await asyncio.sleep(0.01)
    assert connection.wire is None
    await asyncio.sleep(0.05)
    clients = await asyncio.to_thread(server.cli, "CLIENT", "LIST")
    assert len(clients.splitlines()) == 1, "only the one that asks"
