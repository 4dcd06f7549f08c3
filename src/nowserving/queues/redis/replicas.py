"""``min_replicas``: after a take, wait until enough replicas have it, and say when they had not.

Only takes wait. A leave or a renewal that a failover forgets makes a turn end later or a lease end
earlier, which the rules survive; a take that it forgets may put two holders side by side.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nowserving.queues.redis.call import Call

logger = logging.getLogger(__name__)

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
                confirmed,
            )
