"""One look at a line for all of a loop's tickets in it, however many: two of them are asked about.

A line's mark changes whenever somebody takes a ticket out that is not his own (it expired, it was
superseded or released). A turn's ticket that was seen to wait under a mark still waits, is served,
or has left by itself, as long as the mark is the same. Two tickets are told of anyway:

* whoever is served, by owner;
* a witness: the last of those that the mark speaks for. A record can go back in time (a replica
  that lagged is promoted, a snapshot is restored). It then has the mark it had, but whatever it
  forgot came after all that it still knows. So it has lost its last tickets first, and if the
  witness is there, all those before it are.

Where the mark or the witness says no, every ticket is asked about by number and owner.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from nowserving.protocol.limits import MOST_AT_ONCE
from nowserving.protocol.status import LineUpdate
from nowserving.stores.redis.replies import LineSeen, parse_look

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nowserving.protocol.handle import TicketHandle
    from nowserving.protocol.status import TicketStatus
    from nowserving.stores.redis.loop_connections import LoopConnections


async def look_at_line(
    link: LoopConnections, key: bytes, handles: Sequence[TicketHandle]
) -> LineUpdate:
    """Tell what is new of tickets of one line (``look.lua``).

    Args:
        link: Whom to ask.
        key: The line's record.
        handles: The tickets.
    """
    mark = max(handle.mark for handle in handles)  # a guess; with a wrong one all are asked about
    trusted = [handle for handle in handles if mark and handle.mark == mark]
    asked = [handle for handle in handles if not mark or handle.mark != mark]
    if trusted:
        witness = max(trusted, key=_number)
        trusted.remove(witness)
        asked.append(witness)
    seen, news = await _ask(link, key, asked)
    if trusted and (seen.mark != mark or asked[-1].owner in news):
        blocked_for = seen.blocked_for
        seen, more = await _ask(link, key, trusted)
        seen = seen._replace(blocked_for=min(blocked_for, seen.blocked_for))
        news.update(more)
    if seen.served is not None:
        for handle in handles:
            if handle.number == seen.served.number and handle.owner == seen.owner:
                news[handle.owner] = seen.served
    return LineUpdate(seen.serving, seen.blocked_for, news)


async def _ask(
    link: LoopConnections, key: bytes, asked: Sequence[TicketHandle]
) -> tuple[LineSeen, dict[str, TicketStatus]]:
    """Ask about tickets, so many at a time that Redis is never blocked for long.

    Returns:
        What was said last, with the shortest of all times; and the news.
    """
    news: dict[str, TicketStatus] = {}
    answers = []
    for first in range(0, len(asked), MOST_AT_ONCE):
        part = asked[first : first + MOST_AT_ONCE]
        names = itertools.chain.from_iterable((handle.number, handle.owner) for handle in part)
        call = link.session.call(key, ("look", *names), lazy=True)
        seen = parse_look(link.sweeper.read(key, await call.future))
        answers.append(seen)
        for which, handle in enumerate(part):
            status = seen.news.get(which)
            if status is None:
                handle.mark = seen.mark
            else:
                news[handle.owner] = status
                handle.doubt()
    soonest = min(seen.blocked_for for seen in answers)
    return answers[-1]._replace(blocked_for=soonest), news


def _number(handle: TicketHandle) -> int:
    return handle.number
