"""``min_replicas``: after a take, wait until enough replicas have it, and say when they had not.

Only takes wait. A leave or a renewal that a failover forgets makes a turn end later or a lease end
earlier, which the rules survive; a take that it forgets may put two holders side by side.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import hiredis

from nowserving.stores.redis.connection.diagnosis import reply_error, told

if TYPE_CHECKING:
    from collections.abc import Callable

    from nowserving.stores._remote.call import Call

logger = logging.getLogger("nowserving.queues.redis.replicas")

_TAKES = frozenset({"take", "redeem"})
_LONGEST = 0.5


class Replicas:
    """How many replicas must have confirmed a take, and how often they had not in time.

    Args:
        wanted: How many.
        timeout: The seconds that a call may take; a tenth of them, 0.5 s at most, is waited.

    Attributes:
        command: The ``WAIT`` that follows a take, on the same connection.
        missed: Round trips with takes that were granted without enough confirmations.
    """

    def __init__(self, wanted: int, timeout: float) -> None:
        self._wanted = wanted
        milliseconds = max(1, int(min(_LONGEST, timeout / 10) * 1000))
        self.command: tuple[Any, ...] = ("WAIT", wanted, milliseconds)
        self._seconds = milliseconds / 1000
        self.missed = 0
        self._reached = True

    @staticmethod
    def concern(batch: list[Call]) -> bool:
        """Return whether there is a take among these calls."""
        return any(call.args[0] in _TAKES for call in batch)

    def note(self, confirmed: Any) -> None:  # noqa: ANN401 - a count, or an error
        """Take what ``WAIT`` said: the first shortfall in a row and its end are logged."""
        reached = isinstance(confirmed, int) and confirmed >= self._wanted
        if not reached:
            self.missed += 1
        if reached == self._reached:
            return
        self._reached = reached
        if reached:
            logger.warning(
                "min_replicas=%d is reached again; %d round trips with takes went without",
                self._wanted,
                self.missed,
            )
        else:
            logger.warning(
                "min_replicas=%d was not reached within %.3g s: WAIT says %s. Locks are granted "
                "all the same; a failover now may forget who holds them.",
                self._wanted,
                self._seconds,
                confirmed if isinstance(confirmed, int) else told(reply_error(str(confirmed))),
            )


class HeldBack:
    """The replies to one session's batch, held back until the replicas' comes.

    Args:
        replicas: Whom to wait for.
        on_reply: Takes each reply then.
    """

    def __init__(self, replicas: Replicas, on_reply: Callable[[Any], None]) -> None:
        self._replicas = replicas
        self._on_reply = on_reply
        self._expected = 0
        self._replies: list[Any] = []

    def follow(self, batch: list[Call], commands: list[tuple[Any, ...]]) -> None:
        """Put a ``WAIT`` behind a batch's commands if there is a take among its calls."""
        if batch[0].key and self._replicas.concern(batch):
            self._expected = len(commands)
            commands.append(self._replicas.command)

    def arrive(self, reply: Any) -> None:  # noqa: ANN401 - whatever Redis says
        """Take a reply, and hand all of them on with the last one."""
        if not self._expected:
            self._on_reply(reply)
        elif len(self._replies) < self._expected:
            self._replies.append(reply)
        else:
            replies = self._replies
            self.forget()
            if not all(isinstance(held, hiredis.ReplyError) for held in replies):
                self._replicas.note(reply)
            for held in replies:
                self._on_reply(held)

    def forget(self) -> None:
        """Expect nothing any more: the connection is gone."""
        self._expected, self._replies = 0, []
