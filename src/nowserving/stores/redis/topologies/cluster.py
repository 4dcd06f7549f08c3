"""One event loop's conversation with a Redis Cluster: each call to the node of its record.

A session a node; all calls under way for one record are in one *lane*, at one node, in the order
in which they were made. A lane moves as a whole: when the node says ``MOVED`` or ``ASK``, or when
the node is gone and the map names another one. Calls that come while it has something under way
follow it, whatever the map says by then. So the order within a conversation survives redirects.

The map is read again, from any node that answers, whenever a node redirects, can't be reached,
breaks its connection or says that the cluster is down. Until it is known, the first node there
is gets the calls, and redirects them.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING, Any

from nowserving._host.background import spawn
from nowserving.stores._remote.abandonment import abandon_task
from nowserving.stores._remote.patience import patiently
from nowserving.stores.redis.connection.diagnosis import diagnose
from nowserving.stores.redis.connection.handshake import ask_once
from nowserving.stores.redis.topologies.node import Lane, LaneCall, NodeSession
from nowserving.stores.redis.topologies.slots import read_redirect

if TYPE_CHECKING:
    from nowserving.stores._remote.call import Call
    from nowserving.stores.redis.call_settings import CallSettings
    from nowserving.stores.redis.connection.dial import Node
    from nowserving.stores.redis.session import ServerSession
    from nowserving.stores.redis.topologies.nodes import Nodes

logger = logging.getLogger("nowserving.queues.redis.cluster")

_REFRESH_PAUSE = 0.1
"""Seconds between two readings of the map."""

_MANY_HOPS = 4
"""Redirects in a row after which two nodes just don't agree yet, and time has to pass."""


class ClusterSession:
    """The command connections of one event loop to the nodes of a cluster.

    Args:
        nodes: How to reach the nodes, and who has what.
        settings: How calls travel.
    """

    def __init__(self, nodes: Nodes, settings: CallSettings) -> None:
        self._loop = asyncio.get_running_loop()
        self._nodes = nodes
        self._settings = settings
        self._sessions: dict[Node, NodeSession] = {}
        self._lanes: dict[bytes, Lane] = {}
        self._refreshing: asyncio.Task[None] | None = None
        self._closed = False
        self.refresh_map()

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
        """Send a verb to the node of its record; as :meth:`ServerSession.call`.

        A plain command (no key) goes to any node.
        """
        if not key:
            return self._session(self._nodes.map.candidates()[0]).call(
                key, args, again, lazy=lazy, timeout=timeout, within=within
            )
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(self._session(self._nodes.map.owner(key)))
        timeout = self._settings.timeout if timeout is None else timeout
        loop = self._loop
        future, now = loop.create_future(), loop.time()
        call = LaneCall(key, args, again or args, future, now, timeout, within)
        call.lane, call.leave, call.alone = lane, self._leave, alone
        lane.size += 1
        lane.session.push(call, lazy=lazy)
        return call

    def hurry(self) -> None:
        """Send now what waits for others."""
        for session in list(self._sessions.values()):
            session.hurry()

    async def shards(self) -> list[ServerSession]:
        """Return the sessions with all primaries."""
        if not self._nodes.map.primaries:
            self.refresh_map()
            if self._refreshing is not None:
                await asyncio.wait({self._refreshing}, timeout=self._settings.timeout)
        nodes = self._nodes.map.primaries or self._nodes.map.nodes
        return [self._session(node) for node in nodes]

    def close(self) -> None:
        """Close all connections; calls under way fail with ``StoreClosed``."""
        self._closed = True
        if self._refreshing is not None:
            self._refreshing.cancel()
        for session in list(self._sessions.values()):
            session.close()

    def hang_up(self) -> None:
        """Have Redis end the connections of a loop that does not run."""
        for session in list(self._sessions.values()):
            session.hang_up()

    def abandon(self) -> None:
        """Let go of the connections of a closed loop."""
        self._closed = True
        if self._refreshing is not None:
            abandon_task(self._refreshing)
            self._refreshing = None
        for session in self._sessions.values():
            session.abandon()

    def _session(self, node: Node) -> NodeSession:
        session = self._sessions.get(node)
        if session is None:
            server = self._nodes.server(node)
            session = self._sessions[node] = NodeSession(node, server, self._settings, self)
            if self._closed:
                session.close()
        return session

    def _leave(self, call: LaneCall) -> None:
        lane = call.lane
        lane.size -= 1
        if lane.size == 0 and self._lanes.get(call.key) is lane:
            del self._lanes[call.key]

    # Redirects

    def redirect(self, asked: NodeSession, redirected: list[tuple[list[Call], str]]) -> None:
        """Move lanes to where a node says that their records are.

        Args:
            asked: The session with that node.
            redirected: The groups of calls that it refused, and its words.
        """
        behind: dict[bytes, list[Call]] = {group[0].key: [] for group, _ in redirected}
        for call in asked.withdraw(set(behind)):
            behind[call.key].append(call)
        for group, text in redirected:
            node, asking = read_redirect(text, asked.node)
            if not asking:
                self._nodes.map.move(group[0].key, node)
            self._move(group + behind[group[0].key], node, asking=asking)
        self.refresh_map()

    def _move(self, calls: list[Call], node: Node, *, asking: bool) -> None:
        target = self._session(node)
        lane = self._lanes.get(calls[0].key)
        if lane is None:  # the session was closed, and every call with it
            return
        lane.session, lane.asking = target, asking
        lane.hops += 1
        if lane.hops > _MANY_HOPS and not asking:
            target.push_after_a_pause(calls)
            return
        for call in calls:
            target.push(call)

    def _rehome(self) -> None:
        """Move what waits for a node that can't be reached to where the map has it now."""
        for session in list(self._sessions.values()):
            if session.connected:
                continue
            lanes: dict[bytes, list[Call]] = {}
            for call in session.withdraw():
                lanes.setdefault(call.key, []).append(call)
            for key, calls in lanes.items():
                node = self._nodes.map.owner(key)
                if node == session.node:
                    for call in calls:
                        session.push(call)
                else:
                    self._move(calls, node, asking=False)
            if session.idle and session.node not in self._nodes.map.nodes:
                session.close()
                del self._sessions[session.node]

    # The map

    def refresh_map(self) -> None:
        """Read the map again, in the background."""
        if self._refreshing is None and not self._closed:
            self._refreshing = spawn(self._loop, self._refresh())
            self._refreshing.add_done_callback(self._refreshed)

    async def _refresh(self) -> None:
        nodes = self._nodes.map.candidates()
        # Not always the same node first: it may be the one that is cut off from the others.
        for node in random.sample(nodes, len(nodes)):
            if await self._read_map(node):
                self._rehome()
                break
        await asyncio.sleep(_REFRESH_PAUSE)

    async def _read_map(self, node: Node) -> bool:
        try:
            limit = self._settings.timeout / 5
            reply = await patiently(self._ask(node), limit, lambda _: None)
            return self._nodes.take_over(reply, node)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next node may answer
            logger.debug("No map from %s: %s", node, diagnose(error))
            return False

    async def _ask(self, node: Node) -> Any:  # noqa: ANN401
        protocol = await self._nodes.dialler.connect(host=node[0], port=node[1])
        return await ask_once(protocol, "CLUSTER", "SLOTS")

    def _refreshed(self, task: asyncio.Task[None]) -> None:
        self._refreshing = None
        if not task.cancelled() and task.exception() is not None:
            logger.error("Reading the cluster's map failed", exc_info=task.exception())
