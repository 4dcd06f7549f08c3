"""How to reach a Redis: an address into a connection that stands, logged in and on its database."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from nowserving._host.background import spawn
from nowserving.protocol.outages import Outages
from nowserving.stores._remote.abandonment import abandon_task
from nowserving.stores._remote.outage import Outage
from nowserving.stores._remote.server import Server
from nowserving.stores._remote.unreachable import Unreachable
from nowserving.stores.redis.connection.diagnosis import (
    NO_TLS,
    ONLY_TLS,
    PROTECTED,
    diagnose,
)
from nowserving.stores.redis.connection.handshake import introduce
from nowserving.stores.redis.connection.resp import RespProtocol
from nowserving.stores.redis.connection.speech import is_protected, speaks_redis, speaks_tls

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from nowserving.stores.redis.connection.credentials import Login
    from nowserving.stores.redis.connection.tls import Tls

Node = tuple[str, int]
"""A server's host and port."""

RedisServer = Server[RespProtocol]
"""A Redis to talk to."""

_SILENCE = 0.3
"""Seconds without an answer to TLS after which we ask whether plain Redis is spoken there."""


def redis_server(
    connect: Callable[[], Coroutine[Any, Any, RespProtocol]],
    where: str,
    timeout: float,
    outages: Outages,
) -> RedisServer:
    """Return a Redis to talk to, however it is found.

    Args:
        connect: Returns a connection that is connected, authenticated and on its database.
        where: The address for messages; holds no password.
        timeout: Seconds for a connection with its handshake.
        outages: Who is told of its outages.
    """
    return Server(connect, Outage("Redis", where, outages), timeout, diagnose)


class Dialler:
    """Makes connections that differ in nothing but their address.

    Args:
        login: How they introduce themselves.
        tls: The TLS that they speak; None for none.
        timeout: Seconds within which a call must be answered; a connection gets half of them,
            so that a second one can be tried in time.

    Attributes:
        timeout: Seconds for a connection.
        outages: Who is told of the outages of its servers.
    """

    def __init__(self, login: Login, tls: Tls | None, timeout: float) -> None:
        self.timeout = timeout / 2
        self.outages = Outages()
        self._login = login
        self._tls = tls
        self._reached: set[object] = set()  # addresses at which a connection stood

    def server(self, where: str, **address: Any) -> RedisServer:  # noqa: ANN401
        """Return the server at an address.

        Args:
            where: The address for messages.
            **address: As for :meth:`connect`.
        """
        return redis_server(lambda: self.connect(**address), where, self.timeout, self.outages)

    async def connect(self, **address: Any) -> RespProtocol:  # noqa: ANN401
        """Return a fresh connection that stands, to be taken over.

        Args:
            **address: ``host`` and ``port``, or ``path``.

        Raises:
            Unreachable: If there is none to be had; it holds no secret, and nor does what is
                chained to it.
        """
        protocol = RespProtocol()
        try:
            await self._open(protocol, address)
        except Exception as error:  # noqa: BLE001 - sockets, certificates, credential providers
            protocol.abort()
            failure = diagnose(error, self._login)
        except BaseException:
            protocol.abort()  # cancelled, or its loop is closed
            raise
        else:
            self._reached.add(_name(address))
            return protocol
        if failure.unexplained and self._tls is None and self._may_ask(address):
            failure = await _explained(failure, address["host"], address["port"])
        raise failure  # here, where no other error is a context of it

    async def _open(self, protocol: RespProtocol, address: Mapping[str, Any]) -> None:
        if self._tls is not None and self._may_ask(address):
            await self._open_or_ask(protocol, address)
        else:
            await self._log_in(protocol, address)

    def _may_ask(self, address: Mapping[str, Any]) -> bool:
        return "host" in address and _name(address) not in self._reached

    async def _open_or_ask(self, protocol: RespProtocol, address: Mapping[str, Any]) -> None:
        opening = spawn(asyncio.get_running_loop(), self._log_in(protocol, address))
        try:
            await asyncio.wait({opening}, timeout=min(_SILENCE, self.timeout / 4))
            if not opening.done() and await speaks_redis(address["host"], address["port"]):
                raise Unreachable(NO_TLS, hopeless=True)
            await asyncio.wait({opening})
            opening.result()
        except GeneratorExit:
            abandon_task(opening)
            raise
        finally:
            opening.cancel()

    async def _log_in(self, protocol: RespProtocol, address: Mapping[str, Any]) -> None:
        loop = asyncio.get_running_loop()
        if "path" in address:
            await loop.create_unix_connection(lambda: protocol, address["path"])
        else:
            tls = None if self._tls is None else self._tls.context()
            await loop.create_connection(
                lambda: protocol, address["host"], address["port"], ssl=tls
            )
        await introduce(protocol, self._login)


def _name(address: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(address.values())


async def _explained(failure: Unreachable, host: str, port: int) -> Unreachable:
    if await speaks_tls(host, port):
        return Unreachable(ONLY_TLS, hopeless=True)
    if await is_protected(host, port):
        return Unreachable(PROTECTED, hopeless=True)
    return failure
