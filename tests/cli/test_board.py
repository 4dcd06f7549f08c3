"""What ``top`` shows and what its keys ask for, without a terminal."""

from __future__ import annotations

import pytest
from rich.console import Console

from nowserving import LineSummary, LineTicket, Survey
from nowserving.cli import keyboard
from nowserving.cli.board import AskAbout, Board, Quit, Refresh, Release
from nowserving.cli.keyboard import keys_of

NOW = 1_000_000.0


def holder(number: int = 7, since: float = NOW - 5) -> LineTicket:
    return LineTicket(number, "of \x1b[2J it", "pod-7", 12, "m-1", since, 55.0)


def survey_of(*lines: LineSummary) -> Survey:
    return Survey(len(lines), len(lines), sum(line.waiting for line in lines), 3.0, lines, ())


def line(name: str, waiting: int = 0, since: float = NOW - 5) -> LineSummary:
    return LineSummary(name, waiting, 3.0 if waiting else None, holder(since=since))


def board_of(*lines: LineSummary) -> Board:
    board = Board("redis://host/0")
    board.saw(survey_of(*lines), "waiting", NOW, 0.1)
    return board


def drawn(board: Board, width: int = 100, height: int = 20) -> list[str]:
    console = Console(width=width, markup=False, emoji=False, highlight=False)
    with console.capture() as captured:
        console.print(board.shown(width, height, NOW))
    return captured.get().splitlines()


def names(board: Board) -> list[str]:
    return [row.split()[0] for row in drawn(board)[4:-1] if row.strip()]


def test_keys_sort_what_is_known_and_ask_for_the_rest() -> None:
    board = board_of(line("a", 3), line("b", 1, since=NOW - 50), line("c", 0, since=NOW - 9))
    assert names(board) == ["a", "b", "c"]
    assert board.press("h") == Refresh()
    assert names(board) == ["b", "c", "a"]
    assert board.order == "held_for"
    # What was asked for before the key is sorted as it is wanted now.
    board.saw(survey_of(line("x", 9), line("y", 0, since=NOW - 70)), "waiting", NOW, 0.1)
    assert names(board) == ["y", "x"]
    assert board.press("w") == Refresh()
    assert names(board) == ["x", "y"]


def test_a_line_stays_picked_when_others_come_before_it() -> None:
    board = board_of(line("a", 3), line("b", 2))
    board.press(keyboard.DOWN)
    board.saw(survey_of(line("c", 5), line("a", 3), line("b", 2)), "waiting", NOW, 0.1)
    assert board.press("r") == AskAbout("b")
    board.saw(survey_of(line("c", 5)), "waiting", NOW, 0.1)
    assert board.press("r") == AskAbout("c")
    board.saw(survey_of(), "waiting", NOW, 0.1)
    assert board.press("r") is None


def test_only_yes_to_the_question_that_is_shown_releases() -> None:
    board = board_of(line("a"))
    assert board.press("y") is None
    assert board.press("r") == AskAbout("a")
    assert board.press("y") is None  # typed ahead: nothing was asked yet
    board.ask("a", holder())
    assert "Release a: ticket 7, message m-1" in drawn(board)[-1]
    assert drawn(board)[-1].rstrip().endswith("? y/n")
    board.saw(survey_of(line("b"), line("a")), "waiting", NOW, 0.1)
    assert board.press("y") == Release("a", holder())
    assert board.press("y") is None
    for key in ("n", "q", "r", keyboard.DOWN, keyboard.ENTER):
        board.ask("a", holder())
        assert board.press(key) is None
        assert "Nothing was released." in drawn(board)[-1]
    board.ask("a", None)
    assert "Nobody holds" in drawn(board)[-1]
    assert board.press("q") == Quit()
    board.ask("a", holder())
    assert board.press(keyboard.HUNG_UP) == Quit()


@pytest.mark.parametrize("width", [1, 5, 20, 33, 50, 80, 300])
@pytest.mark.parametrize("height", [1, 3, 6, 12])
def test_whatever_the_terminal_is_like_it_fits(width: int, height: int) -> None:
    hostile = [line(f"\x1b]0;x\x07\u202e{number}\n" + "界" * number) for number in range(30)]
    board = board_of(*hostile)
    for ask in (False, True):
        if ask:
            board.ask(hostile[0].conversation_id, holder())
        for key in (keyboard.END, keyboard.PAGE_UP, keyboard.UP, keyboard.HOME, keyboard.DOWN):
            rows = drawn(board, width, height)
            assert len(rows) <= max(height, 6)
            for row in rows:
                assert not set(row) & set("\x1b\x07\u202e\n")
            if not ask:
                board.press(key)


def test_an_outage_is_told_beside_what_was_seen_last() -> None:
    board = Board("redis://host/0")
    assert drawn(board)[0].startswith("Asking redis://host/0")
    board.saw(survey_of(line("a")), "waiting", NOW - 30, 0.1)
    board.failed("Redis at host:1 did not answer \x1b[2J in time")
    shown = drawn(board)
    assert shown[1].startswith(r"as of 30.0 s ago: Redis at host:1 did not answer \x1b[2J in time")
    assert shown[4].startswith("a ")
    board.saw(survey_of(line("a")), "waiting", NOW, 0.1)
    assert "did not answer" not in drawn(board)[1]


def test_keys_are_told_apart() -> None:
    sent = "q\x1b[A\x1bOB\x1b[5~\x1b[6~\x1b[H\x1b[4~\r\x1b[1;5C\x1b[24~é"
    assert list(keys_of(sent)) == [
        "q",
        keyboard.UP,
        keyboard.DOWN,
        keyboard.PAGE_UP,
        keyboard.PAGE_DOWN,
        keyboard.HOME,
        keyboard.END,
        keyboard.ENTER,
        "é",
    ]
    assert list(keys_of("\x1b")) == [keyboard.ESCAPE]
    assert list(keys_of("\x1b\x1b[A")) == [keyboard.ESCAPE, keyboard.UP]
    assert list(keys_of("\x1b[")) == []
