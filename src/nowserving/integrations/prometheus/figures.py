"""What is told to Prometheus: the metrics by name, and their values at one moment."""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Metric(NamedTuple):
    """A metric as Prometheus sees it.

    Attributes:
        name: Its whole name, with its unit.
        text: What it counts, in words.
    """

    name: str
    text: str


WAIT = Metric(
    "nowserving_wait_seconds", "Seconds from asking for a turn to its begin, of turns that began."
)
HOLD = Metric("nowserving_hold_seconds", "Seconds for which a turn was held.")
HANDOFF = Metric(
    "nowserving_handoff_seconds",
    "Seconds from the end of a turn's body to the begin of the next one's, both of one process.",
)
TURNS = Metric("nowserving_turns_total", "Turns that are over, by how they ended.")
REFUSED = Metric("nowserving_refused_total", "Turns that got no place in line, by why.")
LOST = Metric("nowserving_lost_total", "Locks that were lost while their body still ran.")
WAITING = Metric("nowserving_waiting", "Turns of this process that wait in line now.")
HELD = Metric("nowserving_held", "Turns of this process whose body runs now.")
OLDEST_WAIT = Metric(
    "nowserving_oldest_wait_seconds", "For how long the turn has waited that waits longest now."
)
STORE_UP = Metric("nowserving_store_up", "1 as long as the store serves this process, else 0.")

OUTCOMES = (
    *("done", "failed", "interrupted", "expired", "released", "abandoned"),
    *("timeout", "unavailable", "closed", "superseded", "absorbed"),
)
"""How a turn may end that was not refused. All are told from the start: a series that begins with 1
has not increased, for Prometheus."""

REASONS = ("busy", "full", "duplicate", "corrupt", "incompatible")
"""Why a turn may be refused."""

# A reply takes from some milliseconds to minutes, and so does the wait for one before it.
SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0)
# A hand-off takes a round trip. One that takes long was pushed to nobody, or met a busy loop.
HANDOFF_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


class Buckets(NamedTuple):
    """How many values were in each range, at one moment.

    Attributes:
        counts: How many were above the bound before, and not above this one; one more than there
            are bounds.
        total: The sum of all values, in seconds.
    """

    counts: tuple[int, ...]
    total: float


class Distribution:
    """Counts values in ranges; one thread at a time.

    Args:
        bounds: The upper bounds of the ranges, in seconds, ascending.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._total = 0.0

    def add(self, values: list[float]) -> None:
        """Count many values. Sorted once, each bound finds its place by bisection."""
        values.sort()
        below = 0
        for at, bound in enumerate((*self.bounds, math.inf)):
            up_to = bisect_right(values, bound)
            self._counts[at] += up_to - below
            below = up_to
        self._total += math.fsum(values)

    def now(self) -> Buckets:
        """Return what was counted up to now."""
        return Buckets(tuple(self._counts), self._total)


class Figures(NamedTuple):
    """All values of one store in one process at one moment, since the process began.

    Attributes:
        waits: Of turns that began, see :data:`WAIT`.
        holds: Of turns that began and are over.
        handoffs: Of turns that began behind one of this process.
        outcomes: How many turns ended, by how.
        reasons: How many were refused, by why.
        lost: How many locks were lost.
        waiting: How many turns wait.
        held: How many bodies run.
        oldest_wait: For how long the one has waited that waits longest, in seconds; 0 for nobody.
        up: Whether the store serves.
    """

    waits: Buckets
    holds: Buckets
    handoffs: Buckets
    outcomes: Mapping[str, int]
    reasons: Mapping[str, int]
    lost: int
    waiting: int = 0
    held: int = 0
    oldest_wait: float = 0.0
    up: bool = True

    def at_rest(self) -> Figures:
        """Return the same of a process that has ended: what it counted stays."""
        return self._replace(waiting=0, held=0, oldest_wait=0.0, up=True)


NOTHING = Figures(
    waits=Distribution(SECONDS).now(),
    holds=Distribution(SECONDS).now(),
    handoffs=Distribution(HANDOFF_SECONDS).now(),
    outcomes=dict.fromkeys(OUTCOMES, 0),
    reasons=dict.fromkeys(REASONS, 0),
    lost=0,
)
"""What a store has that was never used."""
