"""What the benchmark must show, and whether it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from benchmarks.figures import growth, observing, waiters
from benchmarks.figures.handoff import BARE_PUBLISH, PUBLISH
from benchmarks.registry import (
    ASYNCIO,
    BARE,
    EVALSHA,
    FILELOCK,
    FILELOCK_ASYNC,
    MEMORY,
    OURS,
    RASA_MEMORY,
    REDIS_PY,
    SQLITE,
    TRANSACTIONS,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.plan import Plan
    from benchmarks.results import Results
    from benchmarks.spread import Spread


@dataclass(frozen=True)
class Goal:
    """One row of the table.

    Attributes:
        text: What is asked.
        source: Figure, measure and contender whose value, or whose ratio, is judged.
        against: The contender of the ratio; None to judge the value itself.
        at_least: What must be reached; None for what is only told.
        aim: What should be reached.
        better: Which way is better.
    """

    text: str
    source: tuple[str, str, str]
    against: str | None
    at_least: float | None = None
    aim: float | None = None
    better: Literal["less", "more"] = "less"


class Verdict(NamedTuple):
    """A goal and what became of it.

    Attributes:
        goal: The goal.
        found: What was measured; None if it was not.
        word: The verdict.
    """

    goal: Goal
    found: Spread | None
    word: str


def goals(plan: Plan) -> tuple[Goal, ...]:
    """Return the goals for the sizes of a plan."""
    known, waiting = plan.known[-1], plan.waiters[-1]
    seen = growth.numbers_in_a_file(plan)[-1]
    cycle, crowd, hand_off = ("uncontended", "p50", OURS), ("throughput", "1x100", OURS), "hand-off"
    at_most, at_waiting = growth.label(known), waiters.label(waiting)
    one_known, one_waiting = growth.label(plan.known[0]), waiters.label(plan.waiters[0])
    return (
        Goal("uncontended cycle p50 vs redis-py `Lock`", cycle, REDIS_PY, 1.1, 0.85),
        Goal("… vs two bare round trips of redis-py", cycle, EVALSHA, None, None),
        Goal("… vs two bare round trips of nothing else", cycle, BARE, None, None),
        Goal("cycles/s, 100 at once, vs redis-py `Lock`", crowd, REDIS_PY, 4.0, 8.0, "more"),
        Goal("hand-off p50 vs publish to subscriber", (hand_off, "p50", OURS), PUBLISH, 2.5, 1.5),
        Goal("… vs the same, bare", (hand_off, "p50", OURS), BARE_PUBLISH, None, None),
        Goal("turns overtaken", ("fairness", "overtaken", OURS), None, 0, 0),
        Goal("overlaps", ("fairness", "overlaps", OURS), None, 0, 0),
        Goal("commands sent for an uncontended cycle", ("cost", "sent", OURS), None, 2, 2),
        Goal(
            f"cycle at {known:,} known conversations vs at 1",
            ("growth", "p50", at_most),
            one_known,
            1.3,
            1.1,
        ),
        Goal(
            f"… in memory, {known:,} vs 1",
            ("growth-in-memory", "p50", at_most),
            one_known,
            None,
            None,
        ),
        Goal(
            f"turn with {waiting:,} waiters vs with 1",
            ("waiters", "turn", at_waiting),
            one_waiting,
            1.3,
            1.1,
        ),
        Goal(
            "in-memory cycle vs Rasa's",
            ("in-memory", "p50", MEMORY),
            RASA_MEMORY,
            1.0,
            0.4,
        ),
        Goal("… vs a bare `asyncio.Lock`", ("in-memory", "p50", MEMORY), ASYNCIO, None, None),
        Goal(
            "uncontended cycle told to Prometheus vs to nobody",
            ("observing", observing.ALONE, observing.PROMETHEUS),
            observing.NOBODY,
            1.05,
            1.05,
        ),
        Goal(
            "… 100 at once",
            ("observing", observing.CROWD, observing.PROMETHEUS),
            observing.NOBODY,
            1.1,
            1.1,
        ),
        Goal("in SQLite: hand-off p50, ms", ("files-hand-off", "p50", SQLITE), None, 1.0, 0.5),
        Goal(
            "… cycles/s, 100 at once, vs filelock",
            ("files-throughput", "1x100", SQLITE),
            FILELOCK,
            5.0,
            10.0,
            "more",
        ),
        Goal(
            "… uncontended cycle p50 vs filelock",
            ("files-uncontended", "p50", SQLITE),
            FILELOCK,
            1.5,
            1.5,
        ),
        Goal(
            "… vs filelock from an event loop",
            ("files-uncontended", "p50", SQLITE),
            FILELOCK_ASYNC,
            None,
            None,
        ),
        Goal("… vs two bare transactions", ("files-uncontended", "p50", SQLITE), TRANSACTIONS),
        Goal(
            f"… cycle at {seen:,} known conversations vs at 1",
            ("files-growth", "p50", growth.label(seen)),
            one_known,
            1.3,
            1.1,
        ),
        Goal(
            f"… turn with {waiting:,} waiters vs with 1",
            ("files-waiters", "turn", at_waiting),
            one_waiting,
            1.3,
            1.1,
        ),
    )


def judged(results: Results, plan: Plan) -> Iterator[Verdict]:
    """Judge every goal by its median."""
    for goal in goals(plan):
        figure, measure, ours = goal.source
        if goal.against is None:
            found = results.spread(figure, measure, ours)
        else:
            found = results.ratio(figure, measure, ours, goal.against)
        yield Verdict(goal, found, _word(goal, found))


def _word(goal: Goal, found: Spread | None) -> str:
    if found is None:
        return "not measured"
    if goal.at_least is None or goal.aim is None:
        return ""
    sign = 1 if goal.better == "less" else -1
    if sign * found.median <= sign * goal.aim:
        return "aim reached"
    return "reached" if sign * found.median <= sign * goal.at_least else "MISSED"
