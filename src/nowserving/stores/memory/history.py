"""What happened, in memory: the last events of each conversation, and of all of them."""

from __future__ import annotations

import itertools
import threading
import time
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Final

from nowserving._host.forks import on_fork
from nowserving.protocol.history import HistoryEvent, HistoryOptions, Page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import TypeAlias

    from nowserving.protocol.history import Put

    _Kept: TypeAlias = tuple[int, float, Callable[[], HistoryEvent]]

# What is kept of an event is a plain tuple, since it is made in the way of a turn.
_POSITION: Final = 0
_AT: Final = 1
_MAKE: Final = 2

_SWEEPS_EVERY, _SWEPT_AT_ONCE = 32, 64
"""With every 32nd event twice as many are looked at: so they go faster than they come."""


class MemoryHistory:
    """Events in this process's memory.

    Args:
        options: How much is kept; None for nothing.

    Attributes:
        options: The same.
    """

    def __init__(self, options: HistoryOptions | None) -> None:
        self.options = options
        self._start_afresh()
        on_fork(self)

    def _start_afresh(self) -> None:
        total = 0 if self.options is None else self.options.total
        self._mutex = threading.Lock()  # held for some steps; a fork has one of its own
        self._positions = itertools.count(1)
        self._all: deque[_Kept] = deque(maxlen=total)
        # By conversation, the one in which something happened last at the end.
        self._lines: OrderedDict[str, deque[_Kept]] = OrderedDict()

    def forked(self) -> None:
        """In a forked child: what happened so far happened in its parent."""
        self._start_afresh()

    @property
    def put(self) -> Put | None:
        """Keeps an event."""
        return self._keep

    def _keep(self, conversation_id: str, at: float, make: Callable[[], HistoryEvent]) -> None:
        options = self.options
        if options is None:
            return
        with self._mutex:
            position = next(self._positions)
            kept = (position, at, make)
            self._all.append(kept)
            if conversation_id:
                line = self._lines.get(conversation_id)
                if line is None:
                    line = self._lines[conversation_id] = deque(maxlen=options.each)
                else:
                    self._lines.move_to_end(conversation_id)
                line.append(kept)
            if not position % _SWEEPS_EVERY:
                self._sweep(at - options.ttl)

    def _sweep(self, oldest: float) -> None:
        """Forget the first of what is too old."""
        for _ in range(_SWEPT_AT_ONCE):
            name = next(iter(self._lines), None)
            if name is None or self._lines[name][-1][_AT] >= oldest:
                break
            del self._lines[name]
        for _ in range(_SWEPT_AT_ONCE):
            if not self._all or self._all[0][_AT] >= oldest:
                break
            self._all.popleft()

    async def append(self, events: Sequence[HistoryEvent]) -> None:
        """Keep events."""
        for event in events:
            self._keep(event.conversation_id, event.at, lambda event=event: event)  # type: ignore[misc]

    async def last(
        self, conversation_id: str | None, since: float, limit: int
    ) -> list[HistoryEvent]:
        """Return the last events, oldest first."""
        found = [kept for kept in self._of(conversation_id) if kept[_AT] >= since]
        return _made(found[-limit:])

    async def page(self, conversation_id: str | None, behind: str | None, limit: int) -> Page:
        """Return what was kept behind a cursor."""
        those = self._of(conversation_id)
        if behind is None:
            return Page([], str(those[-1][_POSITION] if those else 0))
        found = [kept for kept in those if kept[_POSITION] > int(behind)][:limit]
        return Page(_made(found), str(found[-1][_POSITION]) if found else behind)

    def _of(self, conversation_id: str | None) -> list[_Kept]:
        with self._mutex:
            found = self._all if conversation_id is None else self._lines.get(conversation_id, ())
            those = list(found)
        oldest = time.time() - (0.0 if self.options is None else self.options.ttl)
        return [kept for kept in those if kept[_AT] >= oldest]


def _made(those: Iterable[_Kept]) -> list[HistoryEvent]:
    return [kept[_MAKE]() for kept in those]
