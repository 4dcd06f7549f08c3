"""What is noted of a ticket that goes, who is told, and how long the record is kept then.

===============================  =============  ========================  ==============
It goes because                  the successor  its message is            its owner
                                 is told
===============================  =============  ========================  ==============
its owner leaves                 the outcome    remembered when ``done``  knows
it has expired                   ``expired``    forgotten                 is not told
it is finished by its number     ``done``       remembered                is told
the line is deleted, or a saved  ``released``   forgotten                 is told
picture lacks it
somebody releases it             ``released``   forgotten                 is told why
a newer message supersedes it    nothing        forgotten                 is told so
===============================  =============  ========================  ==============

The successor is told how the last turn that was *held* ended. So nothing is noted of a waiter, and
nothing of a ticket that was ``abandoned``: its owner left before it knew that it was served.

A record is kept for a lifetime of whichever ticket goes, and as long as it remembers a message (in
Redis each of these is kept by itself) or a tombstone. When it goes its numbers go with it, and
begin anew. Its fencing token is not missed: the clock has passed it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nowserving.protocol.status import release_reason
from nowserving.stores._lines.messages import note_done
from nowserving.stores._lines.status import removed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nowserving.protocol.status import Outcome
    from nowserving.stores._lines.storage import LineStorage, T


def note_departure(line: LineStorage[T], ticket: T, outcome: Outcome, now: float) -> None:
    """Note how the stay of a ticket ended that has been taken out."""
    line.keep(now + ticket.lifetime)
    if ticket.served_at is not None and outcome != "abandoned":
        line.predecessor = outcome
    if outcome == "done" and ticket.message_id is not None:
        note_done(line, ticket, now)


def note_dismissal(
    line: LineStorage[T],
    tickets: Sequence[T],
    outcome: Outcome,
    now: float,
    why: str = "released",
) -> None:
    """Note that somebody else than their owners has taken tickets out, and tell the owners.

    If one has expired, that is how it ended, whoever comes by. Nothing is noted for its owner: a
    ticket that is missing, and of which nothing is noted, has expired. Of one that nobody has
    claimed only a release is noted: whoever redeems it is to be told the reason.
    """
    is_release = release_reason(why) is not None
    told = []
    for ticket in tickets:
        if ticket.expires <= now:
            note_departure(line, ticket, "expired", now)
            continue
        note_departure(line, ticket, outcome, now)
        line.mail.append((ticket, removed(ticket.number, why)))
        if ticket.claimed or (is_release and ticket.owner):
            told.append(ticket)
    if told:  # the mail can be lost
        line.note_removed(told, why, now)
