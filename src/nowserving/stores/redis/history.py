"""What happened, in streams: one a conversation, beside its record, and one for all of them.

They are written and read over a connection of their own, never in a call that a turn waits for: an
ACL that denies them, or a Redis that is slow with them, costs only the history.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from nowserving.protocol import names
from nowserving.protocol.history import Page, dumps, loads
from nowserving.stores.redis.replies import MICROSECONDS, parse_events

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nowserving.protocol.history import HistoryEvent, HistoryOptions
    from nowserving.stores.redis.loop_connections import Connections

_AT_ONCE = 100
"""Events in one verb: Redis does nothing else meanwhile."""

_PAGE = 500
"""Events that are read by one verb."""


class RedisHistory:
    """Events in one Redis.

    Args:
        connections: What each event loop has of it.
        key_prefix: What every key begins with.
        options: How much is kept; None for nothing.

    Attributes:
        options: The same.
    """

    put = None

    def __init__(
        self, connections: Connections, key_prefix: bytes, options: HistoryOptions | None
    ) -> None:
        self.options = options
        self._connections = connections
        self._key_prefix = key_prefix

    def key(self, conversation_id: str | None) -> bytes:
        """Return the key of a conversation's events, or of everybody's.

        No conversation's record has such a key: there a brace follows the prefix.
        """
        if conversation_id is None:
            return b"%bhistory" % self._key_prefix
        return b"%bhistory:{%b}" % (self._key_prefix, names.encode(conversation_id))

    async def append(self, events: Sequence[HistoryEvent]) -> None:
        """Write events, those of one stream by one verb."""
        options = self.options
        if options is None or not events:
            return
        now = time.time()
        streams: dict[bytes, list[Any]] = {}
        for event in events:
            ago_and_text = (max(0, round((now - event.at) * MICROSECONDS)), dumps(event))
            streams.setdefault(self.key(None), []).extend(ago_and_text)
            if event.conversation_id:
                streams.setdefault(self.key(event.conversation_id), []).extend(ago_and_text)
        session = self._connections.here().history
        ttl = max(1, round(options.ttl * 1000))
        calls = []
        for key, said in streams.items():
            most = options.total if key == self.key(None) else options.each
            for first in range(0, len(said), 2 * _AT_ONCE):
                those = said[first : first + 2 * _AT_ONCE]
                calls.append(session.call(key, ("record", most, ttl, *those)))
        answers = await asyncio.gather(*(call.future for call in calls), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer

    async def last(
        self, conversation_id: str | None, since: float, limit: int
    ) -> list[HistoryEvent]:
        """Return the last events, oldest first."""
        found: list[HistoryEvent] = []
        before = "+"
        while len(found) < limit:
            asked = ("events", "last", before, min(_PAGE, limit - len(found)))
            page = await self._read(conversation_id, asked)
            if not page:
                break
            before = page[-1][0]
            events = _events_of(page)
            found += [event for event in events if event.at >= since]
            if not events or events[-1].at < since:
                break
        return found[::-1]

    async def page(self, conversation_id: str | None, behind: str | None, limit: int) -> Page:
        """Return what was written behind a cursor."""
        if behind is None:
            last = await self._read(conversation_id, ("events", "last", "+", 1))
            return Page([], last[0][0] if last else "0-0")
        asked = ("events", "behind", behind, min(_PAGE, limit))
        page = await self._read(conversation_id, asked)
        return Page(_events_of(page), page[-1][0] if page else behind)

    async def _read(
        self, conversation_id: str | None, asked: tuple[Any, ...]
    ) -> list[tuple[str, float, str]]:
        """Return id, moment and text of some events."""
        session = self._connections.here().history
        return parse_events(await session.call(self.key(conversation_id), asked).future)


def _events_of(page: Iterable[tuple[str, float, str]]) -> list[HistoryEvent]:
    events = [loads(text, at) for _, at, text in page]
    return [event for event in events if event is not None]
