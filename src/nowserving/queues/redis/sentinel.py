"""Asking the sentinels who the primary is, through redis-py, at each connection.

A client of theirs belongs to one event loop, and connections are made rarely: so the clients are
made for one question and closed after it, and nothing of them can be stale.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from nowserving.queues.redis.diagnosis import (
    is_hopeless,
    is_nobody_there,
    told,
    without_secrets,
)
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
        """Return the primary that the first sentinel with an answer names.

        Raises:
            ConnectionError: redis-py's, if none of them names one; it says why, of each of them.
        """
        # redis-py's own `discover_master` does as much, but some versions of it put what they know
        # of a sentinel into the message, its password included, and none keeps the causes.
        failures: dict[Node, Exception] = {}
        for address in self._addresses:
            answer = await self._ask(*address)
            if not isinstance(answer, Exception):
                return answer
            failures[address] = answer
        reasons = "; ".join(f"{host}:{port}: {told(e)}" for (host, port), e in failures.items())
        # Another attempt is as hopeless as with the least hopeless of them.
        cause = min(failures.values(), key=lambda e: (is_hopeless(e), is_nobody_there(e)))
        message = f"no sentinel names the primary of {self._service!r} ({reasons})"
        raise exceptions.ConnectionError(message) from cause

    async def _ask(self, host: str, port: int) -> Node | Exception:
        client: Any = Redis(host=host, port=port, **self._settings)
        try:
            state = (await client.sentinel_masters()).get(self._service)
        except (exceptions.RedisError, OSError) as error:
            reason = without_secrets(told(error), self._settings.get("password"))
            return error if reason == told(error) else exceptions.ConnectionError(reason)
        finally:
            await asyncio.gather(_close(client), return_exceptions=True)
        if state is None:
            return exceptions.ResponseError("it knows no such service")
        if not state["is_master"] or state["is_sdown"] or state["is_odown"]:
            return exceptions.ResponseError("it takes the primary for down")
        return state["ip"], int(state["port"])


async def _close(client: Any) -> None:  # noqa: ANN401 - redis-py's client
    await (client.aclose() if hasattr(client, "aclose") else client.close())
    await client.connection_pool.disconnect()
