"""Asking the sentinels who the primary is, through redis-py, at each connection.

A client of theirs belongs to one event loop, and connections are made rarely: so the clients are
made for one question and closed after it, and nothing of them can be stale.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

from nowserving.queues.redis.dial import RESP2

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nowserving.queues.redis.dial import Node

_LONGEST = 1.0
"""Seconds for one sentinel's answer; the others are asked after that."""


class Sentinels:
    """The sentinels of one service.

    Args:
        addresses: Where they are.
        service: The name under which they know the primary.
        settings: User, password and certificates for talking to *them*.
        timeout: The seconds for a connection to the primary, the question included.

    Attributes:
        where: Service and sentinels, for messages.
    """

    def __init__(
        self,
        addresses: Sequence[Node],
        service: str,
        settings: Mapping[str, Any],
        timeout: float,
    ) -> None:
        self._addresses = tuple(addresses)
        self._service = service
        limit = min(_LONGEST, timeout / (len(self._addresses) + 1))
        self._settings = {
            **settings,
            **RESP2,
            "socket_timeout": limit,
            "socket_connect_timeout": limit,
            # The next sentinel is the better second attempt.
            "retry": Retry(NoBackoff(), 0),
        }
        listed = ", ".join(f"{host}:{port}" for host, port in addresses)
        self.where = f"service {service!r} of the sentinels {listed}"

    async def primary(self) -> Node:
        """Return the primary that they agree on.

        Raises:
            ConnectionError: redis-py's, if none of them knows one.
        """
        asked: Any = Sentinel(  # type: ignore[no-untyped-call]
            self._addresses, sentinel_kwargs=self._settings
        )
        try:
            host, port = await asked.discover_master(self._service)
        finally:
            await asyncio.gather(*map(_close, asked.sentinels), return_exceptions=True)
        return host, int(port)


async def _close(client: Any) -> None:  # noqa: ANN401 - redis-py's client
    await (client.aclose() if hasattr(client, "aclose") else client.close())
    await client.connection_pool.disconnect()
