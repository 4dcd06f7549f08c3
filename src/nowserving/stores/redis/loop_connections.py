"""All that one event loop has of one Redis: its sessions and its inbox; and all loops' of these."""

from __future__ import annotations

import asyncio
import itertools
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING

from nowserving._host.background import soon
from nowserving._host.identity import Owners, nonce
from nowserving._host.loops import PerLoop
from nowserving.errors import StoreClosed
from nowserving.stores.redis import eviction
from nowserving.stores.redis.inbox import Inbox
from nowserving.stores.redis.walking import Sweeper

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from nowserving.stores.redis.call_settings import CallSettings
    from nowserving.stores.redis.processes import ProcessNote
    from nowserving.stores.redis.topologies.topology import Session, Topology


_STEPS = 10


class LoopConnections:
    """The connections of one event loop, closed with it.

    Args:
        loop: The loop, which is running.
        register: Where they are registered.
        topology: Where the records are.
        settings: How calls travel.
        name: What nobody else has, ever: a part of each owner, and the inbox's name.

    Attributes:
        loop: The same loop.
        owners: Draws owners that nobody else has, ever.
        session: For all calls.
        sweeper: Goes on with what a call has left over.
        heartbeat: For renewals.
        history: For what happens, made at first use: what the server refuses of it, or takes its
            time for, must be nobody else's matter.
        inbox: For pushes.
        is_closed: Whether they are, for good.
        timer: When this process is to be noted again, None where that is not planned.
    """

    is_closed = False
    timer: asyncio.TimerHandle | None = None

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        register: PerLoop[LoopConnections],
        topology: Topology,
        settings: CallSettings,
        name: str,
    ) -> None:
        self.loop = loop
        self.owners = Owners(name)
        self._register = register
        self.session = topology.session(settings)
        self.sweeper = Sweeper(self.session)
        # Renewals have a connection of their own: a slow answer to somebody's take must not
        # cost others their leases.
        self.heartbeat = topology.heartbeat(settings)
        self.inbox = Inbox(topology.inbox_server(), settings.header.channel_prefix + name)
        self.inbox.open()
        self._topology, self._settings = topology, settings
        self._aside: Session | None = None
        self._history: Session | None = None
        self._end_hook = self._close_with_the_loop()
        self._start_end_hook()

    def aside(self) -> Session:
        """Return the session for surveys; made at the first one, since most processes make none."""
        if self._aside is None:
            self._aside = self._another(self._settings.for_surveys())
        return self._aside

    def _another(self, settings: CallSettings) -> Session:
        session = self._topology.heartbeat(settings)
        if self.is_closed:
            session.close()
        return session

    def _start_end_hook(self) -> None:
        # It suspends nowhere, so one step runs it; `handle` and `take` must not wait for it.
        try:
            self._end_hook.__anext__().send(None)
        except StopIteration:
            return

    async def _close_with_the_loop(self) -> AsyncGenerator[None, None]:
        # A loop closes its started async generators before it stops: the one hook that
        # asyncio has for "this loop ends now", while transports can still be closed.
        try:
            yield
        finally:
            self._register.discard(self)
            self.close()
            # Sockets are closed by callbacks, some steps after a handshake is cancelled.
            for _ in range(_STEPS):
                await asyncio.sleep(0)

    @property
    def history(self) -> Session:
        """Return the session for what happens; to be used on the loop."""
        if self._history is None:
            self._history = self._another(self._settings)
        return self._history

    def _parts(self) -> list[Session | Inbox]:
        parts = [self.session, self.heartbeat, self._aside, self._history, self.inbox]
        return [part for part in parts if part is not None]

    def close(self) -> None:
        """Hang up; called on their own loop."""
        self.is_closed = True
        if self.timer is not None:
            self.timer.cancel()
        for part in self._parts():
            part.close()

    def hang_up(self) -> None:
        """Have Redis end the connections of a loop that rests; it may go on with new ones."""
        for part in self._parts():
            part.hang_up()

    def abandon(self) -> None:
        """Let go of what a loop left that was closed without notice."""
        for part in self._parts():
            part.abandon()

    async def aclose(self) -> None:
        """Hang up, and take the hook out of the loop."""
        await self._end_hook.aclose()


class Connections(PerLoop[LoopConnections]):
    """What each event loop has of one Redis.

    Args:
        topology: Where the records are, and how to reach them.
        settings: How calls travel.
        process: Notes which process this is.

    Attributes:
        nonce: What all owners begin with.
    """

    def __init__(self, topology: Topology, settings: CallSettings, process: ProcessNote) -> None:
        super().__init__()
        self.nonce = nonce()
        self._topology = topology
        self._settings = settings
        self._process = process
        self._counter = itertools.count()
        self._eviction_judged = False
        self._closed = False

    def here(self) -> LoopConnections:
        """Return the running loop's."""
        loop, home = asyncio.get_running_loop(), self.last
        if home is None or home.loop() is not loop:
            home = self.of(loop)
        connections = home.thing()
        if connections is None:  # closed in this very moment
            raise _closed()
        return connections

    def make(self, loop: asyncio.AbstractEventLoop) -> LoopConnections:
        """Make the running loop's; not of a closed store."""
        if self._closed:
            raise _closed()
        name = f"{self.nonce}~{next(self._counter)}"
        made = LoopConnections(loop, self, self._topology, self._settings, name)
        self._process.plan(made, self.nonce)
        if not self._eviction_judged:
            self._eviction_judged = True
            soon(loop, self._judge_eviction, made)  # behind the call that is about to be made
        return made

    def _judge_eviction(self, connections: LoopConnections) -> None:
        answer = connections.session.call(b"", eviction.QUESTION).future
        judge = partial(eviction.judge, self._topology.where)
        answer.add_done_callback(judge, context=Context())

    async def aclose(self) -> None:
        """Close all of them; those of other loops on their own threads."""
        self._closed = True
        here = asyncio.get_running_loop()
        for connections in self:
            if connections.loop is here:
                await connections.aclose()
        self.close()

    def forked(self) -> None:
        """Forget the parent's without closing them, and name those to come by a new nonce."""
        super().forked()
        self._process.begin_anew()
        self.nonce = nonce()


def _closed() -> StoreClosed:
    return StoreClosed("The lock store is closed.")
