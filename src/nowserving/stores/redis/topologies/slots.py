"""Which node of a cluster has which key: the slot map, and how to read it off a node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.crc import key_slot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nowserving.stores.redis.connection.dial import Node

SLOTS = 16384
"""How many slots a cluster has."""


class SlotMap:
    """The nodes of a cluster, shared by all event loops: every change is one assignment.

    Args:
        seeds: The nodes to begin with; kept for the day when all others are gone.

    Attributes:
        primaries: The nodes that have slots, as far as is known.
        nodes: All nodes, replicas too.
    """

    def __init__(self, seeds: Sequence[Node]) -> None:
        self._seeds = tuple(seeds)
        self._owners: list[Node | None] = [None] * SLOTS
        self.primaries: tuple[Node, ...] = ()
        self.nodes: tuple[Node, ...] = self._seeds

    def owner(self, key: bytes) -> Node:
        """Return the node of a key; any node while that is unknown: it tells where to go."""
        return self._owners[key_slot(key)] or self.nodes[0]

    def move(self, key: bytes, node: Node) -> None:
        """Note the new node of a key's slot, as ``MOVED`` told it."""
        self._owners[key_slot(key)] = node
        if node not in self.nodes:
            self.nodes = (*self.nodes, node)
        if node not in self.primaries:
            self.primaries = (*self.primaries, node)

    def candidates(self) -> list[Node]:
        """Return whom to ask for the map, or for anything else that each node knows."""
        return list(dict.fromkeys((*self.primaries, *self.nodes, *self._seeds)))

    def replace(self, reply: Sequence[Any], asked: Node) -> bool:
        """Take over what ``CLUSTER SLOTS`` says.

        Args:
            reply: The reply, with text decoded.
            asked: The node that said it; it leaves its own host out when it does not know it.

        Returns:
            Whether there is a map in it: a node that has just been reset knows no slots.
        """
        owners: list[Node | None] = [None] * SLOTS
        primaries: dict[Node, None] = {}
        nodes: dict[Node, None] = {}
        for first, last, primary, *replicas in reply:
            owner = _node(primary, asked)
            primaries[owner] = None
            nodes.update(dict.fromkeys(_node(each, asked) for each in (primary, *replicas)))
            owners[int(first) : int(last) + 1] = [owner] * (int(last) - int(first) + 1)
        if not primaries:
            return False
        self._owners = owners
        self.primaries, self.nodes = tuple(primaries), tuple(nodes)
        return True


def _node(entry: Sequence[Any], asked: Node) -> Node:
    return (entry[0] or asked[0], int(entry[1]))


def read_redirect(text: str, asked: Node) -> tuple[Node, bool]:
    """Read ``MOVED <slot> <host>:<port>`` or ``ASK …``.

    Returns:
        The node to go to, and whether it must be asked with ``ASKING``, for this time only.
    """
    kind, _, address = text.split(" ")[:3]
    host, _, port = address.rpartition(":")
    return (host or asked[0], int(port)), kind == "ASK"
