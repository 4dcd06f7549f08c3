"""Counts what becomes of the turns of one store. Its methods are on the way of every turn.

So they put values down, each in one step under the GIL, and leave counting to whoever reads: no
lock is taken, nothing is looked up by name, and a value is sorted into its range a thousand at a
time.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, deque
from typing import TYPE_CHECKING, Protocol, TypeVar

from nowserving import Observer
from nowserving._host.forks import on_fork
from nowserving.integrations.prometheus.figures import (
    HANDOFF_SECONDS,
    OUTCOMES,
    REASONS,
    SECONDS,
    Distribution,
    Figures,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from nowserving import StoreEvent, TicketEvent

_T = TypeVar("_T")

_AT_ONCE = 1000
"""Turns after which they are counted although nobody reads: what is put down stays bounded."""

PASSING_EVERY = 0.02
"""Seconds between two writes by turns that end. A server often dies by a signal right behind its
last turn, before anybody else has written."""


class Writer(Protocol):
    """Writes figures down for another process to read (``writing.py``)."""

    def wake(self) -> None:
        """Something is put down for the first time since :meth:`Tally.rest`."""
        ...

    def write_in_passing(self) -> None:
        """A turn has ended, and none has written for a while: write, if that need not wait."""
        ...


class Tally(Observer):
    """The figures of one store in this process.

    Args:
        writer: Who writes the figures down, if anybody does.

    Attributes:
        when_down: Called when the store, or a server of it, is told to be down.
    """

    def __init__(self, writer: Writer | None = None) -> None:
        self.when_down: Callable[[], None] = _nothing
        self._writer = writer
        self._begin()
        on_fork(self)

    def _begin(self) -> None:
        self._resting = self._writer is not None
        self._due = math.inf if self._writer is None else 0.0
        self._counting = threading.Lock()
        # Put down by turns, not counted yet.
        self._new_waits: deque[float] = deque()
        self._new_handoffs: deque[float] = deque()
        self._new_holds: deque[float] = deque()
        self._new_ends: deque[str] = deque()
        self._new_refusals: deque[str] = deque()
        self._new_losses: deque[int] = deque()
        # Counted.
        self._waits = Distribution(SECONDS)
        self._handoffs = Distribution(HANDOFF_SECONDS)
        self._holds = Distribution(SECONDS)
        self._ends = Counter(dict.fromkeys(OUTCOMES, 0))
        self._refusals = Counter(dict.fromkeys(REASONS, 0))
        self._losses = 0
        # As it is now.
        self._waiting: dict[int, float] = {}  # since when, on the monotonic clock
        self._holding: dict[int, None] = {}
        self._down: dict[str, None] = {}

    # On the way of a turn

    def waiting(self, event: TicketEvent) -> None:
        """See :class:`nowserving.Observer`."""
        self._waiting[event.turn] = time.monotonic() - event.waited
        if self._resting:
            self._awake()

    def served(self, event: TicketEvent) -> None:
        """See :class:`nowserving.Observer`."""
        turn = event.turn
        self._holding[turn] = None
        self._new_waits.append(event.waited)
        if self._waiting:
            self._waiting.pop(turn, None)
        if event.handoff is not None:
            self._new_handoffs.append(event.handoff)
        if self._resting:
            self._awake()

    def left(self, event: TicketEvent) -> None:
        """See :class:`nowserving.Observer`."""
        held = event.held
        if held is None:
            self._waiting.pop(event.turn, None)
        else:
            self._holding.pop(event.turn, None)
            self._new_holds.append(held)
        new = self._new_ends
        new.append(event.outcome)
        if len(new) >= _AT_ONCE:
            self._count_in_passing()
        if self._resting:
            self._awake()
        if self._writer is not None and event.at >= self._due:
            self._due = event.at + PASSING_EVERY
            self._writer.write_in_passing()

    def refused(self, event: TicketEvent) -> None:
        """See :class:`nowserving.Observer`."""
        self._never_served(event, self._new_refusals, event.reason)

    def superseded(self, event: TicketEvent) -> None:
        """See :class:`nowserving.Observer`."""
        self._never_served(event, self._new_ends, "superseded")

    def absorbed(self, event: TicketEvent) -> None:
        """See :class:`nowserving.Observer`."""
        self._never_served(event, self._new_ends, "absorbed")

    def released(self, event: TicketEvent) -> None:
        """See :class:`nowserving.Observer`."""
        self._never_served(event, self._new_ends, "released")

    def _never_served(self, event: TicketEvent, new: deque[str], what: str) -> None:
        self._waiting.pop(event.turn, None)
        new.append(what)
        if len(new) >= _AT_ONCE:
            self._count_in_passing()
        if self._resting:
            self._awake()

    def lost(self, event: TicketEvent) -> None:
        """See :class:`nowserving.Observer`."""
        self._new_losses.append(event.turn)
        if self._resting:
            self._awake()

    def store_down(self, event: StoreEvent) -> None:
        """See :class:`nowserving.Observer`."""
        self._down[event.where] = None
        if self._resting:
            self._awake()
        self.when_down()

    def store_up(self, event: StoreEvent) -> None:
        """See :class:`nowserving.Observer`."""
        self._down.pop(event.where, None)
        if self._resting:
            self._awake()

    # For whoever reads

    def is_down(self) -> bool:
        """Return whether the store does not serve this process."""
        return bool(self._down)

    def figures(self) -> Figures:
        """Return all figures, those of turns under way included; from any thread."""
        since = list(self._waiting.values())
        oldest = max(time.monotonic() - min(since), 0.0) if since else 0.0
        with self._counting:
            self._count()
            return Figures(
                waits=self._waits.now(),
                holds=self._holds.now(),
                handoffs=self._handoffs.now(),
                outcomes=dict(self._ends),
                reasons=dict(self._refusals),
                lost=self._losses,
                waiting=len(since),
                held=len(self._holding),
                oldest_wait=oldest,
                up=not self._down,
            )

    def rest(self) -> None:
        """Wake the writer when something is put down from now on."""
        self._resting = True

    def _awake(self) -> None:
        self._resting = False
        if self._writer is not None:
            self._writer.wake()

    def _count_in_passing(self) -> None:
        if self._counting.acquire(blocking=False):  # a turn waits for nobody who counts already
            try:
                self._count()
            finally:
                self._counting.release()

    def _count(self) -> None:
        self._holds.add(_taken(self._new_holds))
        self._waits.add(_taken(self._new_waits))
        self._handoffs.add(_taken(self._new_handoffs))
        self._ends.update(_taken(self._new_ends))
        self._refusals.update(_taken(self._new_refusals))
        self._losses += len(_taken(self._new_losses))

    def forked(self) -> None:
        """Begin with nothing: what the parent has counted and who waits there is the parent's."""
        self._begin()


def _nothing() -> None:
    """Do it."""


def _taken(new: deque[_T]) -> list[_T]:
    """Take out what is there now; others may go on putting in."""
    return [new.popleft() for _ in range(len(new))]
