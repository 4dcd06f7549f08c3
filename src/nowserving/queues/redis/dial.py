"""How to reach a Redis: settings into fresh ``redis.asyncio`` connections."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import redis
from redis.asyncio import connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from nowserving.queues.redis.wire import Dialable

_RESP2 = {} if redis.VERSION[0] < 5 else {"protocol": 2}  # noqa: PLR2004 - 4.x speaks only that


def dialler(
    settings: dict[str, Any], tls: dict[str, Any] | None, timeout: float
) -> Callable[[], Dialable]:
    """Return a function that makes a fresh, unconnected connection.

    Args:
        settings: Host, port, database, user and password.
        tls: Certificate settings for TLS; None for plain TCP.
        timeout: Seconds for connecting.
    """
    settings = {
        **settings,
        **(tls or {}),
        **_RESP2,
        "socket_connect_timeout": timeout,
        # A wire has its own deadlines; a timer at every read would be paid for nothing.
        "socket_timeout": None,
        "socket_keepalive": True,
        "socket_keepalive_options": _KEEPALIVE,
    }
    cls: Any = connection.Connection if tls is None else connection.SSLConnection
    return lambda: cls(**settings)


def _keepalive() -> dict[int, int]:
    """Have the kernel notice within a minute that the other end is gone without a word."""
    values = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 5}
    return {getattr(socket, name): value for name, value in values.items() if hasattr(socket, name)}


_KEEPALIVE = _keepalive()
