"""A caller's picture of a line, in pieces that Redis merges one by one (``save.lua``)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from nowserving.protocol.limits import LONGEST
from nowserving.stores.redis.replies import MICROSECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nowserving.lock import TicketLock

_PIECE = 200
"""Tickets in a piece: some 2 ms of Redis."""

_BEYOND = 2**53 - 1
"""A number that no ticket has."""


class Piece(NamedTuple):
    """What ``save.lua`` takes.

    Attributes:
        seen_below: Tickets below this number that the picture lacks are removed.
        start: The first number that the piece is about.
        stop: The first that it is not about any more.
        writes: Whether it writes, or only removes.
        first: The number of the picture's first ticket.
        last: The number of its last that lives; -1 if there is none.
        tickets: Its tickets as text.
    """

    seen_below: int
    start: int
    stop: int
    writes: bool
    first: int
    last: int
    tickets: str

    def args(self, start: int | None = None) -> tuple[Any, ...]:
        """Return the verb's arguments.

        Args:
            start: The number to go on from, if some of it is done.
        """
        piece = self if start is None else self._replace(start=start)
        return (*piece[:3], int(self.writes), *piece[4:])


def pieces_of(lock: TicketLock) -> Iterator[Piece]:
    """Yield the pieces of a picture in the order in which they are to be merged.

    A picture of up to 200 tickets is one piece, and merged in one step. Of a longer one, first all
    is removed that it lacks, then its tickets are written: whether its own numbers may start the
    line anew depends on whether anybody else is left.
    """
    wall = time.time()
    tickets = sorted(
        (int(ticket.number), int(max(ticket.expires - wall, -LONGEST) * MICROSECONDS))
        for ticket in lock.tickets
    )
    first = tickets[0][0] if tickets else 0
    last = max((number for number, left in tickets if left > 0), default=-1)
    parts = [tickets[i : i + _PIECE] for i in range(0, len(tickets), _PIECE)] or [[]]
    starts = [0, *(part[0][0] for part in parts[1:]), _BEYOND]
    removing = [False] if len(parts) > 1 and lock.seen_below else []
    for writes in (*removing, True):
        for part, start, stop in zip(parts, starts, starts[1:], strict=False):
            text = " ".join(f"{number} {left}" for number, left in part)
            yield Piece(lock.seen_below, start, stop, writes, first, last, text)
