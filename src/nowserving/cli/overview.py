"""A survey of a store as commands tell it: in JSON, in a sentence, in tables."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from rich.table import Table

from nowserving.cli.show import ticket_as_dict
from nowserving.cli.terminal import safe
from nowserving.cli.words import NOTHING, duration, process

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nowserving import LineSummary, ProcessSummary, Survey

_Side = Literal["left", "right"]


class Column(NamedTuple):
    """A column of a table of lines.

    Attributes:
        title: What stands above it.
        side: At which side its texts are.
        from_width: How wide a terminal has to be to show it, in characters.
        text: Returns what it says of a line, safe to show, at a Unix time.
    """

    title: str
    side: _Side
    from_width: int
    text: Callable[[LineSummary, float], str]


def _held_for(line: LineSummary, now: float) -> str:
    since = None if line.holder is None else line.holder.since
    return NOTHING if since is None else duration(now - since)


def _lease(line: LineSummary, _: float) -> str:
    return NOTHING if line.holder is None else duration(line.holder.expires_in)


def _message(line: LineSummary, _: float) -> str:
    message = None if line.holder is None else line.holder.message_id
    return NOTHING if message is None else safe(message)


def _process(line: LineSummary, _: float) -> str:
    return NOTHING if line.holder is None else process(line.holder.host, line.holder.pid)


COLUMNS = (
    Column("conversation", "left", 0, lambda line, _: safe(line.conversation_id)),
    Column("waiting", "right", 0, lambda line, _: f"{line.waiting:,}"),
    Column("oldest wait", "right", 46, lambda line, _: duration(line.oldest_wait)),
    Column("held for", "right", 32, _held_for),
    Column("lease left", "right", 76, _lease),
    Column("process", "left", 92, _process),
    Column("message", "left", 60, _message),
)


def headline(survey: Survey) -> str:
    """Return in one line how much is in use."""
    said = [
        f"{count(survey.conversations, 'conversation', 'conversations')} in use",
        f"{survey.held:,} held",
        f"{survey.waiting:,} waiting",
    ]
    if survey.oldest_wait is not None:
        said.append(f"the oldest for {duration(survey.oldest_wait)}")
    return ", ".join(said)


def unreadable(survey: Survey) -> str:
    """Return in a sentence what was passed over; empty if nothing was."""
    if not survey.unreadable:
        return ""
    records = count(survey.unreadable, "record", "records")
    return f"{records} could not be read: damaged, not ours, or of a newer nowserving."


def lines_table(lines: Sequence[LineSummary], now: float, width: int) -> Table:
    """Return a table of lines, in their order.

    Args:
        lines: The lines.
        now: Unix time when they were seen.
        width: How wide it may be, in characters; columns that find no room are left out.
    """
    columns = [column for column in COLUMNS if column.from_width <= width]
    table = Table(box=None, header_style="dim", pad_edge=False)
    for column in columns:
        # The conversation gets what room there is; it can be typed only if all of it is seen.
        most = max(width // 6, 8) if column.title in {"message", "process"} else None
        table.add_column(
            column.title, justify=column.side, no_wrap=True, overflow="ellipsis", max_width=most
        )
    for line in lines:
        table.add_row(*(column.text(line, now) for column in columns))
    return table


def processes_table(processes: Sequence[ProcessSummary]) -> Table:
    """Return a table of processes, in their order."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("process", overflow="fold")
    table.add_column("holds", justify="right")
    table.add_column("waiting", justify="right")
    for each in processes:
        table.add_row(process_name(each), f"{each.holding:,}", f"{each.waiting:,}")
    return table


def process_name(each: ProcessSummary) -> str:
    """Return what a process is called, safe to show."""
    return "not known (yet)" if each.host is None else process(each.host, each.pid)


def as_dict(survey: Survey, now: float) -> dict[str, Any]:
    """Return a survey as JSON tells it; durations are seconds.

    Args:
        survey: The survey.
        now: Unix time when it was made.
    """
    return {
        "conversations": survey.conversations,
        "held": survey.held,
        "waiting": survey.waiting,
        "oldest_wait": _seconds(survey.oldest_wait),
        "unreadable": survey.unreadable,
        "lines": [
            {
                "conversation_id": line.conversation_id,
                "waiting": line.waiting,
                "oldest_wait": _seconds(line.oldest_wait),
                "holder": None if line.holder is None else ticket_as_dict(line.holder, now),
            }
            for line in survey.lines
        ],
        "processes": [asdict(each) for each in survey.processes],
    }


def _seconds(duration_: float | None) -> float | None:
    return None if duration_ is None else round(duration_, 3)


def count(number: int, one: str, more: str) -> str:
    """Return so many things in words."""
    return f"{number:,} {one if number == 1 else more}"
