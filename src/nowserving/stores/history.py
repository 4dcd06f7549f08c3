"""What whoever operates a bot asks of a store's history: what happened, and what happens."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from nowserving._config import checks
from nowserving.errors import LockError
from nowserving.stores.operating import OperatingMethods

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from nowserving.protocol.history import EventLog, HistoryEvent

_LOOKS_EVERY = 0.25
"""Seconds from one look at what has come to the next."""

_AT_ONCE = 500

_MOST_READ = 1_000_000

_REMEMBERED = 10_000
"""Of so many events is known that they were told: one may have been written twice."""


class HistoryMethods(OperatingMethods):
    """Reads what happened, where a history is kept (``history=`` on the stores that write it)."""

    async def events(
        self,
        conversation_id: str | None = None,
        *,
        since: float | None = None,
        limit: int = 1000,
    ) -> list[HistoryEvent]:
        """Return what happened last, oldest first.

        It is what processes have written whose stores were made with ``history=``; this one need
        not be. An event is written some tenths of a second after it happened.

        Args:
            conversation_id: Only in this conversation; by default in all of them.
            since: Unix time of the first, in seconds; by default as far back as there are any.
            limit: How many at the most, the last ones; 1 to 1,000,000.

        Raises:
            TypeError: If an argument has the wrong type.
            ValueError: If the conversation is empty, or an argument out of range.
            LockError: If the store can keep none: a custom store.
            StoreClosed: If the store is closed.
            StoreUnavailable: If the store does not answer in time.
        """
        if conversation_id is not None:
            checks.conversation(conversation_id)
        _check_limit(limit)
        log = self._log("events()")
        found = await log.last(conversation_id, _moment(since), limit)
        return sorted(_once(found, deque(maxlen=len(found) or 1)), key=lambda event: event.at)

    async def follow(
        self, conversation_id: str | None = None, *, since: float | None = None
    ) -> AsyncGenerator[HistoryEvent, None]:
        """Iterate over what happens, as it is written, without an end.

        Whoever stops in the middle closes it: ``async with contextlib.aclosing(store.follow())``.

        It looks every quarter of a second. Events of different processes may come some tenths of a
        second out of order; ``event.at`` says when each was.

        Args:
            conversation_id: Only in this conversation; by default in all of them.
            since: Begin with what happened from this Unix time on; by default with what comes.

        Raises:
            TypeError: If an argument has the wrong type.
            ValueError: If the conversation is empty, or ``since`` out of range.
            LockError: If the store can keep none: a custom store.
            StoreClosed: If the store is closed, also meanwhile.
            StoreUnavailable: If the store does not answer in time.
        """
        if conversation_id is not None:
            checks.conversation(conversation_id)
        from_then_on = None if since is None else _moment(since)
        told: deque[tuple[str, str]] = deque(maxlen=_REMEMBERED)
        cursor = (await self._log("follow()").page(conversation_id, None, 1)).cursor
        if from_then_on is not None:  # behind the cursor: what is in both is told once
            found = await self._log("follow()").last(conversation_id, from_then_on, _MOST_READ)
            for event in sorted(_once(found, told), key=lambda event: event.at):
                yield event
        while True:
            page = await self._log("follow()").page(conversation_id, cursor, _AT_ONCE)
            for event in sorted(_once(page.events, told), key=lambda event: event.at):
                yield event
            if page.cursor == cursor:
                await asyncio.sleep(_LOOKS_EVERY)
            cursor = page.cursor

    def _log(self, what: str) -> EventLog:
        log = self._operated().history
        if log is None:
            raise LockError(
                f"{what} needs a store that can keep a history; {type(self).__name__} defines only "
                "get_lock, save_lock and delete_lock."
            )
        return log


def _check_limit(limit: object) -> None:
    if isinstance(limit, bool) or not isinstance(limit, int):
        msg = f"limit={limit!r} must be a whole number"
        raise TypeError(msg)
    if not 1 <= limit <= _MOST_READ:
        msg = f"limit={limit!r} must be from 1 to {_MOST_READ}"
        raise ValueError(msg)


def _moment(since: object) -> float:
    if since is None:
        return 0.0
    if isinstance(since, bool) or not isinstance(since, (int, float)):
        msg = f"since={since!r} is a {type(since).__name__}; it must be a Unix time in seconds"
        raise TypeError(msg)
    if not since >= 0:
        msg = f"since={since!r} must be a Unix time in seconds, at least 0"
        raise ValueError(msg)
    return float(since)


def _once(events: list[HistoryEvent], told: deque[tuple[str, str]]) -> list[HistoryEvent]:
    """Return events without those that were told, and note that these are.

    A batch whose reply was lost is written again. A turn has each kind of event once.
    """
    if not events:
        return []
    known, new = set(told), []
    for event in events:
        name = (event.turn, event.kind)
        if event.conversation_id and name in known:
            continue
        known.add(name)
        told.append(name)
        new.append(event)
    return new
