"""The whole examination: the ground, the database, the processes beside this one.

It blocks, and is run in a thread of its own. Nothing is made that is not there; what is written to
the database is taken out in the same transaction.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from nowserving._host.forks import pause_for_forks
from nowserving.stores.sqlite.examining import database, ground, neighbours

if TYPE_CHECKING:
    from nowserving.protocol.examination import Finding

_FORK_WAITS = 2.0
"""Seconds for which a fork waits until the connection is closed."""


class Visit:
    """A look at a database, of which a fork must not copy the connection.

    SQLite keeps a process's locks in memory of the process, and a child would rely on them.

    Attributes:
        breaks_off: Whether a fork waits for its end.
        steady: Held while a connection is open.
    """

    def __init__(self) -> None:
        self.breaks_off = False
        self.steady = threading.Lock()

    def before_fork(self) -> bool:
        """Come to rest; return whether that could be done."""
        self.breaks_off = True
        return self.steady.acquire(timeout=_FORK_WAITS)

    def after_fork(self) -> None:
        """Go on in the parent."""
        self.breaks_off = False
        self.steady.release()


def examine(path: str, timeout: float) -> list[Finding]:
    """Return all that is found.

    Args:
        path: The file.
        timeout: Seconds within which the store wants its calls answered.
    """
    real = os.path.realpath(path)
    found = ground.examine(real)
    if any(each.verdict == "broken" for each in found):
        return found
    visit = Visit()
    pause_for_forks(visit)
    with visit.steady:
        looked = database.examine(real, timeout, visit)
    found += looked.findings
    return found + neighbours.examine(f"{real}-peers", looked.processes)
