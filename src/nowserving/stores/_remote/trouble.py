"""What keeps one session from being served, for how long it pauses, and what callers are told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from nowserving.stores._remote.reconnecting import FIRST_DELAY, LONGEST_DELAY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nowserving.errors import StoreUnavailable
    from nowserving.stores._remote.call import Call
    from nowserving.stores._remote.outage import Outage
    from nowserving.stores._remote.unreachable import Unreachable

_GRACE = 1.0
"""Seconds for which a server that was never there is waited for."""


class Trouble:
    """A session's trouble with its server; the server's outage is begun and ended by it.

    A subclass knows what the server's errors mean, and how to say them.

    Args:
        loop: The session's loop.
        outage: The server's outage.
        timeout: The seconds that a call usually has.

    Attributes:
        outage: The same.
        error: The last error, until a call is answered.
        pause: The seconds to wait before the next attempt; 0 for none.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, outage: Outage, timeout: float) -> None:
        self._loop = loop
        self.outage = outage
        self._timeout = timeout
        self._noted_at = 0.0
        self._of_writes = False  # the error concerns only what writes
        self._next_pause = FIRST_DELAY
        self._absent_since: float | None = None
        self.error: BaseException | None = None
        self.pause = 0.0

    # What a subclass says

    def words(self, error: BaseException) -> str:
        """Return an error in words that hold no secret."""
        raise NotImplementedError

    def concerns_writes(self, error: BaseException) -> bool:
        """Return whether the server still answers whoever only reads."""
        raise NotImplementedError

    def only_reads(self, call: Call) -> bool:
        """Return whether such a server answers this call."""
        raise NotImplementedError

    def unavailable(self, what: str, because: str = "") -> StoreUnavailable:
        """Return the error for a caller.

        Args:
            what: What the server did.
            because: More about it.
        """
        raise NotImplementedError

    # What happens

    def note(self, error: BaseException) -> None:
        """Something went wrong that may be over with the next attempt."""
        self.error, self._noted_at = error, self._loop.time()
        self._of_writes = self.concerns_writes(error)

    def begin(self, error: BaseException) -> None:
        """It does not serve."""
        self.note(error)
        self.outage.begin(self.words(error), of_writes=self._of_writes)

    def begin_with_a_pause(self, error: BaseException) -> None:
        """It can't serve now: a moment later then, and longer each time."""
        self.begin(error)
        self.pause = self._next_pause

    def take_pause(self) -> float:
        """Return the pause, once; the next one is longer."""
        pause, self.pause = self.pause, 0.0
        # Not so long that the next call fails in a pause although the server serves again.
        self._next_pause = min(pause * 2, LONGEST_DELAY, self._timeout / 4)
        return pause

    def is_over(self, answered: Iterable[Call]) -> None:
        """These calls were answered, and nothing was refused beside them."""
        of_writes = self._of_writes or (self.outage.since is not None and self.outage.of_writes)
        if of_writes and all(self.only_reads(call) for call in answered):
            return
        self.error, self._of_writes = None, False
        self._next_pause = FIRST_DELAY
        self.outage.end()

    def not_connected(self, failure: Unreachable) -> str | None:
        """Take note of an attempt to connect that failed.

        Returns:
            What to tell those who wait for the connection; None if they shall wait on.
        """
        self.begin(failure)
        if failure.hopeless:
            return f"refused the connection: {failure}"
        now = self._loop.time()
        if self.outage.reached or not failure.absent:
            self._absent_since = None
        elif self._absent_since is None:
            self._absent_since = now
        elif now - self._absent_since >= _GRACE:
            self._absent_since = None
            return f"can't be reached: {failure}"
        return None

    # What callers are told

    def too_late(self, call: Call) -> StoreUnavailable:
        """Return the error of a call that was not answered by its deadline."""
        error, because = self.error, ""
        if error is None or self._noted_at < call.asked:  # older troubles explain nothing
            error = asyncio.TimeoutError("no answer in time")
        else:
            because = f" (last error: {self.words(error)})"
        self.outage.begin(self.words(error))
        return _caused(self.unavailable("did not answer in time", because), error)

    def refused(self, error: BaseException) -> StoreUnavailable:
        """Return the error of a call that the server refuses for good."""
        return _caused(self.unavailable(f"refused a command: {self.words(error)}"), error)

    def unreachable(self, words: str) -> StoreUnavailable:
        """Return the error of a call that waited for a connection; see :meth:`not_connected`."""
        return _caused(self.unavailable(words), self.error)


def _caused(told: StoreUnavailable, cause: BaseException | None) -> StoreUnavailable:
    told.__cause__ = cause
    return told
