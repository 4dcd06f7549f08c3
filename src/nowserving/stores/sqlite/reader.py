"""Looks over all lines beside the worker: short transactions that only read, on other threads.

Whoever reads in WAL mode waits for nobody, and nobody waits for him. So a survey is no job of the
worker's, where every turn would stand behind it. Its pages are read one after another, each over a
connection of its own that is closed behind it: between two of them nothing is open that a fork
could inherit, and during one a fork waits (``access.py`` says why it must).
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import time
from contextlib import closing
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from nowserving._host.forks import on_fork, pause_for_forks
from nowserving.errors import CorruptLock, LockError, StoreUnavailable
from nowserving.protocol import names
from nowserving.protocol.survey import together
from nowserving.stores import _lines
from nowserving.stores.sqlite import schema
from nowserving.stores.sqlite.database import is_damage
from nowserving.stores.sqlite.statements import load_statements
from nowserving.stores.sqlite.ticket import read_ticket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from nowserving.protocol.survey import LineSight

    Row = tuple[Any, ...]

_PAGE = 250
"""Tickets in one transaction, which then takes a millisecond or two. Between two of them the loop's
own thread has its turn: it would wait for Python's lock while a longer one is read."""

_BUSY = 0.5
"""Seconds to wait for whoever recovers the log of a process that was killed."""

_LINE_COLUMNS = 4
"""How many of a row's are the line's."""

_FORK_WAITS = 2.0
"""Seconds for which a fork waits for the end of a page."""

_BEGINNING = (0, -1)


class _Page(NamedTuple):
    """Some tickets, and behind which one the next page begins; None where there are no more."""

    parts: list[tuple[int, LineSight | None]]
    behind: tuple[int, int] | None


class Reader:
    """Reads the lines of one database; on whichever thread.

    Args:
        path: The file.
        timeout: Seconds within which a page is read.
    """

    def __init__(self, path: str, timeout: float) -> None:
        self._path = path
        self._timeout = timeout
        self._steady = threading.Lock()  # held while a connection is open
        on_fork(self)
        pause_for_forks(self)

    async def survey(self, see: Callable[[LineSight], None]) -> None:
        """Tell every line in use of a database that is there, and ours.

        Args:
            see: Called with each line, on the caller's loop.

        Raises:
            StoreUnavailable: If it can't be read.
            CorruptLock: If it is damaged.
            IncompatibleRecord: If a newer nowserving has migrated it.
        """
        behind: tuple[int, int] | None = _BEGINNING
        last: int | None = None
        line: LineSight | None = None  # may go on in the next page
        while behind is not None:
            page = await self._page_within(behind)
            for number, part in page.parts:
                if number != last and line is not None:
                    see(line)
                line = together(line, part) if number == last else part
                last = number
            behind = page.behind
        if line is not None:
            see(line)

    async def _page_within(self, behind: tuple[int, int]) -> _Page:
        reading = asyncio.get_running_loop().run_in_executor(None, self._page, behind)
        try:
            # Not `wait_for`: up to Python 3.11 that may swallow a cancellation that comes with the
            # answer.
            await asyncio.wait({reading}, timeout=self._timeout)
        finally:
            reading.cancel()
        if reading.cancelled():
            raise StoreUnavailable(
                f"SQLite at {self._path} could not be read within {self._timeout:g} s."
            )
        try:
            return reading.result()
        except sqlite3.Error as error:
            raise self._told(error) from error

    def _told(self, error: sqlite3.Error) -> LockError:
        if is_damage(error):
            return CorruptLock(f"{self._path} is damaged ({error}).")
        return StoreUnavailable(f"SQLite at {self._path} can't be read: {error}")

    # On another thread

    def _page(self, behind: tuple[int, int]) -> _Page:
        with self._steady, closing(self._open()) as connection:
            connection.execute("BEGIN")
            ((version,),) = connection.execute("PRAGMA user_version").fetchall()
            if version != schema.PROTOCOL:
                raise schema.newer(self._path, version)
            statement = load_statements()["list_tickets"]
            rows = connection.execute(statement, (*behind, _PAGE)).fetchall()
        ends = len(rows) < _PAGE
        return _Page(list(_parts(rows, time.time())), None if ends else _place(rows[-1]))

    def _open(self) -> sqlite3.Connection:
        path = quote(os.fsencode(os.path.realpath(self._path)))
        connection = sqlite3.connect(f"file:{path}?mode=rw", uri=True, timeout=_BUSY)
        connection.isolation_level = None
        connection.execute("PRAGMA query_only = 1")
        return connection

    # Around a fork, on the thread that forks

    def before_fork(self) -> bool:
        """Wait for the end of a page."""
        return self._steady.acquire(timeout=_FORK_WAITS)

    def after_fork(self) -> None:
        """Go on in the parent."""
        self._steady.release()

    def forked(self) -> None:
        """Begin anew in a child."""
        self._steady = threading.Lock()


def _place(row: Row) -> tuple[int, int]:
    return row[0], row[_LINE_COLUMNS]


def _parts(rows: Iterable[Row], now: float) -> Iterable[tuple[int, LineSight | None]]:
    """Return what is seen of each line of a page, by its id."""
    for (number, name, serving, written), of_line in groupby(rows, lambda row: row[:_LINE_COLUMNS]):
        # Written in the future, the clock was set back, and all moments are as far off.
        tickets = [read_ticket(row[_LINE_COLUMNS:]) for row in of_line]
        yield number, _lines.sight(names.decode(name), serving, tickets, max(now, written))
