"""What ``nowserving top`` shows: a survey, one line of it picked, and a question that may be open.

It knows no terminal, no store and no time: keys come in as names, what is to be done goes out as a
value, and what is shown is a text for a width and a height.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rich.console import Group
from rich.text import Text

from nowserving.cli import keyboard, overview
from nowserving.cli.terminal import safe
from nowserving.cli.words import duration, whose

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

    from nowserving import LineSummary, LineTicket, Survey, SurveyOrder

_HELP = "q quit  up/down pick  r release  sort: w waiting, o oldest wait, h held for"
_SHORT_HELP = "q quit  r release  w o h sort"
_AROUND = 5
"""Rows that are no conversation's: two of figures, an empty one, titles, and the last one."""

_HEADERS: dict[SurveyOrder, str] = {
    "waiting": "longest lines first",
    "oldest_wait": "oldest waits first",
    "held_for": "longest held first",
}
_ORDER_KEYS: dict[str, SurveyOrder] = {"w": "waiting", "o": "oldest_wait", "h": "held_for"}


class Quit(NamedTuple):
    """End the command."""


class Refresh(NamedTuple):
    """Survey again, now."""


class AskAbout(NamedTuple):
    """Look who holds a conversation, to ask whether that ticket is to be released.

    Attributes:
        conversation_id: The conversation.
    """

    conversation_id: str


class Release(NamedTuple):
    """Release a ticket: the operator has said yes.

    Attributes:
        conversation_id: The conversation.
        ticket: The ticket.
    """

    conversation_id: str
    ticket: LineTicket


Deed = Quit | Refresh | AskAbout | Release
"""What a key asks for."""


_DEEDS: dict[str, Deed] = {"q": Quit(), "Q": Quit(), keyboard.HUNG_UP: Quit(), " ": Refresh()}


def _by_waiting(line: LineSummary) -> tuple[float, float]:
    return -line.waiting, -(line.oldest_wait or 0.0)


def _by_oldest_wait(line: LineSummary) -> tuple[float, float]:
    return -(-1.0 if line.oldest_wait is None else line.oldest_wait), -line.waiting


def _by_held_for(line: LineSummary) -> tuple[float, float]:
    since = None if line.holder is None else line.holder.since
    return float("inf") if since is None else since, -line.waiting


_SORTS: dict[SurveyOrder, Callable[[LineSummary], tuple[float, float]]] = {
    "waiting": _by_waiting,
    "oldest_wait": _by_oldest_wait,
    "held_for": _by_held_for,
}


class Board:
    """What is shown, and what keys do to it.

    Args:
        name: What the store is called; holds no secret.

    Attributes:
        order: Which lines come first.
    """

    def __init__(self, name: str) -> None:
        self.order: SurveyOrder = "waiting"
        self._name = name
        self._survey: Survey | None = None
        self._seen_at = self._took = 0.0
        self._lines: list[LineSummary] = []
        self._picked: str | None = None
        self._place = 0  # of the picked line
        self._top = 0  # the first line that is shown
        self._rows = 1
        self._question: Release | None = None
        self._said = ""
        self._trouble = ""

    # What has become known

    def saw(self, survey: Survey, order: SurveyOrder, now: float, took: float) -> None:
        """Take over a survey.

        Args:
            survey: The survey.
            order: The order that it was asked for.
            now: Unix time.
            took: How many seconds it took.
        """
        self._survey, self._seen_at, self._took, self._trouble = survey, now, took, ""
        self._lines = list(survey.lines)
        if order != self.order:
            self._lines.sort(key=_SORTS[self.order])
        self._find_picked()

    def failed(self, why: str) -> None:
        """There is no new survey: the last one stays, and says so."""
        self._trouble = why

    def ask(self, conversation_id: str, ticket: LineTicket | None) -> None:
        """Ask whether a holder's ticket is to be released.

        Args:
            conversation_id: The conversation.
            ticket: The ticket, None if nobody holds the lock.
        """
        if ticket is None:
            self.say(f"Nobody holds the lock for {safe(conversation_id)}.")
        else:
            self._question, self._said = Release(conversation_id, ticket), ""

    def say(self, text: str) -> None:
        """Show a text, safe to show, until the next key."""
        self._said = text

    # Keys

    def press(self, key: str) -> Deed | None:
        """Return what a key asks for, None if it is done already."""
        question, self._question = self._question, None
        self._said = ""
        if question is not None and key != keyboard.HUNG_UP:
            if key in {"y", "Y"}:
                return question
            self._said = "Nothing was released."
            return None
        if key in _ORDER_KEYS:
            return self._sort(_ORDER_KEYS[key])
        if key == "r" and self._picked is not None:
            return AskAbout(self._picked)
        self._move(key)
        return _DEEDS.get(key)

    def _sort(self, order: SurveyOrder) -> Deed:
        self.order = order
        self._lines.sort(key=_SORTS[order])  # what is known; a survey with all of it follows
        self._find_picked()
        return Refresh()

    def _move(self, key: str) -> None:
        last = len(self._lines) - 1
        moves = {
            keyboard.UP: self._place - 1,
            "k": self._place - 1,
            keyboard.DOWN: self._place + 1,
            "j": self._place + 1,
            keyboard.PAGE_UP: self._place - self._rows,
            keyboard.PAGE_DOWN: self._place + self._rows,
            keyboard.HOME: 0,
            keyboard.END: last,
        }
        if last >= 0 and key in moves:
            self._place = min(max(moves[key], 0), last)
            self._picked = self._lines[self._place].conversation_id

    def _find_picked(self) -> None:
        """Stay with the line that was picked; where it has gone, with its place."""
        for place, line in enumerate(self._lines):
            if line.conversation_id == self._picked:
                self._place = place
                return
        self._place = min(self._place, max(len(self._lines) - 1, 0))
        self._picked = self._lines[self._place].conversation_id if self._lines else None

    # What is shown

    def shown(self, width: int, height: int, now: float) -> RenderableType:
        """Return what a terminal shows.

        Args:
            width: Its columns.
            height: Its rows.
            now: Unix time.
        """
        if self._survey is None:
            return Group(self._line(self._trouble or f"Asking {self._name} ...", width))
        self._rows = max(height - _AROUND, 1)
        self._top = min(self._top, self._place, max(len(self._lines) - self._rows, 0))
        self._top = max(self._top, self._place - self._rows + 1)
        visible = self._lines[self._top : self._top + self._rows]
        table = overview.lines_table(visible, self._seen_at, width)
        if visible:
            table.rows[self._place - self._top].style = "reverse"
        blank = [Text("")] * (self._rows - len(visible))
        return Group(
            self._line(f"{overview.headline(self._survey)}.", width, "bold"),
            self._second_line(self._survey, width, now),
            Text(""),
            table if visible else self._line("Nobody is in line.", width, "dim"),
            *blank,
            self._last_line(width, now),
        )

    def _second_line(self, survey: Survey, width: int, now: float) -> Text:
        if self._trouble:
            ago = duration(now - self._seen_at)
            return self._line(f"as of {ago} ago: {self._trouble}", width, "bold red")
        said = [_HEADERS[self.order]]
        if len(self._lines) < survey.conversations:
            said.append(f"{len(self._lines):,} of them here")
        if survey.unreadable:
            said.append(f"{survey.unreadable:,} unreadable")
        said.append(overview.count(len(survey.processes), "process", "processes"))
        if self._took >= 1:
            said.append(f"a look takes {duration(self._took)}")
        said.append(self._name)
        return self._line("; ".join(said), width, "dim")

    def _last_line(self, width: int, now: float) -> Text:
        if self._question is not None:
            said = whose(self._question.ticket, now)
            name = safe(self._question.conversation_id, max(width // 3, 8))
            answer = "? y/n"
            asked = safe(f"Release {name}: {said}", max(width - len(answer), 1)) + answer
            return self._line(asked, width, "bold yellow")
        if self._said:
            return self._line(self._said, width, "bold")
        return self._line(_HELP if width >= len(_HELP) else _SHORT_HELP, width, "dim")

    @staticmethod
    def _line(text: str, width: int, style: str = "") -> Text:
        return Text(safe(text, max(width, 1)), style, no_wrap=True, overflow="crop")
