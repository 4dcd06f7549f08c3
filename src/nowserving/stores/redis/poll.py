"""Checks all of a loop's tickets in one line by asking about two.

A line's version changes whenever a ticket is taken out by somebody else than its owner: because it
expired, or was superseded or released. As long as the version is the same, a ticket that was known
to wait still waits, is served, or has left by itself. So Redis is asked about two tickets only:

* the one that is served, by its owner;
* a witness: the last ticket of those that the version vouches for. A record can go back in time (a
  lagging replica is promoted, a snapshot is restored). It then has the version of that time, but
  what it forgot came after all that it still knows: it has lost its last tickets first. If the
  witness is there, so are all those before it.

If the version or the witness says no, every ticket is asked about by number and owner.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from nowserving.protocol.limits import MOST_AT_ONCE
from nowserving.protocol.status import LineUpdate
from nowserving.stores.redis.replies import PollReply, parse_poll

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nowserving.protocol.status import TicketStatus
    from nowserving.stores._remote.handle import RemoteHandle
    from nowserving.stores.redis.loop_connections import LoopConnections


async def poll_line(
    connections: LoopConnections, key: bytes, handles: Sequence[RemoteHandle]
) -> LineUpdate:
    """Tell what is new of tickets of one line (``poll.lua``).

    Args:
        connections: Whom to ask.
        key: The line's record.
        handles: The tickets.
    """
    version = max(
        handle.line_version for handle in handles
    )  # a guess; with a wrong one all are asked about
    trusted = [handle for handle in handles if version and handle.line_version == version]
    asked = [handle for handle in handles if not version or handle.line_version != version]
    if trusted:
        witness = max(trusted, key=_number)
        trusted.remove(witness)
        asked.append(witness)
    seen, news = await _ask(connections, key, asked)
    if trusted and (seen.version != version or asked[-1].owner in news):
        blocked_for = seen.blocked_for
        seen, more = await _ask(connections, key, trusted)
        seen = seen._replace(blocked_for=min(blocked_for, seen.blocked_for))
        news.update(more)
    if seen.served is not None:
        for handle in handles:
            if handle.number == seen.served.number and handle.owner == seen.owner:
                news[handle.owner] = seen.served
    return LineUpdate(seen.serving, seen.blocked_for, news)


async def _ask(
    connections: LoopConnections, key: bytes, asked: Sequence[RemoteHandle]
) -> tuple[PollReply, dict[str, TicketStatus]]:
    """Ask about tickets, so many at a time that Redis is never blocked for long.

    Returns:
        What was said last, with the shortest of all times; and the news.
    """
    news: dict[str, TicketStatus] = {}
    answers = []
    for first in range(0, len(asked), MOST_AT_ONCE):
        part = asked[first : first + MOST_AT_ONCE]
        names = itertools.chain.from_iterable((handle.number, handle.owner) for handle in part)
        call = connections.session.call(key, ("poll", *names), lazy=True)
        seen = parse_poll(connections.sweeper.read(key, await call.future))
        answers.append(seen)
        for which, handle in enumerate(part):
            status = seen.news.get(which)
            if status is None:
                handle.line_version = seen.version
            else:
                news[handle.owner] = status
                handle.clear_line_version()
    soonest = min(seen.blocked_for for seen in answers)
    return answers[-1]._replace(blocked_for=soonest), news


def _number(handle: RemoteHandle) -> int:
    return handle.number
