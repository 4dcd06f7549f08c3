"""The whole examination: what stands around the primaries, then each of them."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from nowserving._host.identity import nonce
from nowserving.stores._remote.unreachable import Unreachable
from nowserving.stores.redis.examining import cluster, sentinels, server
from nowserving.stores.redis.examining.place import Place, Plan
from nowserving.stores.redis.topologies.topology import Cluster, SentinelTopology

if TYPE_CHECKING:
    from nowserving.protocol.examination import Finding
    from nowserving.stores.redis.topologies.topology import Topology


def key_of(key_prefix: bytes, name: str, number: int = 0) -> bytes:
    """Return a key that an ACL takes for a conversation's, and that is none's.

    A record's key ends with a brace, and that of a message has ``}:done:`` in it; a conversation
    has a name. And the braces are empty, so Redis hashes the whole key: some number has it at any
    node of a cluster.
    """
    return b"%b{}:doctor:%b:%d" % (key_prefix, name.encode(), number)


async def examine(topology: Topology, plan: Plan) -> list[Finding]:
    """Return all that is found.

    Args:
        topology: Where Redis is. Its sessions are not used.
        plan: What is the same for all servers, but for the topology's name.
    """
    key = partial(key_of, plan.key_prefix, nonce())
    if isinstance(topology, Cluster):
        plan = plan._replace(topology="cluster")
        found, places = await cluster.examine(topology.nodes, key)
    elif isinstance(topology, SentinelTopology):
        plan = plan._replace(topology="sentinel")
        found, places = await _of_sentinels(topology, plan, key())
    else:
        only = topology.inbox_server()
        found, places = [], [Place(only, topology.where, key(), only)]
    for each in await asyncio.gather(*(server.examine(place, plan) for place in places)):
        found += each
    return found


async def _of_sentinels(
    topology: SentinelTopology, plan: Plan, key: bytes
) -> tuple[list[Finding], list[Place]]:
    found = await sentinels.examine(topology.sentinels, plan)
    try:
        host, port = await topology.sentinels.primary()
    except Unreachable:  # the sentinels' findings say so
        return found, []
    where = f"{host}:{port}"
    primary = topology.dialler.server(where, host=host, port=port)
    return found, [Place(primary, where, key, primary)]
