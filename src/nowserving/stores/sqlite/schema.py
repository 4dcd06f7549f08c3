"""Whose database a file is, and of which version: checked before anything is written to it."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from nowserving.errors import CorruptLock, IncompatibleRecord
from nowserving.stores.sqlite.statements import read

if TYPE_CHECKING:
    from collections.abc import Iterator

APPLICATION_ID = 0x6E6F7773  # "nows"
"""What the header of the file says whose database it is (``PRAGMA application_id``)."""

STEPS = ("schema",)
"""The files that make the tables: each brings a database of the version before it to the next."""

PROTOCOL = len(STEPS)
"""What the rows mean (``PRAGMA user_version``). It grows with every change that an older process
would misread."""


def check(connection: sqlite3.Connection, path: str) -> int:
    """Return the version of a database, 0 of an empty one; only reads.

    Args:
        connection: The database.
        path: Its file, for messages.

    Raises:
        CorruptLock: If it is no database, or somebody else's.
        IncompatibleRecord: If a newer nowserving has made it.
    """
    # In one transaction: another process may be making the tables right now.
    is_in_one = connection.in_transaction
    try:
        if not is_in_one:
            connection.execute("BEGIN")
        ((application_id,),) = connection.execute("PRAGMA application_id").fetchall()
        ((version,),) = connection.execute("PRAGMA user_version").fetchall()
        ((tables,),) = connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        raise _foreign(path, f"is no SQLite database ({error})") from error
    finally:
        if connection.in_transaction and not is_in_one:
            connection.execute("ROLLBACK")
    if application_id == APPLICATION_ID:
        if version > PROTOCOL:
            raise newer(path, version)
        return int(version)
    if application_id or version or tables:
        raise _foreign(path, "is somebody else's SQLite database")
    return 0


def migrate(connection: sqlite3.Connection, path: str) -> None:
    """Bring a database to this version, in one transaction.

    Raises:
        CorruptLock: As :func:`check`.
        IncompatibleRecord: As :func:`check`.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in STEPS[check(connection, path) :]:
            for statement in _statements_of(read(step)):
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {PROTOCOL}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def newer(path: str, version: int) -> IncompatibleRecord:
    """Return the error for a database that a newer nowserving has made."""
    error = IncompatibleRecord(
        f"The SQLite database {path} is of protocol {version}, made by a newer nowserving; this "
        f"one knows protocols up to {PROTOCOL}. Nothing was touched. Upgrade this process, or give "
        "it a file of its own."
    )
    error.key, error.found, error.supported = path, version, PROTOCOL
    return error


def _foreign(path: str, what: str) -> CorruptLock:
    error = CorruptLock(
        f"{path} {what}; nothing was touched. Give the lock store a file of its own."
    )
    error.key = path
    return error


def _statements_of(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
