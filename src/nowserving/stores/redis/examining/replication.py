"""Who has a copy, how far behind it is, and whether a primary that is cut off stops by itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nowserving.stores.wording import count

if TYPE_CHECKING:
    from nowserving.protocol.examination import Finding
    from nowserving.stores.redis.examining.place import Plan, Told

_REPLICA = re.compile(r"slave\d+")
"""What ``INFO`` calls a replica."""

_FAR_BEHIND = 10
"""Seconds since a replica has said anything."""

_SPLIT = (
    "A primary that is cut off with some of its clients goes on serving them beside the one that "
    "was promoted: two holders of one lock, until it is reached again. "
)


def examine(told: Told, plan: Plan) -> list[Finding]:
    """Return what is found of replicas."""
    if not told.info:
        return [told.untold("replicas", "Whether anybody has a copy of the lines is not known.")]
    replicas = _replicas(told)
    return [_copies(told, plan, replicas), *_guards(told, plan, replicas)]


def _replicas(told: Told) -> list[dict[str, str]]:
    listed = [text for name, text in told.info.items() if _REPLICA.fullmatch(name)]
    return [dict(part.split("=", 1) for part in text.split(",") if "=" in part) for text in listed]


def _copies(told: Told, plan: Plan, replicas: list[dict[str, str]]) -> Finding:
    is_alone = plan.topology == "standard"
    if not replicas:
        return told.finding(
            "replicas",
            "note" if is_alone else "warning",
            "no replica is connected",
            "If this server is lost its lines stand still until it is back, and are gone if its "
            "data is." + ("" if is_alone else " There is nobody to fail over to."),
            "" if is_alone else "Start a replica, and see in its log why it is not connected.",
        )
    behind = [each for each in replicas if _is_behind(each)]
    named = ", ".join(f"{each.get('ip')}:{each.get('port')}" for each in replicas)
    if behind:
        late = ", ".join(
            f"{each.get('ip')}:{each.get('port')} ({each.get('state')}, {each.get('lag')} s)"
            for each in behind
        )
        return told.finding(
            "replicas",
            "warning",
            f"{count(len(replicas), 'replica')}, behind: {late}",
            "If one that is behind is promoted, the turns that it has not received are lost.",
            "See the log of that replica, and repl-backlog-size.",
        )
    return told.finding(
        "replicas",
        "fine",
        f"{count(len(replicas), 'replica')} ({named}), not behind",
        "A failover loses what the promoted replica had not received: some milliseconds, as with "
        "every asynchronous replication.",
        figures={"replicas": len(replicas)},
    )


def _is_behind(replica: dict[str, str]) -> bool:
    lag = replica.get("lag", "0")
    return replica.get("state") != "online" or not lag.isdecimal() or int(lag) > _FAR_BEHIND


def _guards(told: Told, plan: Plan, replicas: list[dict[str, str]]) -> list[Finding]:
    """Return what is found of ``min-replicas-to-write`` and of the store's ``min_replicas``."""
    found = []
    there = len(replicas)
    if plan.min_replicas > there:
        found.append(
            told.finding(
                "min_replicas",
                "warning",
                f"the store waits for {plan.min_replicas}, and {there} are connected",
                "Each take waits in vain, up to half a second, and its lock is granted all the "
                "same (store.unconfirmed counts them).",
                "Start the missing replicas, or lower min_replicas.",
            )
        )
    text = told.config.get("min-replicas-to-write")
    # INFO shows the second of these only where the option is set.
    good = told.number("min_slaves_good_slaves", default=-1)
    is_set = good >= 0 if text is None else text != "0"
    if is_set and text is not None and 0 <= good < int(text):
        found.append(
            told.finding(
                "min-replicas-to-write",
                "broken",
                f"{text}, of which {good} are there",
                "Redis refuses all writes (NOREPLICAS): calls raise StoreUnavailable.",
                "Start the missing replicas, or lower min-replicas-to-write.",
            )
        )
    elif is_set:
        found.append(
            told.finding(
                "min-replicas-to-write",
                "fine",
                text or "set",
                "A primary that is cut off from its replicas stops serving by itself.",
            )
        )
    elif replicas:
        found.append(_unguarded(told, plan, known=text is not None))
    return found


def _unguarded(told: Told, plan: Plan, *, known: bool) -> Finding:
    return told.finding(
        "min-replicas-to-write",
        "note" if plan.topology == "standard" else "warning",
        "0" if known else "not set, as it seems",
        _SPLIT + "Check fencing tokens where you write.",
        "CONFIG SET min-replicas-to-write 1 and min-replicas-max-lag 10 on every server, best "
        "with two replicas: with one, its end stops all writes.",
    )
