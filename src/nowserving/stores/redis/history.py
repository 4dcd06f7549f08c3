"""What happened: a list a conversation, beside its record, and a stream for all of them.

They are written and read over a connection of their own, never in a call that a turn waits for: an
ACL that denies them, or a Redis that is slow with them, costs only the history.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from nowserving._host.clock import monotonic
from nowserving.protocol import names
from nowserving.protocol.history import Page, dumps, loads
from nowserving.stores.redis.replies import MICROSECONDS, parse_events, parse_kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from nowserving.protocol.history import HistoryEvent, HistoryOptions
    from nowserving.stores._remote.call import Call
    from nowserving.stores.redis.loop_connections import Connections

_AT_ONCE = 100
"""Events in one verb: Redis does nothing else meanwhile."""

_LOOKS_EVERY = 60.0
"""Seconds after which the server's clock is compared with this machine's again."""

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
        self._clock = _Clock()

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
        session = self._connections.here().history
        ttl = max(1, round(options.ttl * 1000))
        ask = partial(session.call, self.key(None), ("record", options.total, ttl))
        ahead = await self._clock.ahead(ask)
        streams: dict[bytes, list[Any]] = {}
        for event in events:
            said = (round((event.at + ahead) * MICROSECONDS), dumps(event))
            streams.setdefault(self.key(None), []).extend(said)
            if event.conversation_id:
                streams.setdefault(self.key(event.conversation_id), []).extend(said)
        calls = []
        for key, words in streams.items():
            verb, most = "keep", options.each
            if key == self.key(None):
                verb, most = "record", options.total
            for first in range(0, len(words), 2 * _AT_ONCE):
                those = words[first : first + 2 * _AT_ONCE]
                calls.append(session.call(key, (verb, most, ttl, *those)))
        answers = await asyncio.gather(*(call.future for call in calls), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer

    async def last(
        self, conversation_id: str | None, since: float, limit: int
    ) -> list[HistoryEvent]:
        """Return the last events, oldest first."""
        found: list[HistoryEvent] = []  # the last one first
        count, before = 0, "+"
        while count < limit:
            most = min(_PAGE, limit - count)
            if conversation_id is None:
                asked: tuple[Any, ...] = ("events", "last", before, most)
                page = parse_events(await self._ask(None, asked))
            else:
                page = parse_kept(await self._ask(conversation_id, ("kept", count, most)))[::-1]
            if not page:
                break
            count += len(page)
            before = page[-1][0]
            events = _events_of(page)
            found += [event for event in events if event.at >= since]
            if not events or events[-1].at < since:
                break
        return found[::-1]

    async def page(self, conversation_id: str | None, behind: str | None, limit: int) -> Page:
        """Return what was written behind a cursor; of one conversation, what is so of all."""
        if behind is None:
            last = parse_events(await self._ask(None, ("events", "last", "+", 1)))
            return Page([], last[0][0] if last else "0-0")
        asked = ("events", "behind", behind, min(_PAGE, limit))
        page = parse_events(await self._ask(None, asked))
        events = _events_of(page)
        if conversation_id is not None:
            events = [event for event in events if event.conversation_id == conversation_id]
        return Page(events, page[-1][0] if page else behind)

    async def _ask(self, conversation_id: str | None, asked: tuple[Any, ...]) -> Any:  # noqa: ANN401
        session = self._connections.here().history
        return await session.call(self.key(conversation_id), asked).future


class _Clock:
    """How far the clock of one server is ahead of this machine's: by it all events are told.

    Not how long ago each was when it arrived: two batches that were held up differently would be
    told in another order than they happened.
    """

    def __init__(self) -> None:
        self._ahead = 0.0
        self._looks_at = 0.0  # monotonic

    async def ahead(self, ask: Callable[[], Call]) -> float:
        """Return by how many seconds it is ahead; asks for it now and then.

        Args:
            ask: Asks for the moment.
        """
        if monotonic() >= self._looks_at:
            sent = time.time()
            there = int(await ask().future) / MICROSECONDS
            got = time.time()
            # Nobody knows when within the round trip that was. So what is known stays, if it can.
            if not there - got <= self._ahead <= there - sent:
                self._ahead = there - (sent + got) / 2
            self._looks_at = monotonic() + _LOOKS_EVERY
        return self._ahead


def _events_of(page: Iterable[tuple[str, float, str]]) -> list[HistoryEvent]:
    events = [loads(text, at) for _, at, text in page]
    return [event for event in events if event is not None]
