"""What the user may do, found out by doing it on a key that is no conversation's.

Redis asks its ACL in the same way for a command and for the same command within a script. So each
one is tried by itself: the script would tell only the first that it lacks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from nowserving.protocol.examination import VERDICTS, Finding
from nowserving.stores.redis.examining.interview import Refused

if TYPE_CHECKING:
    from nowserving.protocol.examination import Verdict
    from nowserving.stores.redis.examining.interview import Interview
    from nowserving.stores.redis.examining.place import Plan

_NO_TURN = "No turn can be taken or given back: every call raises StoreUnavailable."
_NO_PUSH = (
    "Everything works, but nobody is woken: waiters look every wait_time_in_seconds, and a turn "
    "begins up to that much late."
)
_FIELD = "doctor"
_KEPT = 10_000
"""Milliseconds after which a key that we have written ends, should we not come to remove it."""


class Needed(NamedTuple):
    """A command of the list in docs/redis.md.

    Attributes:
        rule: How an ACL names it.
        words: How it is tried.
        without: What is not to be had without it.
        verdict: How bad that is.
    """

    rule: str
    words: tuple[Any, ...]
    without: str = _NO_TURN
    verdict: Verdict = "broken"


def needed(plan: Plan, key: bytes, channel: str) -> list[Needed]:
    """Return what is tried, in an order in which nothing is left behind.

    Args:
        plan: What the store needs.
        key: The key to try it on, which does not exist.
        channel: An inbox channel that nobody listens to.
    """
    always = [
        # First those that take the key away again: without either, nothing is written.
        Needed("pexpire", ("PEXPIRE", key, 0)),
        Needed("hdel", ("HDEL", key, _FIELD)),
        Needed("time", ("TIME",)),
        Needed("exists", ("EXISTS", key)),
        Needed("hget", ("HGET", key, _FIELD)),
        Needed("hmget", ("HMGET", key, _FIELD)),
        Needed("hset", ("HSET", key, _FIELD, "1")),
        Needed("hsetnx", ("HSETNX", key, _FIELD, "1")),
        Needed("eval", ("EVAL", "return 1", 1, key)),
        Needed("evalsha", ("EVALSHA", "0" * 40, 1, key)),
        Needed("publish", ("PUBLISH", channel, ""), _NO_PUSH, "warning"),
        Needed(
            "ping",
            ("PING",),
            "A subscription that is dead without a word is not noticed.",
            "warning",
        ),
        _scan(),
        _info(),
    ]
    return always + _of_topology(plan) + (_of_history(key) if plan.history else [])


def _scan() -> Needed:
    return Needed(
        "scan",
        ("SCAN", "0", "COUNT", 1),
        "store.conversations() and what is built on it are refused; turns need it not.",
        "note",
    )


def _info() -> Needed:
    return Needed(
        "info",
        ("INFO", "memory"),
        "Nobody is warned of a server that drops keys, and this examination can't tell of memory, "
        "persistence and replicas.",
        "note",
    )


def _of_topology(plan: Plan) -> list[Needed]:
    found = []
    if plan.topology == "cluster":
        found += [
            Needed("cluster|slots", ("CLUSTER", "SLOTS"), "Nobody knows which node has what."),
            Needed(
                "asking",
                ("ASKING",),
                "While slots are moved, calls for the conversations in them raise "
                "StoreUnavailable.",
                "warning",
            ),
        ]
    if plan.min_replicas:
        found.append(Needed("wait", ("WAIT", 0, 1), "min_replicas is set, and needs it."))
    return found


def _of_history(key: bytes) -> list[Needed]:
    cost = "No history is kept; turns need it not."
    return [
        Needed("xadd", ("XADD", key, "*", _FIELD, "1"), cost, "warning"),
        Needed("xrange", ("XRANGE", key, "-", "+", "COUNT", 1), cost, "warning"),
        Needed("xrevrange", ("XREVRANGE", key, "+", "-", "COUNT", 1), cost, "warning"),
    ]


_REMOVED_BY = {"hset": {"pexpire", "hdel"}, "hsetnx": {"pexpire", "hdel"}, "xadd": {"pexpire"}}
"""What writes, and what takes that away again."""


async def examine(
    interview: Interview, plan: Plan, key: bytes, channel: str, subscribed: Refused | None
) -> list[Finding]:
    """Try every command, and take away what that has written.

    Args:
        interview: The server.
        plan: What the store needs.
        key: The key to try it on.
        channel: The inbox channel to try it on.
        subscribed: What the server has against a subscription to that channel, which was tried
            over a connection of its own; None for nothing.
    """
    subscribe = Needed("subscribe", (), _NO_PUSH, "warning")
    answers: dict[str, tuple[Needed, Refused | None]] = {"subscribe": (subscribe, subscribed)}
    try:
        for each in needed(plan, key, channel):
            if each.rule == "xadd":  # it is a stream now, not a hash
                await clear(interview, key, [_FIELD])
            removers = _REMOVED_BY.get(each.rule, ())
            if removers and all(answers[rule][1] is not None for rule in removers):
                continue
            answers[each.rule] = each, await _refusal(interview, each)
    except BaseException:
        clear_at_once(interview, key, [_FIELD])
        raise
    await clear(interview, key, [_FIELD])
    refusals = [(each, why) for each, why in answers.values() if why is not None]
    found = _told(interview.where, plan, refusals, [*answers])
    if any(why.denied == "keys" for _, why in refusals):
        return found
    return found + await _notes(interview, plan)


async def _notes(interview: Interview, plan: Plan) -> list[Finding]:
    """Try the other kind of key: the note of a process, which a user may do without."""
    keys = f"{plan.key_prefix.decode()}process:*"
    reply = await interview.ask("HGET", keys, _FIELD)  # a star is no nonce's, and finds nothing
    if not isinstance(reply, Refused) or reply.denied != "keys":
        return []
    return [
        Finding(
            "permissions",
            interview.where,
            "note",
            f"the keys {keys} are denied to this user",
            "Whoever looks at a line is told no host and pid; turns need it not.",
            f"ACL SETUSER <user> ~{keys}",
        )
    ]


async def _refusal(interview: Interview, each: Needed) -> Refused | None:
    if each.rule in _REMOVED_BY:  # we may be killed right behind it
        reply, _ = await interview.ask_at_once(each.words, ("PEXPIRE", each.words[1], _KEPT))
    else:
        reply = await interview.ask(*each.words)
    # NOSCRIPT: it may be used, and there is no such script, of course.
    return reply if isinstance(reply, Refused) and reply.code != "NOSCRIPT" else None


async def clear(interview: Interview, key: bytes, fields: list[str]) -> None:
    """Take a key away, whichever of the two commands is allowed."""
    if isinstance(await interview.ask("PEXPIRE", key, 0), Refused):
        await interview.ask("HDEL", key, *fields)


def clear_at_once(interview: Interview, key: bytes, fields: list[str]) -> None:
    """Do the same without waiting, when all ends here; what was written before is done before."""
    interview.say(("PEXPIRE", key, 0), ("HDEL", key, *fields))


def _told(
    where: str, plan: Plan, refusals: list[tuple[Needed, Refused]], tried: list[str]
) -> list[Finding]:
    keys = f"{plan.key_prefix.decode()}*"
    if not refusals:
        return [
            Finding(
                "permissions",
                where,
                "fine",
                f"all {len(tried)} commands work on the keys {keys} "
                f"and the channels {plan.channel_prefix}*",
                "Nothing that nowserving does will be denied.",
            )
        ]
    whole = [each.rule for each, why in refusals if why.denied == "keys"]
    found = [_of_keys(where, keys, whole)] if whole else []
    for each, why in refusals:
        if why.unknown or why.denied not in {"", "keys"}:
            found.append(_of_command(where, plan, each, why))
    states = dict.fromkeys(why.code for _, why in refusals if not why.denied and not why.unknown)
    return found + [
        _state(where, code, [each for each, why in refusals if why.code == code]) for code in states
    ]


def _of_keys(where: str, keys: str, rules: list[str]) -> Finding:
    return Finding(
        "permissions",
        where,
        "broken",
        f"the keys {keys} are denied to this user ({', '.join(rules)} tried)",
        _NO_TURN,
        f"ACL SETUSER <user> ~{keys}",
    )


def _of_command(where: str, plan: Plan, each: Needed, why: Refused) -> Finding:
    name = each.rule.upper().replace("|", " ")
    remedy = f"ACL SETUSER <user> +{each.rule}"
    if why.denied == "channels":
        remedy = f"ACL SETUSER <user> &{plan.channel_prefix}*"
    elif why.unknown:
        remedy = "Have it offered (rename-command takes it away), or take another server."
    found = f"{name} is {why.words}"
    return Finding("permissions", where, each.verdict, found, each.without, remedy)


_STATES = {
    "OOM": "Free memory, or raise maxmemory.",
    "READONLY": "Give the address of the primary: this one is a replica.",
    "MISCONF": "It can't save to its disk: see its log.",
    "NOREPLICAS": "Start the replicas that min-replicas-to-write asks for.",
    "CLUSTERDOWN": "See `CLUSTER INFO` and `CLUSTER NODES`: slots are missing, or nodes.",
    "MOVED": "Say redis+cluster://: this is a node of a cluster.",
    "LOADING": "Wait until it has loaded its data.",
    "BUSY": "Somebody's script runs for long: SCRIPT KILL.",
}


def _state(where: str, code: str, those: list[Needed]) -> Finding:
    """Return the finding that the server can't do something now, whoever asks."""
    names = ", ".join(each.rule.upper().replace("|", " ") for each in those)
    gravest = max(those, key=lambda each: VERDICTS.index(each.verdict))
    remedy = _STATES.get(code, "See the log of the server.")
    found = f"{names}: answered by {code}"
    return Finding("state", where, gravest.verdict, found, gravest.without, remedy)
