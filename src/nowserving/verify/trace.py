"""Messages from a CSV file: who wrote how much in which conversation, and when."""

from __future__ import annotations

import csv
import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

COLUMNS = ("seconds", "conversation_id", "sender", "characters")
"""The columns a trace must have; more are ignored."""

_LONGEST_FIELD = 1_000_000


class TraceError(ValueError):
    """A trace cannot be used; the message names file, line, column and remedy."""


@dataclass(frozen=True)
class Message:
    """One message of a trace.

    Attributes:
        seconds: When it arrived, counted from any common origin.
        conversation_id: The conversation that it belongs to.
        sender: Who wrote it.
        characters: How long its text was.
    """

    seconds: float
    conversation_id: str
    sender: str
    characters: int


def read_trace(path: Path, limit: int | None = None) -> list[Message]:
    """Read the messages of a CSV file, sorted by time; equal times keep the file's order.

    Args:
        path: A UTF-8 file whose first line names at least ``COLUMNS``.
        limit: Read only the first ``limit`` messages of the file; None for all.

    Raises:
        TraceError: If the file is not such a file, or holds no message.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            messages = list(itertools.islice(_messages(path, file), limit))
    except UnicodeDecodeError as error:
        raise TraceError(f"{path}: not UTF-8 ({error.reason}): save it as UTF-8.") from error
    except OSError as error:
        raise TraceError(f"{path}: cannot be read: {error.strerror}.") from error
    if not messages:
        raise TraceError(f"{path}: no message below the header: add rows.")
    return sorted(messages, key=lambda message: message.seconds)


def _messages(path: Path, lines: Iterator[str]) -> Iterator[Message]:
    csv.field_size_limit(_LONGEST_FIELD)
    reader = csv.DictReader(lines, strict=True)
    try:
        missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
        if missing:
            raise TraceError(
                f"{path}, line 1: no column {', '.join(missing)}: "
                f"the first line must name the columns {', '.join(COLUMNS)}."
            )
        for row in reader:
            yield _message(row, f"{path}, line {reader.line_num}")
    except csv.Error as error:
        raise TraceError(f"{path}, line {reader.reader.line_num}: not CSV: {error}.") from error


def _message(row: Mapping[str, str | None], where: str) -> Message:
    conversation_id = _field(row, "conversation_id", where)
    if not conversation_id:
        raise TraceError(f"{where}, column conversation_id: empty: every message needs one.")
    return Message(
        seconds=_number(row, "seconds", where),
        conversation_id=conversation_id,
        sender=_field(row, "sender", where),
        characters=int(_number(row, "characters", where)),
    )


def _field(row: Mapping[str, str | None], column: str, where: str) -> str:
    value = row[column]
    if value is None:
        raise TraceError(
            f"{where}, column {column}: missing, the line is too short: "
            f"quote fields that contain line breaks, and fill in every column."
        )
    return value


def _number(row: Mapping[str, str | None], column: str, where: str) -> float:
    text = _field(row, column, where)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise TraceError(f"{where}, column {column}: {text!r}: write a number, 0 or more.")
    return value
