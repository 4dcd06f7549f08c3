"""The nodes of a cluster: who has what, and how to reach each, shared by all event loops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nowserving.stores.redis.topologies.slots import SlotMap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nowserving.stores.redis.connection.dial import Dialler, Node, RedisServer
    from nowserving.stores.redis.connection.resp import RespProtocol


class Nodes:
    """The nodes of a cluster.

    Args:
        dialler: Makes the connections.
        seeds: Some of the nodes.

    Attributes:
        dialler: The same.
        map: Who has which slot.
    """

    def __init__(self, dialler: Dialler, seeds: Sequence[Node]) -> None:
        self.dialler = dialler
        self.map = SlotMap(seeds)
        self._servers: dict[Node, RedisServer] = {}
        self._turn = 0

    def server(self, node: Node) -> RedisServer:
        """Return a node, the same object each time: its outages are told once."""
        host, port = node
        server = self._servers.get(node)
        if server is None:
            server = self._servers.setdefault(
                node, self.dialler.server(f"{host}:{port}", host=host, port=port)
            )
        # Where the cluster has a map, it was reached: a node that is not there is an outage.
        server.outage.reached = server.outage.reached or bool(self.map.primaries)
        return server

    def take_over(self, reply: Sequence[Any], asked: Node) -> bool:
        """Take over a map, and end the outages of nodes that have no slots any more.

        Nobody asks those for anything, so no answer of theirs would ever end one.

        Args:
            reply: What ``CLUSTER SLOTS`` says, with text decoded.
            asked: The node that said it.

        Returns:
            Whether there is a map in it.
        """
        if not self.map.replace(reply, asked):
            return False
        for node, server in list(self._servers.items()):
            if server.outage.since is not None and node not in self.map.primaries:
                server.outage.end("is not needed any more: others have its slots")
        return True

    async def connect_anywhere(self) -> RespProtocol:
        """Return a connection with some node, with another one the next time."""
        nodes = self.map.candidates()
        self._turn += 1
        host, port = nodes[self._turn % len(nodes)]
        return await self.dialler.connect(host=host, port=port)
