"""What there is to say of lines in a process's memory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nowserving.protocol.examination import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping

WORKER_COUNTS = ("TICKET_LOCK_WORKERS", "SANIC_WORKERS", "WEB_CONCURRENCY")
"""Variables of the environment by which a server is told how many workers to start."""

_INSTEAD = "Take SQLiteLockStore for the processes of one machine, RedisLockStore for several."


def examine(environment: Mapping[str, str]) -> list[Finding]:
    """Return what was found.

    Args:
        environment: The environment of the process.
    """
    subject = f"process {os.getpid()}"
    found = [
        Finding(
            "reach",
            subject,
            "note",
            "the lines are in the memory of this process",
            "Threads and event loops of this process take turns; another process, this command's "
            "caller too, has lines of its own, and handles messages beside this one.",
            _INSTEAD,
        ),
        Finding(
            "keeping",
            subject,
            "note",
            "nothing is kept",
            "When the process ends its lines are gone, and so are the message ids it remembers.",
        ),
    ]
    return found + [_several(name, count) for name, count in workers(environment)]


def workers(environment: Mapping[str, str]) -> list[tuple[str, int]]:
    """Return the variables that say that there are several workers, and how many."""
    counts = ((name, environment.get(name, "")) for name in WORKER_COUNTS)
    return [(name, int(text)) for name, text in counts if text.isdecimal() and int(text) > 1]


def _several(name: str, count: int) -> Finding:
    return Finding(
        "workers",
        name,
        "broken",
        f"{name}={count}: the environment speaks of several workers",
        "Each worker has lines of its own: messages of one conversation are handled side by side.",
        _INSTEAD,
    )
