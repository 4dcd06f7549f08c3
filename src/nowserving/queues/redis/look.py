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

from nowserving.queues.base import MOST_AT_ONCE
from nowserving.queues.redis.replies import LineSeen, parse_look
from nowserving.standing import Glance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nowserving.place import Place
    from nowserving.queues.redis.link import Link
    from nowserving.standing import Standing


async def look_at_line(link: Link, key: bytes, places: Sequence[Place]) -> Glance:
    """Tell what is new of tickets of one line (``look.lua``).

    Args:
        link: Whom to ask.
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
    seen, news = await _ask(link, key, asked)
    if trusted and (seen.mark != mark or asked[-1].owner in news):
        blocked_for = seen.blocked_for
        seen, more = await _ask(link, key, trusted)
        seen = seen._replace(blocked_for=min(blocked_for, seen.blocked_for))
        news.update(more)
    if seen.served is not None:
        for place in places:
            if place.number == seen.served.number and place.owner == seen.owner:
                news[place.owner] = seen.served
    return Glance(seen.serving, seen.blocked_for, news)


async def _ask(
    link: Link, key: bytes, asked: Sequence[Place]
) -> tuple[LineSeen, dict[str, Standing]]:
    """Ask about tickets, so many at a time that Redis is never blocked for long.

    Returns:
        What was said last, with the shortest of all times; and the news.
    """
    news: dict[str, Standing] = {}
    answers = []
    for first in range(0, len(asked), MOST_AT_ONCE):
        part = asked[first : first + MOST_AT_ONCE]
        names = itertools.chain.from_iterable((place.number, place.owner) for place in part)
        call = link.session.call(key, ("look", *names), lazy=True)
        seen = parse_look(link.sweeper.read(key, await call.future))
        answers.append(seen)
        for which, place in enumerate(part):
            standing = seen.news.get(which)
            if standing is None:
                place.mark = seen.mark
            else:
                news[place.owner] = standing
                place.doubt()
    soonest = min(seen.blocked_for for seen in answers)
    return answers[-1]._replace(blocked_for=soonest), news


def _number(place: Place) -> int:
    return place.number
