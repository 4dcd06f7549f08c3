"""The timeline of a conversation in a terminal: a row a turn, thin while it waits, then a bar.

As in the HTML report of ``verify``: under a lock the bars climb down like stairs, and none begins
before the one above it has ended. The chart is a pure function of turns and a width.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from rich.text import Text

from nowserving.cli.terminal import console
from nowserving.cli.timescale import TimeScale
from nowserving.cli.words import NOTHING, duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from nowserving import Line
    from nowserving.history.turns import RecordedTurn

MOST_TURNS = 40
"""Rows of a chart, unless it is told otherwise."""

UNKNOWN = "unknown"
"""The outcome of a turn that is over, nobody has told how."""

_IN_A_FILE = 100  # columns
_NARROWEST = 20  # columns of the bars
_MARGIN = 2  # columns between two columns of text
_STYLES = {
    "": "bold cyan",
    "done": "green",
    "failed": "red",
    "expired": "red",
    "released": "red",
    "interrupted": "yellow",
}


class _Signs(NamedTuple):
    wait: str
    hold: str
    gap: str


_DRAWN, _PLAIN = _Signs("─", "█", "┊"), _Signs("-", "#", ":")


class PlottedTurn(NamedTuple):
    """One stay in line, as it is drawn.

    Attributes:
        ticket: The number of its ticket.
        asked: Unix time when it was asked for.
        served: When it was served; None if it was not, or not yet.
        ended: When it was over; None if it goes on.
        outcome: How it ended; empty while it goes on.
        lost: Whether its lock was lost while its body ran.
    """

    ticket: int
    asked: float
    served: float | None = None
    ended: float | None = None
    outcome: str = ""
    lost: bool = False


def turns_of(recorded: Iterable[RecordedTurn], line: Line | None, now: float) -> list[PlottedTurn]:
    """Return the turns to draw: what a history tells of, and those who are in line now.

    Without a history it is not known when the holder was asked for: its bar begins where it was
    served. A turn that is neither over nor in line, because its process was killed, say, is drawn
    until the next one was served.

    Args:
        recorded: The turns of the history; none where none is kept.
        line: The line, None if nobody is in it.
        now: Unix time when it was looked at; stands for moments that the store does not know.
    """
    present = {turn.ticket: turn for turn in _in_line(line, now)}
    turns: list[PlottedTurn] = []
    for turn in recorded:
        if turn.number < 0:
            continue
        asked = now if turn.asked is None else turn.asked
        if turn.ended is None and turn.number in present:
            here = present.pop(turn.number)
            turns.append(here._replace(asked=min(asked, here.asked)))
        else:
            turns.append(
                PlottedTurn(
                    turn.number, asked, turn.served, turn.ended, turn.outcome, lost=turn.lost
                )
            )
    turns += present.values()
    return [_closed(turn, turns, now) if _is_open(turn, line) else turn for turn in turns]


def _in_line(line: Line | None, now: float) -> Iterator[PlottedTurn]:
    if line is None:
        return
    if line.holder is not None:
        since = now if line.holder.since is None else line.holder.since
        yield PlottedTurn(line.holder.number, since, since)
    for ticket in line.waiting:
        yield PlottedTurn(ticket.number, now if ticket.since is None else ticket.since)


def _is_open(turn: PlottedTurn, line: Line | None) -> bool:
    """Return whether nobody has told how a turn ended that is in line no more."""
    if turn.ended is not None:
        return False
    tickets = () if line is None else (line.holder, *line.waiting)
    return all(ticket is None or ticket.number != turn.ticket for ticket in tickets)


def _closed(turn: PlottedTurn, turns: Sequence[PlottedTurn], now: float) -> PlottedTurn:
    began = turn.asked if turn.served is None else turn.served
    later = [each.served for each in turns if each.served is not None and each.served > began]
    return turn._replace(ended=min(later, default=now), outcome=UNKNOWN)


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
    numbers = [str(turn.ticket) for turn in shown]
    words = [_words(turn, now) for turn in shown]
    left = max(map(len, (*numbers, "ticket")))
    room = width - left - max(map(len, words)) - 2 * _MARGIN
    scale = TimeScale(
        ((turn.asked, max(turn.asked, _end(turn, now))) for turn in shown), max(_NARROWEST, room)
    )
    gap = " " * _MARGIN
    lines = [Text(f"{'ticket':>{left}}{gap}{_axis(scale)}", style="dim")]
    if len(shown) < len(ordered):
        earlier = f"{len(ordered) - len(shown):,} earlier turns are left out"
        lines.insert(0, Text(earlier, style="dim"))
    for turn, number, said in zip(shown, numbers, words, strict=True):
        line = Text(f"{number:>{left}}{gap}")
        line.append_text(_bar(turn, now, scale, _PLAIN if plain else _DRAWN))
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


def _axis(scale: TimeScale) -> str:
    """Return the moments at both ends, and between them how long that is."""
    first, last = (_clock(scale.stretches[0].begin), _clock(scale.stretches[-1].end))
    between = duration(scale.seconds) + ", idle times cut" * bool(scale.gaps)
    room = scale.columns - len(first) - len(last)
    return first + (between.center(room) if room > len(between) else " " * max(1, room)) + last


def _clock(moment: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(moment))


def _bar(turn: PlottedTurn, now: float, scale: TimeScale, signs: _Signs) -> Text:
    cells = [" "] * scale.columns
    for gap in scale.gaps:
        cells[gap] = signs.gap
    bar = Text("".join(cells), style="dim")
    came, over = scale.column(turn.asked), scale.column(_end(turn, now))
    began = over if turn.served is None else scale.column(turn.served)
    drawn = Text(signs.wait * (began - came), style="yellow" if turn.served is None else "dim")
    if turn.served is not None:
        style = "red" if turn.lost else _STYLES.get(turn.outcome, "magenta")
        drawn.append(signs.hold * max(1, over - began), style=style)
    elif not drawn:
        drawn = Text(signs.wait, style="yellow")
    return Text.assemble(bar[:came], drawn, bar[came + len(drawn) :])


def _end(turn: PlottedTurn, now: float) -> float:
    return now if turn.ended is None else turn.ended


def _words(turn: PlottedTurn, now: float) -> str:
    ended = _end(turn, now)
    if turn.served is None:
        return f"{turn.outcome or 'waits'} {duration(ended - turn.asked)}"
    waited = duration(turn.served - turn.asked) if turn.served > turn.asked else NOTHING
    held = duration(ended - turn.served)
    if turn.lost and turn.outcome == UNKNOWN:  # its body may run on
        return f"waited {waited}, lost its lock after {held}"
    lost = ", lost its lock" * turn.lost
    return f"waited {waited}, {turn.outcome or 'holds'} {held}{lost}"
