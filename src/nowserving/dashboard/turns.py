"""The turns of one conversation as the chart draws them: when each came, began and ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nowserving import LineTicket

MOST = 300
"""How many turns are kept; older ones go."""


@dataclass
class Turn:
    """A turn of the chart. Moments are Unix seconds.

    Attributes:
        number: Of its ticket.
        came: When it joined the line.
        began: When it was served; None while it waits, and if it never was.
        ended: When it was gone; None while it is in line.
        lost: When its lock was lost, None if it was not.
        outcome: How it ended, empty if nobody knows.
        label: What its owner calls it.
        message_id: The message that it is for.
        host: Where its process runs.
        pid: The id of that process.
    """

    number: int
    came: float
    began: float | None = None
    ended: float | None = None
    lost: float | None = None
    outcome: str = ""
    label: str | None = None
    message_id: str | None = None
    host: str | None = None
    pid: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as the page takes it."""
        return dict(vars(self))


class Sightings:
    """Makes turns out of looks at a line, for those of which the store keeps no history.

    What came and went between two looks it does not know.
    """

    def __init__(self) -> None:
        self._turns: list[Turn] = []
        self._in_line: dict[int, Turn] = {}

    def beside(self, recorded: Sequence[Turn]) -> list[Turn]:
        """Return turns that are recorded, and of those that were seen the ones that are not."""
        known = {turn.number for turn in recorded}
        return [*recorded, *(turn for turn in self._turns if turn.number not in known)]

    def see(self, holder: LineTicket | None, waiting: Sequence[LineTicket], now: float) -> None:
        """Take in how the line is now."""
        there = {ticket.number: ticket for ticket in (holder, *waiting) if ticket is not None}
        for number in [number for number in self._in_line if number not in there]:
            self._in_line.pop(number).ended = now
        for number, ticket in sorted(there.items()):
            since = now if ticket.since is None else ticket.since
            turn = self._in_line.get(number)
            if turn is None:
                turn = self._in_line[number] = Turn(number=number, came=since)
                self._turns.append(turn)
            if ticket is holder and turn.began is None:
                turn.began = max(since, turn.came)
            turn.label, turn.message_id = ticket.label, ticket.message_id
            turn.host, turn.pid = ticket.host or turn.host, ticket.pid or turn.pid
        del self._turns[:-MOST]
