"""The chart of a line: where bars begin and end, and what is left out."""

from __future__ import annotations

import pytest

from nowserving import Line, LineTicket
from nowserving.cli.plot import UNKNOWN, PlottedTurn, chart, turns_of
from nowserving.cli.timescale import TimeScale
from nowserving.history.turns import RecordedTurn

NOW = 1_000_000.0


def drawn(turns: list[PlottedTurn], columns: int) -> list[str]:
    """Return the bars alone, drawn so wide that they have so many columns."""
    words = 200 - len(chart(turns, NOW, 200)[0])  # beside the axis
    axis, *lines = (line.plain for line in chart(turns, NOW, words + 8 + columns, plain=True))
    assert axis.startswith("ticket  ")
    return [line[8 : len(axis)].rstrip() for line in lines]


def test_bars_climb_down_like_stairs() -> None:
    turns = [
        PlottedTurn(7, NOW - 40, NOW - 40, NOW - 20, "done"),
        PlottedTurn(8, NOW - 30, NOW - 20, NOW - 10, "failed"),
        PlottedTurn(9, NOW - 25, NOW - 10),
        PlottedTurn(10, NOW - 10),
    ]
    assert drawn(turns, 40) == [
        "####################",
        " " * 10 + "----------##########",
        " " * 15 + "---------------#########",
        " " * 30 + "---------",
    ]


def test_what_is_said_beside_the_bars() -> None:
    turns = [
        PlottedTurn(7, NOW - 40, NOW - 30, NOW - 20, "done"),
        PlottedTurn(8, NOW - 35, None, NOW - 20, "superseded"),
        PlottedTurn(9, NOW - 25, NOW - 10),
        PlottedTurn(10, NOW - 10),
    ]
    said = [line.plain.split("  ")[-1].strip() for line in chart(turns, NOW, 100)[1:]]
    assert said == [
        "waited 10.0 s, done 10.0 s",
        "superseded 15.0 s",
        "waited 15.0 s, holds 10.0 s",
        "waits 10.0 s",
    ]


def test_a_turn_that_lost_its_lock_says_so() -> None:
    recorded = [
        RecordedTurn("a", "c", 7, asked=NOW - 40, served=NOW - 30, lost=True),  # and runs on
        RecordedTurn("b", "c", 8, asked=NOW - 35, served=NOW - 20, ended=NOW - 10, outcome="done"),
        RecordedTurn(
            "c", "c", 9, asked=NOW - 34, served=NOW - 10, ended=NOW, outcome="done", lost=True
        ),
    ]
    turns = turns_of(recorded, None, NOW)
    said = [line.plain.split("  ")[-1].strip() for line in chart(turns, NOW, 100)[1:]]
    assert said == [
        "waited 10.0 s, lost its lock after 10.0 s",
        "waited 15.0 s, done 10.0 s",
        "waited 24.0 s, done 10.0 s, lost its lock",
    ]


def test_a_turn_of_no_length_is_seen_and_none_is_no_chart() -> None:
    assert chart([], NOW, 80) == []
    assert drawn([PlottedTurn(0, NOW, NOW, NOW, "done")], 30) == ["#"]
    assert drawn([PlottedTurn(0, NOW)], 30) == ["-"]


def test_only_the_newest_turns_are_drawn() -> None:
    turns = [PlottedTurn(each, NOW - 100 + each, NOW - 100 + each) for each in range(50)]
    lines = [line.plain for line in chart(turns, NOW, 80, most=10)]
    assert lines[0] == "40 earlier turns are left out"
    assert [int(line.split()[0]) for line in lines[2:]] == list(range(40, 50))


def test_idle_times_are_cut() -> None:
    day = 86_400.0
    turns = [PlottedTurn(each, NOW - each * day, NOW - each * day, NOW - each * day + 5, "done")
             for each in range(1, 4)]  # fmt: skip
    lines = [line.plain for line in chart(turns, NOW, 100, plain=True)]
    assert "15.0 s, idle times cut" in lines[0]
    for line in lines[1:]:
        assert line.count(":") == 2
        assert line.count("#") >= 10


@pytest.mark.parametrize("columns", [1, 5, 20, 71])
@pytest.mark.parametrize("count", [1, 2, 7, 40])
def test_every_stretch_has_a_column_and_order_stays(columns: int, count: int) -> None:
    times = [(100.0 * each, 100.0 * each + each % 3) for each in range(count)]
    scale = TimeScale(times, columns)
    moments = [moment for begin, end in times for moment in (begin, end)]
    placed = [scale.column(moment) for moment in moments]
    assert placed == sorted(placed)
    assert 0 <= placed[0] <= placed[-1] < scale.columns
    assert not set(placed) & set(scale.gaps)
    assert scale.columns == max(columns, 2 * count - 1)
    last = scale.stretches[-1]
    assert last.column + last.width == scale.columns


def test_a_history_and_the_present_line_together() -> None:
    def ticket(number: int, ago: float | None) -> LineTicket:
        since = None if ago is None else NOW - ago
        return LineTicket(number, None, None, None, None, since, 60.0)

    line = Line(ticket(3, 10.0), (ticket(4, 4.0), ticket(5, None)))
    recorded = [
        RecordedTurn("a", "c", 1, asked=NOW - 60, served=NOW - 60, ended=NOW - 50, outcome="done"),
        RecordedTurn("b", "c", 2, asked=NOW - 55, served=NOW - 50),  # its process was killed
        RecordedTurn("d", "c", 3, asked=NOW - 40, served=NOW - 9.5),
        RecordedTurn("e", "c", -1, asked=NOW - 1),  # not in line yet
    ]
    assert turns_of(recorded, line, NOW) == [
        PlottedTurn(1, NOW - 60, NOW - 60, NOW - 50, "done"),
        PlottedTurn(2, NOW - 55, NOW - 50, NOW - 10, UNKNOWN),
        PlottedTurn(3, NOW - 40, NOW - 10),
        PlottedTurn(4, NOW - 4),
        PlottedTurn(5, NOW),
    ]
    assert turns_of([], None, NOW) == []
