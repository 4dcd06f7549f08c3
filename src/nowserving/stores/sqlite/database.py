"""One connection to the database; to be used by one thread at a time.

* ``journal_mode = WAL``: whoever reads (an operator's ``sqlite3``, a backup) waits for nobody.
* ``synchronous = NORMAL``: a commit does not wait for the disk. The end of a process, however
  sudden, loses nothing. A power cut may lose the last commits, never a part of one. What is lost
  then are tickets of processes that are gone as well, and messages that were just done. Fencing
  tokens grow all the same: they are drawn from the clock, which has gone on.
* ``timeout = 0``: SQLite would sleep for up to 0.1 s at a time while somebody else writes, and
  could not be told to stop. ``worker.py`` waits by itself.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from nowserving.errors import StoreUnavailable
from nowserving.stores.sqlite import mounts, schema
from nowserving.stores.sqlite.statements import load_statements

if TYPE_CHECKING:
    from collections.abc import Sequence

_CHECKPOINT = 2000
"""Pages (of 4 kB) in the write-ahead log before they are moved to the database."""


class Database:
    """A connection, opened and checked; nothing is written before :meth:`set_up`.

    Args:
        path: The file, without symbolic links in its path.

    Raises:
        StoreUnavailable: If there can be no database.
        CorruptLock: If something else stands there.
        IncompatibleRecord: If a newer nowserving has made it.
        sqlite3.Error: If it can't be opened for another reason.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.is_set_up = False
        self._seen: int | None = None
        self._statements = load_statements()
        _check_ground(path)
        mode = "rw" if os.path.exists(path) else "rwc"  # noqa: PTH110 - hot once a connection
        self._connection = sqlite3.connect(
            f"file:{quote(os.fsencode(path))}?mode={mode}",
            uri=True,
            timeout=0.0,
            isolation_level=None,
            check_same_thread=False,  # before a fork another thread closes it
            cached_statements=128,
        )
        try:
            schema.check(self._connection, path)
            self._file = _file_at(path)
            self._cursor = self._connection.cursor()  # one for all: they are used up at once
        except BaseException:
            self._connection.close()
            raise

    def set_up(self) -> None:
        """Make the tables where there are none, and migrate older ones."""
        ((mode,),) = self._connection.execute("PRAGMA journal_mode = WAL").fetchall()
        if mode != "wal":
            raise StoreUnavailable(
                f"SQLite can't share {self.path} between processes where it is (journal mode "
                f"{mode!r} instead of 'wal'): put it on a local disk, not on a network file system."
            )
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT}")
        if schema.check(self._connection, self.path) < schema.PROTOCOL:
            schema.migrate(self._connection, self.path)
        self.is_set_up = True

    def is_in_place(self) -> bool:
        """Return whether the file still stands at its path: it may be deleted or replaced."""
        return _file_at(self.path) == self._file

    # Transactions

    def begin(self) -> bool:
        """Begin to write, if nobody else does.

        Returns:
            Whether the database is as this connection has left it.

        Raises:
            sqlite3.OperationalError: If somebody else writes (see :func:`is_busy`).
            IncompatibleRecord: If a newer nowserving has migrated the database meanwhile.
        """
        cursor = self._cursor
        cursor.execute("BEGIN IMMEDIATE")
        ((seen,),) = cursor.execute("PRAGMA data_version").fetchall()
        if seen == self._seen:  # no other connection has committed anything
            return True
        ((version,),) = cursor.execute("PRAGMA user_version").fetchall()
        if version != schema.PROTOCOL:
            self.roll_back()
            raise schema.newer(self.path, version)
        self._seen = seen
        return False

    def commit(self) -> None:
        """Make what was written last."""
        self._cursor.execute("COMMIT")

    def roll_back(self) -> None:
        """Undo what was written; some errors have done so already."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def execute(self, name: str, *values: Any) -> list[Any]:  # noqa: ANN401 - as SQLite takes them
        """Execute a statement of the ``sql`` folder, and return all its rows."""
        cursor = self._cursor
        cursor.execute(self._statements[name], values)
        return cursor.fetchall()

    def write(self, name: str, *values: Any) -> None:  # noqa: ANN401 - as SQLite takes them
        """Execute a statement that returns nothing."""
        self._cursor.execute(self._statements[name], values)

    def execute_many(self, name: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Execute a statement for each of many rows."""
        self._connection.executemany(self._statements[name], rows)

    def make_room(self) -> None:
        """Move the write-ahead log to the database, so that its space is used again."""
        with suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()

    def close(self) -> None:
        """Close it. The last of all processes moves the log to the database."""
        self._cursor.close()  # its last statement would keep the file open
        self._connection.close()


def is_busy(error: sqlite3.Error) -> bool:
    """Return whether somebody else writes, or is about to close the database."""
    return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)


def is_full(error: sqlite3.Error) -> bool:
    """Return whether there is no room to write."""
    return "is full" in str(error)


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether what the file holds makes no sense."""
    return type(error) is sqlite3.DatabaseError


def _file_at(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - at each transaction
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _check_ground(path: str) -> None:
    """Say what keeps a database from being there, before SQLite says so in fewer words."""
    folder = os.path.dirname(path)  # noqa: PTH120
    if not os.path.isdir(folder):  # noqa: PTH112
        raise StoreUnavailable(
            f"The folder {folder} of the SQLite lock store does not exist. Make it; the "
            "file is made by the store."
        )
    network = mounts.network_kind(folder)
    if network is not None:
        raise StoreUnavailable(
            f"The folder {folder} is on a network file system ({network}), where SQLite can't "
            "share its log. Put the file on a local disk; for several machines, take Redis."
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StoreUnavailable(
            f"The folder {folder} can't be written by this process: SQLite needs to make files "
            "beside the database."
        )
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        raise StoreUnavailable(f"{path} is no file; the SQLite lock store needs one.")
    if not os.access(path, os.R_OK | os.W_OK):
        raise StoreUnavailable(f"{path} can't be read and written by this process.")
