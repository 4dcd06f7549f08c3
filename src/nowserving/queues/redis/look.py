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

import asyncio
import itertools
from typing import TYPE_CHECKING

from nowserving.queues.base import MOST_AT_ONCE
from nowserving.queues.redis.replies import LineSeen, parse_look
from nowserving.standing import Glance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nowserving.place import Place
    from nowserving.queues.redis.topology import Speaker
    from nowserving.standing import Standing


async def look_at_line(session: Speaker, key: bytes, places: Sequence[Place]) -> Glance:
    """Tell what is new of tickets of one line (``look.lua``).

    Args:
        session: Whom to ask.
        key: The line's record.
        places: The tickets.
    """
    mark = max(place.mark for place in places)  # a guess; with a wrong one all are asked about
    trusted = [place for place in places if mark and place.mark == mark]
    asked = [place for place in places if not mark or place.mark != mark]
    if trusted:
        witness = max(trusted, key=_number)
        trusted.remove(witness)
        asked.append(witness)
    seen, news = await _ask(session, key, asked)
    if trusted and (seen.mark != mark or asked[-1].owner in news):
        seen, more = await _ask(session, key, trusted)
        news.update(more)
    if seen.served is not None:
        for place in places:
            if place.number == seen.served.number and place.owner == seen.owner:
                news[place.owner] = seen.served
    return Glance(seen.serving, seen.blocked_for, news)


async def _ask(
    session: Speaker, key: bytes, asked: Sequence[Place]
) -> tuple[LineSeen, dict[str, Standing]]:
    """Ask about tickets, so many at a time that Redis is never blocked for long."""
    parts = [asked[i : i + MOST_AT_ONCE] for i in range(0, len(asked), MOST_AT_ONCE)] or [()]
    calls = []
    for part in parts:
        names = itertools.chain.from_iterable((place.number, place.owner) for place in part)
        calls.append(session.call(key, ("look", *names), lazy=True).future)
    answers = [parse_look(reply) for reply in await asyncio.gather(*calls)]
    news: dict[str, Standing] = {}
    for part, seen in zip(parts, answers, strict=True):
        for which, place in enumerate(part):
            standing = seen.news.get(which)
            if standing is None:
                place.mark = seen.mark
            else:
                news[place.owner] = standing
                place.doubt()
    return answers[-1], news


def _number(place: Place) -> int:
    return place.number
