"""The sentinels: who answers, whether they agree, and whether they could promote a replica."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from nowserving.protocol.examination import Finding
from nowserving.stores._remote.unreachable import Unreachable
from nowserving.stores.redis.connection.diagnosis import NOT_REDIS
from nowserving.stores.wording import count, span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nowserving.protocol.examination import Verdict
    from nowserving.stores.redis.connection.dial import Node
    from nowserving.stores.redis.examining.place import Plan
    from nowserving.stores.redis.topologies.sentinel import Sentinels

_MAJORITY_NEEDS = 3


class View(NamedTuple):
    """What one sentinel says of the service.

    Attributes:
        where: The sentinel's address.
        state: What it says, by name; empty if it says nothing.
        why: Why it says nothing.
    """

    where: str
    state: dict[str, str]
    why: str = ""

    @property
    def primary(self) -> str:
        """The address that it names."""
        return f"{self.state.get('ip')}:{self.state.get('port')}"

    def number(self, name: str) -> int:
        """Return a number that it says."""
        text = self.state.get(name, "")
        return int(text) if text.isdecimal() else 0


async def examine(sentinels: Sentinels, plan: Plan) -> list[Finding]:
    """Ask every sentinel, and compare what they say.

    Args:
        sentinels: The sentinels.
        plan: What is the same for all servers.
    """
    views = await asyncio.gather(*(_view(sentinels, each) for each in sentinels.addresses))
    found = [_reached(view, views) for view in views]
    answering = [view for view in views if view.state]
    if not answering:
        return found
    where = f"service {sentinels.service!r}"
    found.append(_agreed(where, answering))
    found.append(_quorum(where, answering))
    found.append(_in_time(sentinels.service, answering[0], plan))
    found += _unlisted(where, answering, views)
    return found


async def _view(sentinels: Sentinels, address: Node) -> View:
    where = f"{address[0]}:{address[1]}"
    try:
        state = sentinels.state_among(await sentinels.question(address, "SENTINEL", "MASTERS"))
    except Unreachable as failure:
        return View(where, {}, str(failure))
    except (AttributeError, TypeError, ValueError):
        return View(where, {}, NOT_REDIS)
    return View(where, state or {}, "" if state else "it knows no such service")


def _reached(view: View, views: Sequence[View]) -> Finding:
    if view.state:
        return Finding(
            "sentinel",
            view.where,
            "fine",
            f"reached; it names {view.primary}",
            "It is asked at each connection.",
        )
    others = any(each.state for each in views)
    return Finding(
        "sentinel",
        view.where,
        "warning" if others else "broken",
        view.why,
        "The others are asked instead; each connection may take a second longer, and one sentinel "
        "fewer can agree that a primary is down."
        if others
        else "No sentinel names the primary: calls raise StoreUnavailable.",
        "Start it, or take it out of the list. See host, port, sentinel_service, "
        "sentinel_username and sentinel_password.",
    )


def _agreed(where: str, answering: Sequence[View]) -> Finding:
    named = {view.primary for view in answering}
    down = [view.where for view in answering if "down" in view.state.get("flags", "")]
    if len(named) > 1:
        each = "; ".join(f"{view.where}: {view.primary}" for view in answering)
        return Finding(
            "agreement",
            where,
            "broken",
            f"the sentinels name different primaries ({each})",
            "Workers that ask different sentinels take turns at different servers: messages of one "
            "conversation are handled side by side.",
            "A failover may just be under way: look again. If it stays so, SENTINEL RESET the one "
            "that is behind.",
        )
    if down:
        return Finding(
            "agreement",
            where,
            "broken",
            f"{', '.join(down)} takes the primary {named.pop()} for down",
            "A failover is under way, or can't be done. Until then calls raise StoreUnavailable.",
            "See whether the primary runs and is reached from the sentinels.",
        )
    return Finding(
        "agreement",
        where,
        "fine",
        f"all that answer name {named.pop()}",
        "All workers find the same primary.",
    )


def _quorum(where: str, answering: Sequence[View]) -> Finding:
    known = max(view.number("num-other-sentinels") for view in answering) + 1
    quorum = max(view.number("quorum") for view in answering)
    replicas = max(view.number("num-slaves") for view in answering)
    found = f"{count(known, 'sentinel')}, quorum {quorum}, {count(replicas, 'replica')}"
    figures = {"sentinels": known, "quorum": quorum, "replicas": replicas}
    verdict: Verdict = "warning"
    needed = max(known // 2 + 1, quorum)  # a majority has to elect who does it
    if len(answering) < needed:
        meaning = (
            f"Only {len(answering)} answer here, and it takes {needed} to promote a replica: if "
            "the primary dies now, nobody takes its place."
        )
        remedy = "Start the sentinels that do not answer, or list them all."
    elif known < _MAJORITY_NEEDS:
        meaning = "All of them have to be there for a failover: none may be lost."
        remedy = "Run three sentinels, on machines of their own."
    elif not replicas:
        meaning = "There is nobody to promote: if the primary dies, so do the lines."
        remedy = "Start a replica of the primary."
    elif len(answering) == needed:
        verdict = "note"
        meaning = "A primary that dies is replaced, as long as all of those that answer are there."
        remedy = "Start the sentinels that do not answer, or list them all."
    else:
        verdict = "fine"
        meaning = "A primary that dies is replaced, even if one of them dies as well."
        remedy = ""
    return Finding("quorum", where, verdict, found, meaning, remedy, figures)


def _in_time(service: str, view: View, plan: Plan) -> Finding:
    """Say whether a failover can be over before calls give up."""
    where = f"service {service!r}"
    down_after = view.number("down-after-milliseconds") / 1000
    found = f"a primary counts as down after {span(down_after)}"
    figures = {"down_after_seconds": down_after}
    if down_after < plan.timeout / 2:
        return Finding(
            "failover",
            where,
            "fine",
            found,
            f"Calls wait up to socket_timeout ({span(plan.timeout)}), so most failovers end within "
            "a call.",
            figures=figures,
        )
    return Finding(
        "failover",
        where,
        "note",
        found,
        f"Calls give up after socket_timeout ({span(plan.timeout)}): in a failover they raise "
        "StoreUnavailable, and tickets that live for less expire.",
        f"SENTINEL SET {service} down-after-milliseconds 3000 at each sentinel, or a longer "
        "socket_timeout.",
        figures,
    )


def _unlisted(where: str, answering: Sequence[View], views: Sequence[View]) -> list[Finding]:
    known = max(view.number("num-other-sentinels") for view in answering) + 1
    if known <= len(views):
        return []
    return [
        Finding(
            "sentinel",
            where,
            "note",
            f"{known} sentinels know each other, {len(views)} are listed here",
            "Only those that are listed are asked: if they are gone, the primary is not found, "
            "though others know it.",
            "List all of them.",
        )
    ]
