"""One timer for all calls of a session: it wakes now and then while any of them is under way.

A timer for each call would cost as much as a twentieth of a turn. This one is not even moved when a
call is answered: it fires, checks, and goes to sleep when nothing is under way.

A loop that was blocked (somebody's handler computed for seconds, the process was stopped) finds
every deadline passed at once, and the answers unread. That is no outage. How long the loop
was blocked shows in how late this timer fires: the calls get that time back, and nothing is
decided before the loop has read what had arrived.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from nowserving._host.background import at

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

_LONGEST_NAP = 0.25
"""Seconds between two checks at the most: so exactly is known since when a loop was blocked."""

_REST = 0.005
"""Seconds between two checks at the least, since each goes through all calls."""

_LATE = 0.05
"""Seconds by which a timer may be late on a busy machine, the loop not being blocked."""


class Minded(Protocol):
    """What has deadlines, on the loop's clock: mostly a ``Call``.

    Attributes:
        asked: When it was asked for.
        retry_at: When something has to be decided about it at the latest, before its deadline.
        until: How long its caller waits for it.
    """

    asked: float
    retry_at: float
    until: float

    def due(self, now: float) -> float:
        """Return when something has to be decided about it next."""
        ...

    def postpone(self, seconds: float) -> None:
        """Give it time back in which nothing could be done about it."""
        ...


MindedT = TypeVar("MindedT", bound=Minded)


class Watchdog(Generic[MindedT]):
    """Has a session's calls checked whenever a deadline of theirs may have passed.

    Args:
        loop: The session's loop.
        timeout: The seconds that a call usually has.
        calls: Returns the calls that are under way.
        check: Ends what has run out of time; called with the loop's time.

    Attributes:
        wakes_at: When it checks next, on the loop's clock; infinite while it sleeps.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        timeout: float,
        calls: Callable[[], Sequence[MindedT]],
        check: Callable[[float], None],
    ) -> None:
        self._loop = loop
        self._nap = min(timeout / 8, _LONGEST_NAP)
        self._late = min(timeout / 8, _LATE)
        self._calls = calls
        self._check = check
        self._timer: asyncio.TimerHandle | None = None
        self.wakes_at = math.inf

    def mind(self, call: MindedT) -> None:
        """Check in time for this call; needs to be told only of what is due before ``wakes_at``."""
        self._arm(min(call.retry_at, call.until, call.asked + self._nap))

    def stop(self) -> None:
        """Check no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self, moment: float) -> None:
        self.stop()
        self.wakes_at = moment
        self._timer = at(self._loop, moment, self._wake)

    def _wake(self) -> None:
        now = self._loop.time()
        late, self._timer, self.wakes_at = now - self.wakes_at, None, math.inf
        if late > self._late:
            for call in self._calls():
                call.postpone(min(late, now - call.asked))
        else:
            self._check(now)
        calls = self._calls()
        if calls:
            soonest = min(call.due(now) for call in calls)
            self._arm(max(min(soonest, now + self._nap), now + _REST))
