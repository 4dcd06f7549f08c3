"""How long calls and pushes take, and how far the server's clock is from ours."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from nowserving.protocol.examination import Finding
from nowserving.stores.redis.examining.interview import Refused
from nowserving.stores.wording import span

if TYPE_CHECKING:
    from nowserving.protocol.examination import Verdict
    from nowserving.stores.redis.examining.interview import Interview
    from nowserving.stores.redis.examining.place import Plan
    from nowserving.stores.redis.examining.trial import Figures

_SAMPLES = 5
_CLOSE = 1.0
"""Seconds that two clocks may differ without a word."""

_QUICK, _SLOW = 0.005, 0.05
"""Seconds of a call up to which it is as it should be, and from which it is a warning."""


async def clock(interview: Interview, plan: Plan) -> Finding | None:
    """Compare the server's clock with this machine's; None where TIME is denied.

    Args:
        interview: The server.
        plan: What is the same for all servers.
    """
    seen: list[tuple[float, float]] = []
    for _ in range(_SAMPLES):
        wall, began = time.time(), time.perf_counter()
        reply = await interview.ask("TIME")
        took = time.perf_counter() - began
        if isinstance(reply, Refused):
            return None
        theirs = int(reply[0]) + int(reply[1]) / 1e6
        seen.append((took, theirs - (wall + took / 2)))
    took, ahead = min(seen)  # the quickest answer says it best
    return judged_clock(interview.where, plan.lifetime, ahead, took / 2)


def judged_clock(where: str, lifetime: float, ahead: float, give_or_take: float) -> Finding:
    """Return the finding about a clock.

    Args:
        where: The address of the server.
        lifetime: Seconds that a ticket lives.
        ahead: Seconds that it is ahead of ours; negative if it is behind.
        give_or_take: Seconds by which that may be wrong.
    """
    figures = {"ahead_seconds": round(ahead, 6), "give_or_take_seconds": round(give_or_take, 6)}
    way = "ahead of" if ahead > 0 else "behind"
    found = f"{span(abs(ahead))} {way} this machine's, give or take {span(give_or_take)}"
    if abs(ahead) <= give_or_take:
        found = f"that of this machine, give or take {span(give_or_take)}"
    if abs(ahead) - give_or_take < _CLOSE:
        return Finding(
            "clock",
            where,
            "fine",
            found,
            "Tickets live by the server's clock alone, counted as durations; the clocks of workers "
            "do not matter.",
            figures=figures,
        )
    return Finding(
        "clock",
        where,
        "warning" if abs(ahead) >= lifetime else "note",
        found,
        "Tickets live by the server's clock alone, so nothing is wrong now. But if that clock is "
        f"set forward by more than a lifetime ({span(lifetime)}), or a failover leads to a server "
        "whose clock is that much ahead, every ticket in line expires at once.",
        "Run NTP (chrony) on all machines, and have it slew rather than step.",
        figures,
    )


def latency(where: str, plan: Plan, figures: Figures) -> Finding:
    """Return the finding about how long calls take.

    Args:
        where: The address of the server.
        plan: What is the same for all servers.
        figures: What was measured.
    """
    median, worst = figures.median_call, max(figures.calls)
    found = f"median {span(median)}, worst {span(worst)} of {len(figures.calls)} calls"
    measured = {"median_seconds": round(median, 6), "worst_seconds": round(worst, 6)}
    meaning = "A turn that nobody else wants costs two calls; a hand-off one, and a push."
    if worst > plan.timeout / 2:
        return Finding(
            "latency",
            where,
            "warning",
            found,
            f"A call that takes half of socket_timeout ({span(plan.timeout)}) counts as lost: its "
            "connection is replaced, and it is made again.",
            "Look for what holds the server up (SLOWLOG GET, LATENCY DOCTOR), or raise "
            "socket_timeout.",
            measured,
        )
    if median > _QUICK:
        remedy = "Run the workers near the server: in the same zone, without a proxy between."
        verdict: Verdict = "warning" if median > _SLOW else "note"
        return Finding("latency", where, verdict, found, meaning, remedy, measured)
    return Finding("latency", where, "fine", found, meaning, figures=measured)


def pushes(where: str, figures: Figures) -> Finding:
    """Return the finding about how long a push takes, or that none comes.

    Args:
        where: The address of the server.
        figures: What was measured.
    """
    measured: dict[str, float] = {"missed": figures.missed}
    if figures.pushes:
        measured["median_seconds"] = round(figures.median_push, 6)
        measured["worst_seconds"] = round(max(figures.pushes), 6)
    if figures.missed:
        return Finding(
            "push",
            where,
            "warning",
            "a push to our inbox did not come within a second",
            "Waiters are not woken, but look every wait_time_in_seconds: a turn begins up to that "
            "much late.",
            "See whether the user may PUBLISH to the inbox channel, and in a cluster whether the "
            "nodes reach each other on their bus ports (the port plus 10,000).",
            measured,
        )
    return Finding(
        "push",
        where,
        "fine",
        f"median {span(figures.median_push)}, worst {span(max(figures.pushes))} "
        f"of {len(figures.pushes)}, from leaving to the inbox of the next one",
        "Whoever is next is woken at once, and nobody else.",
        figures=measured,
    )
