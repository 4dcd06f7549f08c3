"""The timeline of a conversation in a terminal: a row a turn, thin while it waits, then a bar.

As in the HTML report of ``verify``: under a lock the bars climb down like stairs, and none begins
before the one above it has ended. The chart is a pure function of turns and a width.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from rich.text import Text

from nowserving.cli.terminal import console
from nowserving.cli.words import NOTHING, duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from nowserving import Line

MOST_TURNS = 40
"""Rows of a chart, unless it is told otherwise."""

_NARROWEST = 20  # columns of the bars
_MARGIN = 2  # columns between two columns of text
_WAIT, _HOLD, _WAIT_ASCII, _HOLD_ASCII = "─", "█", "-", "#"
_STYLES = {
    "": "bold cyan",
    "done": "green",
    "failed": "red",
    "expired": "red",
    "released": "red",
    "interrupted": "yellow",
}


class PlottedTurn(NamedTuple):
    """One stay in line, as it is drawn.

    Attributes:
        ticket: The number of its ticket.
        asked: Unix time when it was asked for.
        served: When it was served; None if it was not, or not yet.
        ended: When it was over; None if it goes on.
        outcome: How it ended; empty while it goes on.
    """

    ticket: int
    asked: float
    served: float | None = None
    ended: float | None = None
    outcome: str = ""


def turns_of_line(line: Line, now: float) -> list[PlottedTurn]:
    """Return the turns of those who are in line now.

    When the holder was asked for is not kept in the store, so its bar begins where it was served.

    Args:
        line: The line.
        now: Unix time when it was looked at; stands for moments that the store does not know.
    """
    turns = [
        PlottedTurn(ticket.number, now if ticket.since is None else ticket.since)
        for ticket in line.waiting
    ]
    if line.holder is not None:
        since = now if line.holder.since is None else line.holder.since
        turns.insert(0, PlottedTurn(line.holder.number, since, since))
    return turns


def chart(
    turns: Iterable[PlottedTurn],
    now: float,
    width: int,
    *,
    most: int = MOST_TURNS,
    plain: bool = False,
) -> list[Text]:
    """Draw turns as the lines of a text.

    Args:
        turns: The turns, in any order.
        now: Unix time until which those are drawn that go on.
        width: Columns of a line; what can't be drawn within is drawn wider.
        most: Turns to draw at most, the newest; a line says how many are left out.
        plain: Whether to draw with ASCII characters only.

    Returns:
        The lines: an axis, and one a turn. None of them if there is no turn.
    """
    ordered = sorted(turns, key=lambda turn: (turn.asked, turn.ticket))
    shown = ordered[-most:]
    if not shown:
        return []
    begin = min(turn.asked for turn in shown)
    end = max(begin, *(now if turn.ended is None else turn.ended for turn in shown))
    numbers = [str(turn.ticket) for turn in shown]
    words = [_words(turn, now) for turn in shown]
    left = max(map(len, (*numbers, "ticket")))
    right = max(map(len, words))
    columns = max(_NARROWEST, width - left - right - 2 * _MARGIN)
    scale = _Scale(begin, max(end - begin, 1e-9), columns)
    gap = " " * _MARGIN
    lines = [Text(f"{'ticket':>{left}}{gap}{_axis(scale)}", style="dim")]
    if len(shown) < len(ordered):
        lines.insert(
            0, Text(f"{len(ordered) - len(shown):,} earlier turns are left out", style="dim")
        )
    for turn, number, said in zip(shown, numbers, words, strict=True):
        line = Text(f"{number:>{left}}{gap}")
        drawn = list(_bar(turn, now, scale, plain=plain))
        for piece, style in drawn:
            line.append(piece, style=style)
        line.append(" " * (columns - sum(len(piece) for piece, _ in drawn)))
        line.append(f"{gap}{said}")
        lines.append(line)
    return lines


def show(turns: Sequence[PlottedTurn], now: float) -> None:
    """Print the chart of turns, as wide as the terminal."""
    out = console()
    plain = not out.encoding.lower().startswith("utf")
    wide = out.width if out.is_terminal else _IN_A_FILE
    for line in chart(turns, now, wide, plain=plain):
        out.print(line, soft_wrap=True)


_IN_A_FILE = 100  # columns


class _Scale(NamedTuple):
    begin: float
    seconds: float
    columns: int

    def column(self, moment: float) -> int:
        """Return the column in which a moment falls."""
        share = (moment - self.begin) / self.seconds
        return min(self.columns - 1, max(0, int(share * self.columns)))


def _axis(scale: _Scale) -> str:
    """Return the moments at both ends, and how long that is in between."""
    first, last = (_clock(scale.begin), _clock(scale.begin + scale.seconds))
    between = duration(scale.seconds)
    room = scale.columns - len(first) - len(last)
    return first + (between.center(room) if room > len(between) else " " * max(1, room)) + last


def _clock(moment: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(moment))


def _bar(turn: PlottedTurn, now: float, scale: _Scale, *, plain: bool) -> Iterator[tuple[str, str]]:
    wait, hold = (_WAIT_ASCII, _HOLD_ASCII) if plain else (_WAIT, _HOLD)
    ended = now if turn.ended is None else turn.ended
    came, over = scale.column(turn.asked), scale.column(ended)
    yield " " * came, ""
    if turn.served is None:
        yield wait * max(1, over - came), "yellow"
        return
    began = scale.column(turn.served)
    yield wait * (began - came), "dim"
    yield hold * max(1, over - began), _STYLES.get(turn.outcome, "magenta")


def _words(turn: PlottedTurn, now: float) -> str:
    ended = now if turn.ended is None else turn.ended
    if turn.served is None:
        return f"{turn.outcome or 'waits'} {duration(ended - turn.asked)}"
    waited = duration(turn.served - turn.asked) if turn.served > turn.asked else NOTHING
    return f"waited {waited}, {turn.outcome or 'holds'} {duration(ended - turn.served)}"
