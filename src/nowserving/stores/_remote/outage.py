"""One server's outage, told to the log once when it begins and once when it is over."""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import TYPE_CHECKING

from nowserving._host.forks import on_fork

if TYPE_CHECKING:
    from nowserving.protocol.outages import Outages

_LOGGER = "nowserving.queues.redis.outage"


class Outage:
    """Whether one server serves us; shared by all connections of a store to it, on all loops.

    Args:
        kind: What kind of server it is, as messages call it.
        where: Its address for messages; holds no password.
        outages: Who is told, beside the log.
        logger: The name of the logger.

    Attributes:
        reached: Whether a connection to it ever stood.
        since: When its outage began, monotonic; None while it serves.
        of_writes: Whether it still answers whoever only reads, so that such an answer ends nothing.
    """

    def __init__(self, kind: str, where: str, outages: Outages, logger: str = _LOGGER) -> None:
        self._kind = kind
        self._outages = outages
        self._logger = logging.getLogger(logger)
        self.where = where
        self.reached = False
        self.since: float | None = None
        self.of_writes = False
        # Several loops see an outage begin at the same moment. Whoever pops, tells; that is
        # atomic without a lock, which a fork could inherit held.
        self._calm = deque([True])
        on_fork(self)

    def forked(self) -> None:
        """In a forked child: nobody is there who would go on to tell what he has begun with."""
        if self.since is None:
            self._calm = deque([True])

    def begin(self, why: str, *, of_writes: bool = False) -> None:
        """Something kept this server from serving us.

        Args:
            why: What that was, in words that hold no secret.
            of_writes: Whether it still answers whoever only reads.
        """
        if self.since is not None:
            return
        try:
            self._calm.pop()
        except IndexError:
            return
        self.of_writes = of_writes
        since = time.monotonic()
        try:
            self._logger.warning("%s at %s does not serve: %s", self._kind, self.where, why)
            self._outages.begin(self.where, why)
        finally:
            self.since = since  # last: whoever gets an answer right now must not end it before

    def end(self, how: str = "serves again") -> None:
        """It has answered a call, or is wanted no more; to be called while ``since`` is set.

        Args:
            how: What the log says of it.
        """
        since, self.since = self.since, None
        if since is None:
            return
        lasted = time.monotonic() - since
        self._logger.warning("%s at %s %s, after %.1f s", self._kind, self.where, how, lasted)
        self._outages.end(self.where, lasted)
        self._calm.append(True)
