"""The recorder: an observer that has a store keep what happened, without holding anybody up.

On the way of a turn an event is only put into a buffer. The store's own thread writes what has
gathered there, a moment after the first and at most some times a second. What can't be written
costs the history, and is counted; never a lock.

==============================  ===================================================================
What happens right there        what becomes of it
==============================  ===================================================================
the process is killed           what has not been written is lost: a fifth of a second at most
the store does not answer       the batch is given up, and counted; the next one waits a while
more happens than is written    events are dropped, and counted
the process forks               the parent writes what it has; the child begins with nothing
the store is closed, or the     a batch on its way is waited for, then the rest is written: within
process ends                    a second
==============================  ===================================================================
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Protocol

from nowserving._host.background import later, spawn
from nowserving._host.clock import monotonic
from nowserving._host.identity import nonce
from nowserving._host.process import this_process
from nowserving._host.waits import ends_within
from nowserving.errors import LockError, StoreClosed
from nowserving.instrumentation.observer import AllEvents, StoreEvent, TicketEvent
from nowserving.protocol.history import MOST_OF_A_TEXT, HistoryEvent

if TYPE_CHECKING:
    from weakref import ReferenceType

    from nowserving._runtime.portal import Portal
    from nowserving.instrumentation.observer import EventKind
    from nowserving.protocol.history import EventLog

logger = logging.getLogger("nowserving.history")

MOST_BUFFERED = 10_000
"""Events that wait to be written; more are dropped."""

_FIRST_AFTER = 0.01
"""Seconds after the first event of a batch."""

_EVERY = 0.2
"""Seconds from one batch to the next while much happens."""

_AT_ONCE = 500
"""Events in one call of the log."""

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
"""Seconds after which it is tried again when the store did not take a batch."""

_ENDS_WITHIN = 1.0
"""Seconds for what is left when the store is closed."""


class Owner(Protocol):
    """Whose history it is (``runtime.py``)."""

    def portal(self) -> Portal:
        """Return the thread in which it is written.

        Raises:
            StoreClosed: If the store is closed.
        """
        ...


class Recorder(AllEvents):
    """Writes what happens to the log of a store.

    Args:
        log: The log.
        owner: What the store runs on; it ends with the store.
    """

    def __init__(self, log: EventLog, owner: ReferenceType[Owner]) -> None:
        self._log = log
        self._put = log.put
        self._owner = owner
        self._start_afresh()

    def _start_afresh(self) -> None:
        self._name, self._process = nonce(), this_process()
        self._buffer: deque[tuple[str, TicketEvent | StoreEvent]] = deque()
        self._dropped = 0
        self._planned = False  # whether somebody is going to write
        self._writing = False  # whether the store's own thread is, or has a time for it
        self._on_their_way: set[object] = set()  # batches, on whatever loop
        self._ending = False
        self._wrote_at = 0.0
        self._pause = 0.0
        self._is_told = False

    def forked(self) -> None:
        """In a forked child: what the parent has not written yet is the parent's."""
        self._start_afresh()

    def has_something(self) -> bool:
        """Return whether there is anything that is not written yet."""
        # In this order: a batch is on its way before anything is taken out of the buffer for it.
        return bool(self._buffer or self._on_their_way)

    # On the way of turns

    def told(self, kind: EventKind, event: TicketEvent) -> None:
        """Note it."""
        self._note(kind, event)

    def store_down(self, event: StoreEvent) -> None:
        """Note it."""
        self._note("store_down", event)

    def store_up(self, event: StoreEvent) -> None:
        """Note it."""
        self._note("store_up", event)

    def _note(self, kind: str, event: TicketEvent | StoreEvent) -> None:
        if self._put is not None:
            name = event.conversation_id if isinstance(event, TicketEvent) else ""
            self._put(name, event.at, partial(self._event_of, kind, event))
            return
        buffer = self._buffer
        if len(buffer) < MOST_BUFFERED:
            buffer.append((kind, event))
        else:
            self._dropped += 1
        if not self._planned:
            self._plan()

    def _plan(self) -> None:
        self._planned = True
        owner = self._owner()
        if owner is None:
            return
        try:
            portal = owner.portal()
            portal.call(lambda: self._write_later(portal))
        except StoreClosed:
            return  # whoever closes it writes what is left
        except BaseException:  # Ctrl-C: the next event plans it
            self._planned = False
            raise

    # On the store's own thread

    def _write_later(self, portal: Portal) -> None:
        """Write soon. Two threads may have planned it at once."""
        if not self._writing:
            self._writing = True
            delay = max(_FIRST_AFTER, self._wrote_at + _EVERY - monotonic(), self._pause)
            later(portal.loop, delay, lambda: spawn(portal.loop, self._write(portal)))

    async def _write(self, portal: Portal) -> None:
        try:
            await self._write_all()
        finally:
            self._wrote_at = monotonic()
            self._writing = self._planned = False
            # Whoever came before that word relied on us, and is in the buffer by now.
            if self._buffer:
                self._planned = True
                self._write_later(portal)

    async def _write_all(self) -> None:
        """Write what is in the buffer now, unless the store is being closed: that does it."""
        for _ in range(0, len(self._buffer), _AT_ONCE):
            if self._ending or not await self._write_some():
                break

    async def _write_some(self) -> bool:
        """Write a batch; return whether the store has taken it."""
        this, dropped = object(), self._dropped
        self._on_their_way.add(this)
        batch = [self._note_of(dropped)] if dropped else []
        try:
            with suppress(IndexError):  # that was all
                while len(batch) < _AT_ONCE:
                    batch.append(self._event_of(*self._buffer.popleft()))
            await self._log.append(batch)
        except LockError as error:
            self._dropped += len(batch) - bool(dropped)
            self._failed(error)
            return False
        except asyncio.CancelledError:
            self._dropped += len(batch) - bool(dropped)
            raise
        finally:
            self._on_their_way.discard(this)
        self._dropped -= dropped
        self._pause, self._is_told = 0.0, False
        return True

    def _failed(self, error: LockError) -> None:
        self._pause = min(max(2 * self._pause, _FIRST_PAUSE), _LONGEST_PAUSE)
        if not self._is_told and not isinstance(error, StoreClosed):
            self._is_told = True
            logger.warning(
                "The history is not written, which costs no lock anything. It is tried again. %s",
                error,
            )

    # The end

    async def finish(self) -> None:
        """Write what is left, within a second; on whatever loop the store is closed."""
        self._ending = True
        if self.has_something():
            await ends_within(self._write_the_rest(), _ENDS_WITHIN)

    async def _write_the_rest(self) -> None:
        while self.has_something():
            if self._on_their_way:  # maybe on another loop; what has come before goes before
                await asyncio.sleep(0.005)
            elif not await self._write_some():
                return

    # What is kept

    def _note_of(self, dropped: int) -> HistoryEvent:
        name, host, pid = f"{self._name}.0", self._process.host, self._process.pid
        return HistoryEvent("dropped", time.time(), "", name, host=host, pid=pid, dropped=dropped)

    def _event_of(self, kind: str, event: TicketEvent | StoreEvent) -> HistoryEvent:
        """Return what is kept of an event; called off the way of turns."""
        host, pid = self._process.host, self._process.pid
        if isinstance(event, StoreEvent):
            return HistoryEvent(
                kind,
                event.at,
                "",
                f"{self._name}.0",
                label=_cut(event.where),
                host=host,
                pid=pid,
                held=event.lasted,
                reason=_cut(event.why) or "",
            )
        return HistoryEvent(
            kind,
            event.at,
            event.conversation_id,
            f"{self._name}.{event.turn}",
            event.number,
            _cut(event.label),
            _cut(event.message_id),
            host,
            pid,
            event.ahead,
            round(event.waited, 6),
            _rounded(event.held),
            _rounded(event.handoff),
            event.token,
            event.predecessor,
            event.outcome,
            _cut(event.reason) or "",
        )


def _cut(text: str | None) -> str | None:
    return None if text is None else text[:MOST_OF_A_TEXT]


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)
