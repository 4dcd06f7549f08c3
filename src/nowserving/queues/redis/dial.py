"""How to reach a Redis: checked settings into fresh, connected ``redis.asyncio`` connections."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import redis
from redis import exceptions
from redis.asyncio import connection

from nowserving.queues.redis.diagnosis import without_secrets
from nowserving.queues.redis.outage import Outage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

Node = tuple[str, int]
"""A server's host and port."""

RESP2: dict[str, Any] = {} if redis.VERSION[0] < 5 else {"protocol": 2}  # noqa: PLR2004
"""What makes redis-py speak the protocol that wires parse; 4.x speaks no other."""

_CERTIFICATE_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


class Server(NamedTuple):
    """One server to talk to, however it is found.

    Attributes:
        connect: Returns a connection that is connected, authenticated and on its database.
        outage: Whether it serves.
        timeout: Seconds for a connection with its handshake.
    """

    connect: Callable[[], Awaitable[Any]]
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
        self._certificates: tuple[list[int], Any] | None = None
        self._password = settings.get("password")
        self._settings = {
            **settings,
            **RESP2,
            "decode_responses": True,
            "socket_connect_timeout": self.timeout,
            # A wire has its own deadlines; a timer at every read would be paid for nothing.
            "socket_timeout": None,
        }
        if not issubclass(kind, connection.UnixDomainSocketConnection):
            self._settings["socket_keepalive"] = True
            self._settings["socket_keepalive_options"] = _KEEPALIVE

    async def connect(self, **address: object) -> Any:  # noqa: ANN401 - redis-py's connection
        """Return a fresh connection that stands.

        Args:
            **address: ``host`` and ``port``, or ``path``.

        Raises:
            Exception: Whatever redis-py raises; no password is in its message.
        """
        fresh: Any = self.kind(**{**self._settings, **address})
        self._share_certificates(fresh)
        try:
            await fresh.connect()
        except BaseException as error:
            hang_up(fresh)  # cancelled in its handshake, redis-py leaves it open
            if isinstance(error, exceptions.RedisError):
                clean = without_secrets(str(error), self._password)
                if clean != str(error):
                    raise exceptions.ConnectionError(clean) from None
            raise
        return fresh

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
        if not issubclass(self.kind, connection.SSLConnection):
            return
        files = [self._settings.get(name) for name in _CERTIFICATE_FILES]
        changed = [Path(file).stat().st_mtime_ns for file in files if file is not None]
        if self._certificates is None or self._certificates[0] != changed:
            self._certificates = (changed, fresh.ssl_context)
        fresh.ssl_context = self._certificates[1]


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
