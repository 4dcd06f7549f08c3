"""All that one event loop has of one Redis: its sessions and its inbox."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

from nowserving.stores.redis.inbox import Inbox
from nowserving.stores.redis.walking import Sweeper

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from nowserving._host.loops import PerLoop
    from nowserving.stores.redis.call_settings import CallSettings
    from nowserving.stores.redis.topologies.topology import Topology


_STEPS = 10


class LoopConnections:
    """The connections of one event loop, closed with it.

    Args:
        loop: The loop, which is running.
        links: Where it is registered.
        topology: Where the records are.
        terms: How calls travel.
        channel_prefix: What inbox channels begin with.
        name: What no other link has, ever: a part of each owner, and the inbox's name.

    Attributes:
        loop: The same loop.
        session: For all calls.
        heartbeat: For renewals.
        inbox: For pushes.
    """

    def __init__(  # noqa: PLR0913 - what a queue's links have in common, and two of their own
        self,
        loop: asyncio.AbstractEventLoop,
        links: PerLoop[LoopConnections],
        topology: Topology,
        terms: CallSettings,
        channel_prefix: str,
        name: str,
    ) -> None:
        self.loop = loop
        self._links = links
        self._name = name
        self._counter = itertools.count()
        self.session = topology.session(terms)
        self.sweeper = Sweeper(self.session)
        # Renewals have a connection of their own: a slow answer to somebody's take must not
        # cost others their leases.
        self.heartbeat = topology.heartbeat(terms)
        self.inbox = Inbox(topology.post(), channel_prefix + name)
        self.inbox.open()
        self._farewell = self._close_with_the_loop()
        self._start_farewell()

    def owner(self) -> str:
        """Return an owner that nobody else has, ever."""
        return f"{self._name}.{next(self._counter)}"

    def _start_farewell(self) -> None:
        # It suspends nowhere, so one step runs it; `place` and `take` must not wait for it.
        try:
            self._farewell.__anext__().send(None)
        except StopIteration:
            return

    async def _close_with_the_loop(self) -> AsyncGenerator[None, None]:
        # A loop closes its started async generators before it stops: the one hook that
        # asyncio has for "this loop ends now", while transports can still be closed.
        try:
            yield
        finally:
            self._links.discard(self)
            self.close()
            # Sockets are closed by callbacks, some steps after a handshake is cancelled.
            for _ in range(_STEPS):
                await asyncio.sleep(0)

    def close(self) -> None:
        """Hang up; called on the link's own loop."""
        self.session.close()
        self.heartbeat.close()
        self.inbox.close()

    def hang_up(self) -> None:
        """Have Redis end the connections of a loop that does not run."""
        for part in (self.session, self.heartbeat, self.inbox):
            part.hang_up()

    def abandon(self) -> None:
        """Let go of what a loop left that was closed without notice."""
        for part in (self.session, self.heartbeat, self.inbox):
            part.abandon()

    async def aclose(self) -> None:
        """Hang up, and take the hook out of the loop."""
        await self._farewell.aclose()
