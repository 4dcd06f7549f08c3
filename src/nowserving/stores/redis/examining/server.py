"""All that is found of one primary."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from nowserving._host.identity import nonce
from nowserving.protocol.examination import Finding
from nowserving.stores.redis.examining import (
    clients,
    memory,
    permissions,
    persistence,
    replication,
    timing,
    version,
)
from nowserving.stores.redis.examining.interview import Interview
from nowserving.stores.redis.examining.place import told_by
from nowserving.stores.redis.examining.trial import Ear, Trial, TrialFailed

if TYPE_CHECKING:
    from nowserving.stores.redis.examining.place import Place, Plan


async def examine(place: Place, plan: Plan) -> list[Finding]:
    """Return what is found of one primary; that it can't be reached is a finding, too.

    Args:
        place: The primary.
        plan: What is the same for all servers.
    """
    found: list[Finding] = []
    with ExitStack() as stack:
        try:
            interview = await Interview.with_server(place.server, place.where)
            stack.callback(interview.close)
            await _examine(interview, place, plan, found, stack)
        except Exception as error:  # noqa: BLE001 - whatever ends a connection is a finding
            # It may have been reached at first, and told much.
            found = [each for each in found if each.check != "address"]
            found.append(unreachable(place.where, str(place.server.diagnose(error))))
    return found


def unreachable(where: str, why: str) -> Finding:
    """Return the finding that a server does not answer.

    Args:
        where: Its address.
        why: Why not, in words without a secret.
    """
    return Finding(
        "address",
        where,
        "broken",
        why,
        "No turn can be taken there: calls raise StoreUnavailable.",
        "See whether it runs, whether this machine reaches it (firewall, security group), and "
        "whether host, port, user, password and TLS are what it expects.",
    )


async def _examine(
    interview: Interview, place: Place, plan: Plan, found: list[Finding], stack: ExitStack
) -> None:
    where = place.where
    found.append(
        Finding(
            "address",
            where,
            "fine",
            "connected, logged in, database selected",
            "It is reached as the store reaches it.",
        )
    )
    told = await told_by(interview)
    found += version.examine(told)
    name = f"{nonce()}~0"
    channel = plan.channel_prefix + name
    listener = await _listener(place)
    stack.callback(listener.close)
    ear = Ear(listener, channel)
    denied = await ear.subscribe()
    allowed = await permissions.examine(interview, plan, place.key, channel, denied)
    found += allowed
    found += [memory.examine(told), persistence.examine(told)]
    found += replication.examine(told, plan)
    found += clients.examine(told)
    clock = await timing.clock(interview, plan)
    if clock is not None:
        found.append(clock)
    if any(each.verdict == "broken" for each in found if each.check in {"permissions", "state"}):
        return  # the script would only say so again
    can_push = denied is None and not any("PUBLISH" in each.found for each in allowed)
    trial = Trial(interview, plan, place.key, name)
    found += await _tried(trial, ear if can_push else None, where, plan)


async def _listener(place: Place) -> Interview:
    try:
        return await Interview.with_server(place.ears)
    except Exception:  # noqa: BLE001 - whatever that other node has is found where it is examined
        return await Interview.with_server(place.server)


async def _tried(trial: Trial, ear: Ear | None, where: str, plan: Plan) -> list[Finding]:
    try:
        figures = await trial.run(ear)
    except TrialFailed as failure:
        why = "answers nonsense" if failure.why is None else f"is {failure.why.words}"
        return [
            Finding(
                "script",
                where,
                "broken",
                f"the script that takes and hands over turns {why}",
                "No turn can be taken or given back.",
                "See docs/redis.md for what the user may do, and the log of the server.",
            )
        ]
    found = [timing.latency(where, plan, figures)]
    return found if ear is None else [*found, timing.pushes(where, figures)]
