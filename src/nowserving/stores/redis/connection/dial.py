"""How to reach a Redis: checked settings into fresh, connected ``redis.asyncio`` connections."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import redis
from redis import exceptions
from redis.asyncio import connection

from nowserving._host.background import spawn
from nowserving.stores._remote.outage import Outage
from nowserving.stores.redis.connection.credentials import Guarded
from nowserving.stores.redis.connection.diagnosis import (
    NO_TLS,
    ONLY_TLS,
    PROTECTED,
    Login,
    Unreachable,
    diagnose,
)
from nowserving.stores.redis.connection.speech import is_protected, speaks_redis, speaks_tls

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

Node = tuple[str, int]
"""A server's host and port."""

RESP2: dict[str, Any] = {} if redis.VERSION[0] < 5 else {"protocol": 2}  # noqa: PLR2004
"""What makes redis-py speak the protocol that wires parse; 4.x speaks no other."""

_SILENCE = 0.3
"""Seconds without an answer to TLS after which we ask whether plain Redis is spoken there."""

_CERTIFICATE_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


class Server(NamedTuple):
    """One server to talk to, however it is found.

    Attributes:
        connect: Returns a connection that is connected, authenticated and on its database.
        outage: Whether it serves.
        timeout: Seconds for a connection with its handshake.
    """

    connect: Callable[[], Coroutine[Any, Any, Any]]
    outage: Outage
    timeout: float

    @property
    def where(self) -> str:
        """The server's address for messages."""
        return self.outage.where


class Dialler:
    """Makes connections that differ in nothing but their address.

    Args:
        settings: Database, user and password, certificates: what redis-py's connection takes.
        kind: The connection's class.
        timeout: Seconds within which a call must be answered; a connection gets half of them,
            so that a second one can be tried in time.
    """

    def __init__(
        self, settings: Mapping[str, Any], kind: type[connection.AbstractConnection], timeout: float
    ) -> None:
        self.kind = kind
        self.timeout = timeout / 2
        self._tls = issubclass(kind, connection.SSLConnection)
        self._login = Login(settings.get("db") or 0, settings.get("username"), self._tls)
        self._reached: set[object] = set()  # addresses at which a connection stood
        self._certificates: tuple[list[int], Any] | None = None
        self._settings = {
            **settings,
            **RESP2,
            "decode_responses": True,
            # Whoever connects has limits of its own, which do not count while the loop is
            # blocked; and a timer at every read would be paid for nothing.
            "socket_connect_timeout": None,
            "socket_timeout": None,
        }
        provider = settings.get("credential_provider")
        if provider is not None:
            self._settings["credential_provider"] = Guarded(provider)
        # Else redis-py may say nothing, and nobody knows what listens there.
        self._greets = bool(settings.get("db") or settings.get("password") or provider)
        if not issubclass(kind, connection.UnixDomainSocketConnection):
            self._settings["socket_keepalive"] = True
            self._settings["socket_keepalive_options"] = _KEEPALIVE

    async def connect(self, **address: Any) -> Any:  # noqa: ANN401 - redis-py's connection
        """Return a fresh connection that stands.

        Args:
            **address: ``host`` and ``port``, or ``path``.

        Raises:
            Unreachable: If there is none to be had; it holds no secret, and nor does what is
                chained to it.
        """
        try:
            fresh: Any = self.kind(**{**self._settings, **address})
            self._share_certificates(fresh)
            await self._open(fresh, address)
        except Exception as error:  # noqa: BLE001 - redis-py, certificates, credential providers
            failure = diagnose(error, self._login)
        else:
            self._reached.add(_name(address))
            return fresh
        if failure.unexplained and not self._tls and self._may_ask(address):
            failure = await _explained(failure, address["host"], address["port"])
        raise failure  # here, where no other error is a context of it

    def _may_ask(self, address: Mapping[str, Any]) -> bool:
        return "host" in address and _name(address) not in self._reached

    async def _open(self, fresh: Any, address: Mapping[str, Any]) -> None:  # noqa: ANN401
        try:
            if self._tls and self._may_ask(address):
                await self._open_or_ask(fresh, address["host"], address["port"])
            else:
                await self._shake_hands(fresh)
        except BaseException:
            hang_up(fresh)  # cancelled in its handshake, redis-py leaves it open
            raise

    async def _open_or_ask(self, fresh: Any, host: str, port: int) -> None:  # noqa: ANN401
        opening = spawn(asyncio.get_running_loop(), self._shake_hands(fresh))
        try:
            await asyncio.wait({opening}, timeout=min(_SILENCE, self.timeout / 4))
            if not opening.done() and await speaks_redis(host, port):
                raise Unreachable(NO_TLS, hopeless=True)
            await asyncio.wait({opening})
            opening.result()
        finally:
            opening.cancel()

    async def _shake_hands(self, fresh: Any) -> None:  # noqa: ANN401
        await fresh.connect()
        if not self._greets:
            await fresh.send_command("PING")
            with suppress(exceptions.NoPermissionError):  # it answers
                await fresh.read_response()

    def server(self, where: str, **address: object) -> Server:
        """Return the server at an address.

        Args:
            where: The address for messages.
            **address: As for :meth:`connect`.
        """
        return Server(lambda: self.connect(**address), Outage(where), self.timeout)

    def _share_certificates(self, fresh: Any) -> None:  # noqa: ANN401 - redis-py's connection
        # Reading the system's certificates takes as long as some hundred turns, in the loop. So
        # it is done once, and again when a file of ours was replaced by a newer certificate.
        if not self._tls:
            return
        files = [self._settings.get(name) for name in _CERTIFICATE_FILES]
        changed = [Path(file).stat().st_mtime_ns for file in files if file is not None]
        if self._certificates is None or self._certificates[0] != changed:
            self._certificates = (changed, fresh.ssl_context)
        fresh.ssl_context = self._certificates[1]


def _name(address: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(address.values())


async def _explained(failure: Unreachable, host: str, port: int) -> Unreachable:
    if await speaks_tls(host, port):
        return Unreachable(ONLY_TLS, hopeless=True)
    if await is_protected(host, port):
        return Unreachable(PROTECTED, hopeless=True)
    return failure


def hang_up(used: Any) -> None:  # noqa: ANN401 - redis-py's connection
    """Drop a redis-py connection's socket without waiting for anything."""
    writer = used._writer  # noqa: SLF001 - see wire.py
    if writer is not None:
        writer.transport.abort()
        used._reader = used._writer = None  # noqa: SLF001 - it warns of open streams otherwise


def _keepalive() -> dict[int, int]:
    """Have the kernel notice within a minute that the other end is gone without a word."""
    values = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 5}
    return {getattr(socket, name): value for name, value in values.items() if hasattr(socket, name)}


_KEEPALIVE = _keepalive()
