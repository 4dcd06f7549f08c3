"""What the errors of one Redis mean for a session, and how callers are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nowserving.errors import StoreUnavailable
from nowserving.stores._remote.trouble import Trouble
from nowserving.stores.redis.connection.diagnosis import told
from nowserving.stores.redis.passing import concerns_writes

if TYPE_CHECKING:
    from nowserving.stores._remote.call import Call


_ONLY_READ = frozenset({"poll", "line", "survey", "kept", "events", "SCAN"})


class RedisTrouble(Trouble):
    """A session's trouble with its Redis."""

    def words(self, error: BaseException) -> str:
        """Return an error in words that hold no secret."""
        return told(error)

    def concerns_writes(self, error: BaseException) -> bool:
        """Return whether Redis still answers whoever only reads."""
        return concerns_writes(str(error))

    def only_reads(self, call: Call) -> bool:
        """Return whether such a Redis answers this call."""
        verb, *_, last = call.args
        return verb in _ONLY_READ or (verb == "renew" and last == 0)

    def unavailable(self, what: str, because: str = "") -> StoreUnavailable:
        """Return the error for a caller."""
        limit = f"socket_timeout={self._timeout:g} s"
        return StoreUnavailable(f"Redis at {self.outage.where} {what} ({limit}){because}")
