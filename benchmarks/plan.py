"""How long a run takes: the full one for the docs, the quick one to see that all works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """The sizes of a run.

    Attributes:
        repeats: How often everything is measured, in turns.
        cycles: Uncontended cycles in one measurement.
        crowd_seconds: For how long a crowd runs.
        crowds: How many conversations at once in one process.
        line_seconds: For how long one conversation is handed from holder to holder.
        arrivals: Messages of the fairness test.
        idle_seconds: For how long an idle waiter is watched.
        kept: Conversations that are held at once to weigh them.
        known: Numbers of known conversations on the growth curve.
        waiters: Numbers of waiters on the growth curve.
    """

    repeats: int
    cycles: int
    crowd_seconds: float
    crowds: tuple[int, ...]
    line_seconds: float
    arrivals: int
    idle_seconds: float
    kept: int
    known: tuple[int, ...]
    waiters: tuple[int, ...]


FULL = Plan(
    repeats=7,
    cycles=1000,
    crowd_seconds=1.0,
    crowds=(1, 10, 100, 1000),
    line_seconds=3.0,
    arrivals=200,
    idle_seconds=3.0,
    kept=5000,
    known=(1, 1000, 100_000, 1_000_000),
    waiters=(1, 100, 10_000),
)

QUICK = Plan(
    repeats=2,
    cycles=300,
    crowd_seconds=0.3,
    crowds=(1, 10, 100, 1000),
    line_seconds=1.0,
    arrivals=60,
    idle_seconds=2.2,
    kept=1000,
    known=(1, 1000, 10_000),
    waiters=(1, 100, 1000),
)
