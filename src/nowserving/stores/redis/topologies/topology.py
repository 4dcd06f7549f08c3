"""The shapes in which Redis is run: one server, a primary that sentinels know, a cluster.

Each one makes the sessions of an event loop and says where its inbox may subscribe; nobody else
knows the difference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from nowserving.stores._remote.unreachable import Unreachable
from nowserving.stores.redis.connection.dial import redis_server
from nowserving.stores.redis.session import ServerSession
from nowserving.stores.redis.topologies.cluster import ClusterSession
from nowserving.stores.redis.topologies.nodes import Nodes
from nowserving.stores.redis.topologies.striped import StripedSession

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nowserving.protocol.outages import Outages
    from nowserving.stores._remote.call import Call
    from nowserving.stores.redis.call_settings import CallSettings
    from nowserving.stores.redis.connection.dial import Dialler, Node, RedisServer
    from nowserving.stores.redis.connection.resp import RespProtocol
    from nowserving.stores.redis.topologies.sentinel import Sentinels


class Session(Protocol):
    """What verbs need of a session, whatever the topology."""

    def call(  # noqa: PLR0913 - what to say, and how it travels
        self,
        key: bytes,
        args: tuple[Any, ...],
        again: tuple[Any, ...] | None = None,
        *,
        lazy: bool = False,
        timeout: float | None = None,
        within: float | None = None,
        alone: bool = False,
    ) -> Call:
        """Send a verb."""
        ...

    def hurry(self) -> None:
        """Send now what waits for others to share a round trip with."""
        ...

    async def shards(self) -> list[ServerSession]:
        """Return the sessions that together reach every record."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...

    def hang_up(self) -> None:
        """Have Redis end the connections of a loop that does not run."""
        ...

    def abandon(self) -> None:
        """Let go of the connections of a closed loop."""
        ...


class Topology(Protocol):
    """Where the records are.

    Attributes:
        where: The address for messages; holds no password.
        outages: Who is told of the outages of its servers.
    """

    where: str
    outages: Outages

    def session(self, settings: CallSettings) -> Session:
        """Return a session for the running loop."""
        ...

    def heartbeat(self, settings: CallSettings) -> Session:
        """Return a session for renewals, which go out together and rarely."""
        ...

    def inbox_server(self) -> RedisServer:
        """Return where to subscribe; each connection may lead elsewhere."""
        ...


class Standalone:
    """One server, which is the primary.

    Args:
        dialler: Makes the connections.
        where: The address for messages.
        **address: ``host`` and ``port``, or ``path``.
    """

    def __init__(self, dialler: Dialler, where: str, **address: Any) -> None:  # noqa: ANN401
        self.where, self.outages = where, dialler.outages
        self._server = dialler.server(where, **address)

    def session(self, settings: CallSettings) -> Session:
        """Return a session for the running loop."""
        return StripedSession(self._server, settings)

    def heartbeat(self, settings: CallSettings) -> Session:
        """Return a session for renewals."""
        return ServerSession(self._server, settings)

    def inbox_server(self) -> RedisServer:
        """Return the server."""
        return self._server


class SentinelTopology:
    """A primary and its replicas, watched over by sentinels; found anew at each connection.

    Args:
        dialler: Makes the connections to Redis.
        sentinels: Whom to ask.

    Attributes:
        dialler: The same.
        sentinels: The same.
    """

    def __init__(self, dialler: Dialler, sentinels: Sentinels) -> None:
        self.where, self.outages = sentinels.where, dialler.outages
        self.dialler = dialler
        self.sentinels = sentinels
        self._server = redis_server(self._connect, self.where, dialler.timeout, self.outages)

    async def _connect(self) -> RespProtocol:
        host, port = await self.sentinels.primary()
        try:
            return await self.dialler.connect(host=host, port=port)
        except Unreachable as failure:
            named = failure.of(f"the primary at {host}:{port}")
        raise named

    def session(self, settings: CallSettings) -> Session:
        """Return a session for the running loop."""
        return StripedSession(self._server, settings)

    def heartbeat(self, settings: CallSettings) -> Session:
        """Return a session for renewals."""
        return ServerSession(self._server, settings)

    def inbox_server(self) -> RedisServer:
        """Return the primary."""
        return self._server


class Cluster:
    """A Redis Cluster.

    Args:
        dialler: Makes the connections.
        seeds: Some of its nodes.

    Attributes:
        nodes: Its nodes, and who has what.
    """

    def __init__(self, dialler: Dialler, seeds: Sequence[Node]) -> None:
        self.where = "the cluster of " + ", ".join(f"{host}:{port}" for host, port in seeds)
        self.outages = dialler.outages
        self.nodes = Nodes(dialler, seeds)
        self._post = redis_server(
            self.nodes.connect_anywhere, self.where, dialler.timeout, self.outages
        )

    def session(self, settings: CallSettings) -> Session:
        """Return a session for the running loop."""
        return ClusterSession(self.nodes, settings)

    heartbeat = session

    def inbox_server(self) -> RedisServer:
        """Return any node: each one hears what is published at all others."""
        return self._post
