"""What the stopwatch of ``bot/stopwatch.py`` has noted, and what is wrong with it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SAME_MOMENT = 0.05
"""Seconds within which two servers' messages have no order: they reach Redis over two networks."""


@dataclass(frozen=True)
class Handled:
    """A message that was worked on, with moments of the machine's monotonic clock.

    Attributes:
        conversation: Whose it was.
        message: Its number.
        server: The process that worked on it.
        asked: When it asked for the lock.
        began: When it had the lock and work began.
        ended: When the work was done and saved; infinity if it never was.
    """

    conversation: str
    message: int
    server: int
    asked: float
    began: float
    ended: float


def read(file: Path, conversations: set[str]) -> list[Handled]:
    """Return the messages of these conversations in the order in which work on them began."""
    moments: dict[tuple[str, int], dict[str, float]] = {}
    servers = {}
    for line in file.read_text().splitlines():
        noted = json.loads(line)
        if noted["conversation"] in conversations:
            key = noted["conversation"], noted["message"]
            moments.setdefault(key, {})[noted["what"]] = noted["at"]
            servers[key] = noted["server"]
    handled = [
        Handled(*key, servers[key], at["asked"], at["began"], at.get("ended", float("inf")))
        for key, at in moments.items()
        if "began" in at
    ]
    return sorted(handled, key=lambda one: one.began)


def overlaps(handled: list[Handled]) -> int:
    """Count the messages whose work began while another one of their conversation was in work."""
    return len(
        {
            later
            for earlier, later in combinations(handled, 2)
            if earlier.conversation == later.conversation and later.began < earlier.ended
        }
    )


def overtaken(handled: list[Handled]) -> int:
    """Count the messages that were served after one that had asked later.

    In one process any later moment counts; between two, one that is later for certain.
    """
    return len(
        {
            second
            for first, second in combinations(handled, 2)
            if first.conversation == second.conversation
            and first.asked > second.asked + (first.server != second.server) * SAME_MOMENT
        }
    )
