"""One connection that is dialled again, with growing pauses, for as long as somebody wants it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Generic

from nowserving._host.background import spawn
from nowserving.stores._remote.abandonment import abandon_task
from nowserving.stores._remote.patience import patiently
from nowserving.stores._remote.server import ConnectionT

if TYPE_CHECKING:
    from collections.abc import Callable

    from nowserving.stores._remote.server import Server
    from nowserving.stores._remote.unreachable import Unreachable

logger = logging.getLogger("nowserving.queues.redis.uplink")

FIRST_DELAY, LONGEST_DELAY = 0.02, 1.0
"""Seconds between two attempts to connect."""


class ReconnectingConnection(Generic[ConnectionT]):
    """A connection with one server, replaced when it breaks.

    There is no task here while the connection stands, so a loop that is shut down
    (``asyncio.run`` cancels every task) takes nothing away. If a connection was just being made
    and somebody still wants it, another attempt begins.

    Args:
        server: Where to connect to.
        on_reply: Called with each reply.
        on_up: Called when a connection stands.
        on_lost: Called when it is gone, with the reason.
        on_failure: Called with the error of each attempt that failed.
        wanted: Asked before each attempt whether there is still need of it.

    Attributes:
        current: The connection while it stands.
    """

    def __init__(  # noqa: PLR0913 - what happens to a connection, each told to its owner
        self,
        server: Server[ConnectionT],
        *,
        on_reply: Callable[[Any], None],
        on_up: Callable[[], None],
        on_lost: Callable[[BaseException], None],
        on_failure: Callable[[Unreachable], None],
        wanted: Callable[[], bool],
    ) -> None:
        self.current: ConnectionT | None = None
        self._loop = asyncio.get_running_loop()
        self._server = server
        self._on_reply = on_reply
        self._on_up = on_up
        self._on_lost = on_lost
        self._on_failure = on_failure
        self._wanted = wanted
        self._dialling: asyncio.Task[None] | None = None
        self._closed = False

    def dial(self, delay: float = 0.0) -> None:
        """Connect in the background, unless that is done or under way.

        Args:
            delay: Seconds to wait before.
        """
        if self._dialling is None and self.current is None and not self._closed:
            self._dialling = spawn(self._loop, self._keep_dialling(delay))
            self._dialling.add_done_callback(self._dialled)

    def abandon(self) -> None:
        """Give the connection up without a word to anybody; ``dial`` makes another."""
        if self.current is not None:
            self.current.close()
            self.current = None

    def hang_up(self) -> None:
        """Have the server end the connection, on a loop that does not run; from any thread."""
        connection = self.current
        if connection is not None:
            connection.hang_up()

    def abandon_socket(self) -> None:
        """Close the socket of a loop that is closed itself, also of one that is half made."""
        self._closed = True
        if self._dialling is not None:
            abandon_task(self._dialling)
            self._dialling = None
        if self.current is not None:
            self.current.abandon()
            self.current = None

    def close(self) -> None:
        """Close for good."""
        self._closed = True
        if self._dialling is not None:
            self._dialling.cancel()
        self.abandon()

    async def _keep_dialling(self, delay: float) -> None:
        while self._wanted():
            if delay:
                await asyncio.sleep(delay)
                if not self._wanted():  # those who waited for it were served elsewhere meanwhile
                    return
            # Not so long that a call fails in a pause although the server can be reached again.
            delay = min(max(delay * 2, FIRST_DELAY), LONGEST_DELAY, self._server.timeout / 2)
            try:
                connect, limit = self._server.connect(), self._server.timeout
                connection = await patiently(connect, limit, lambda made: made.close())
                connection.take_over(self._on_reply, self._broke)
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not end the dialling
                failure = self._server.diagnose(error)
                if failure.hopeless:
                    delay = LONGEST_DELAY
                self._on_failure(failure)
            else:
                if self._closed:  # just then
                    connection.close()
                    return
                self.current = connection
                self._server.outage.reached = True
                return

    def _dialled(self, task: asyncio.Task[None]) -> None:
        self._dialling = None
        if task.cancelled():
            if self._wanted():
                self.dial(FIRST_DELAY)  # a pause, in case that whatever connects cancels itself
        elif task.exception() is not None:
            logger.error("Connecting to %s failed", self._server.where, exc_info=task.exception())
        elif self.current is not None:
            self._on_up()
        elif self._wanted():  # wanted again since it was asked last
            self.dial()

    def _broke(self, error: Exception | None) -> None:
        self.current = None
        self._on_lost(error or ConnectionError("the server closed the connection"))
