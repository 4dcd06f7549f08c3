"""The shapes in which Redis is run: one server, a primary that sentinels know, a cluster.

Each one makes the sessions of an event loop and says where its inbox may subscribe; nobody else
knows the difference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from nowserving.stores._remote.outage import Outage
from nowserving.stores.redis.connection.diagnosis import Unreachable
from nowserving.stores.redis.connection.dial import Server
from nowserving.stores.redis.session import Session
from nowserving.stores.redis.topologies.cluster import ClusterSession
from nowserving.stores.redis.topologies.nodes import Nodes
from nowserving.stores.redis.topologies.striped import StripedSession

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nowserving.stores._remote.call import Call
    from nowserving.stores.redis.call_settings import CallSettings
    from nowserving.stores.redis.connection.dial import Dialler, Node
    from nowserving.stores.redis.connection.resp import RespProtocol
    from nowserving.stores.redis.topologies.sentinel import Sentinels


class Speaker(Protocol):
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
    ) -> Call:
        """Send a verb."""
        ...

    def hurry(self) -> None:
        """Send now what waits for others to share a round trip with."""
        ...

    async def shards(self) -> list[Session]:
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
    """

    where: str

    def session(self, terms: CallSettings) -> Speaker:
        """Return a session for the running loop."""
        ...

    def heartbeat(self, terms: CallSettings) -> Speaker:
        """Return a session for renewals, which go out together and rarely."""
        ...

    def post(self) -> Server:
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
        self.where = where
        self._server = dialler.server(where, **address)

    def session(self, terms: CallSettings) -> Speaker:
        """Return a session for the running loop."""
        return StripedSession(self._server, terms)

    def heartbeat(self, terms: CallSettings) -> Speaker:
        """Return a session for renewals."""
        return Session(self._server, terms)

    def post(self) -> Server:
        """Return the server."""
        return self._server


class SentinelTopology:
    """A primary and its replicas, watched over by sentinels; found anew at each connection.

    Args:
        dialler: Makes the connections to Redis.
        sentinels: Whom to ask.
    """

    def __init__(self, dialler: Dialler, sentinels: Sentinels) -> None:
        self.where = sentinels.where
        self._dialler = dialler
        self._sentinels = sentinels
        self._server = Server(self._connect, Outage(self.where), dialler.timeout)

    async def _connect(self) -> RespProtocol:
        host, port = await self._sentinels.primary()
        try:
            return await self._dialler.connect(host=host, port=port)
        except Unreachable as failure:
            named = failure.of(f"the primary at {host}:{port}")
        raise named

    def session(self, terms: CallSettings) -> Speaker:
        """Return a session for the running loop."""
        return StripedSession(self._server, terms)

    def heartbeat(self, terms: CallSettings) -> Speaker:
        """Return a session for renewals."""
        return Session(self._server, terms)

    def post(self) -> Server:
        """Return the primary."""
        return self._server


class Cluster:
    """A Redis Cluster.

    Args:
        dialler: Makes the connections.
        seeds: Some of its nodes.
    """

    def __init__(self, dialler: Dialler, seeds: Sequence[Node]) -> None:
        self.where = "the cluster of " + ", ".join(f"{host}:{port}" for host, port in seeds)
        self._nodes = Nodes(dialler, seeds)
        self._post = Server(self._nodes.connect_anywhere, Outage(self.where), dialler.timeout)

    def session(self, terms: CallSettings) -> Speaker:
        """Return a session for the running loop."""
        return ClusterSession(self._nodes, terms)

    heartbeat = session

    def post(self) -> Server:
        """Return any node: each one hears what is published at all others."""
        return self._post
