"""What is in the file: whose it is, whether it is sound, and how long it takes to write."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import statistics
import time
from typing import TYPE_CHECKING, NamedTuple, Protocol
from urllib.parse import quote

from nowserving._host.identity import nonce
from nowserving.errors import CorruptLock, IncompatibleRecord
from nowserving.protocol.examination import Finding
from nowserving.stores.sqlite import schema
from nowserving.stores.sqlite.database import is_busy, is_full
from nowserving.stores.sqlite.peers import passed_within
from nowserving.stores.sqlite.statements import load_statements
from nowserving.stores.wording import span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nowserving.protocol.examination import Verdict

_CHECKED_FOR = 2.0
"""Seconds that are given to the check of the file; a large one takes minutes."""

_WRITES = 20
_WAITS = 2.0
"""Seconds that are waited for somebody else who writes."""

_STEPS = 5000
"""Of SQLite's virtual machine, between two looks at the clock."""

_QUICK, _SLOW = 0.01, 0.1
"""Seconds of a commit up to which it is as it should be, and from which it is a warning."""

_FIXED = (((3, 51, 3), (9,)), ((3, 50, 7), (3, 51)), ((3, 44, 6), (3, 45)))
"""From which version, and before which, SQLite's "WAL-reset bug" is mended
(https://sqlite.org/wal.html#walresetbug)."""


class Process(NamedTuple):
    """A process that the database knows.

    Attributes:
        host: Its host.
        pid: Its id.
        address: Of its socket; empty where it has none.
    """

    host: str
    pid: int
    address: bytes


class Looked(NamedTuple):
    """What was found of the database.

    Attributes:
        findings: What was found.
        processes: The processes that it knows, by name.
    """

    findings: list[Finding]
    processes: dict[str, Process]


class Interruptible(Protocol):
    """Somebody who may ask for an early end."""

    breaks_off: bool


def examine(path: str, timeout: float, visit: Interruptible) -> Looked:
    """Return what is found of the database.

    Args:
        path: The file, which exists, without symbolic links in its path.
        timeout: Seconds within which the store wants its calls answered.
        visit: Who may ask for an early end.
    """
    found = [_version()]
    processes: dict[str, Process] = {}
    with contextlib.closing(_connected(path, timeout)) as connection:
        try:
            version = schema.check(connection, path)
            # As the store has it (``database.py``); but the log is moved by those who use it.
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            found.append(_protocol(path, version))
            found += _sound(connection, path, visit)
            if version == schema.PROTOCOL:
                processes = _processes(connection)
                found.append(_writing(connection, path, min(_WAITS, timeout), visit))
        except (CorruptLock, IncompatibleRecord) as error:
            found.append(_foreign(path, error))
        except sqlite3.Error as error:
            found.append(_failed(path, error))
    return Looked(found, processes)


def _connected(path: str, timeout: float) -> sqlite3.Connection:
    return sqlite3.connect(
        f"file:{quote(os.fsencode(path))}?mode=rw",  # not "rwc": nothing is made here
        uri=True,
        timeout=min(_WAITS, timeout),
        isolation_level=None,
    )


def _version() -> Finding:
    found = sqlite3.sqlite_version
    version = sqlite3.sqlite_version_info
    if any(first <= version < behind for first, behind in _FIXED):
        return Finding("version", "SQLite", "fine", found, "It has all that is needed.")
    return Finding(
        "version",
        "SQLite",
        "note",
        found,
        "By its number it has the WAL-reset bug: two connections that write and move the log in "
        "the same instant can damage a file. Processes of nowserving write one after the other "
        "(the turnstile), so it takes another program that writes there as well.",
        "Let no other program write to the file. SQLite 3.51.3 has it mended; a distribution may "
        "have mended an older one.",
    )


def _protocol(path: str, version: int) -> Finding:
    if not version:
        return Finding(
            "protocol",
            path,
            "note",
            "the file is empty",
            "The first lock makes the tables.",
        )
    if version < schema.PROTOCOL:
        return Finding(
            "protocol",
            path,
            "note",
            f"{version}, and this nowserving has {schema.PROTOCOL}",
            "The first lock of this version migrates it; processes of the older one are refused "
            "from then on (IncompatibleRecord).",
            "Stop the older processes before you start new ones (docs/upgrading.md).",
        )
    return Finding(
        "protocol", path, "fine", f"{version}, as this nowserving has it", "It is read as it is."
    )


def _foreign(path: str, error: CorruptLock | IncompatibleRecord) -> Finding:
    return Finding(
        "protocol",
        path,
        "broken",
        str(error),
        "No turn can be taken there. Nothing was touched.",
        "Upgrade this process, or give it a file of its own."
        if isinstance(error, IncompatibleRecord)
        else "Give the lock store a file of its own.",
    )


def _failed(path: str, error: sqlite3.Error) -> Finding:
    return Finding(
        "database",
        path,
        "broken",
        f"SQLite can't use it: {error}",
        "No turn can be taken: calls raise StoreUnavailable or CorruptLock.",
        "If it is damaged, move it away with its -wal and -shm: a new one is made.",
    )


def _sound(connection: sqlite3.Connection, path: str, visit: Interruptible) -> Iterator[Finding]:
    ((mode,),) = connection.execute("PRAGMA journal_mode").fetchall()
    if mode != "wal":
        yield Finding(
            "log",
            path,
            "note",
            f"journal mode {mode!r}, not 'wal'",
            "Another program has set it, or no lock was taken yet. The store sets it when it opens "
            "the file.",
        )
    end = time.monotonic() + _CHECKED_FOR
    connection.set_progress_handler(lambda: visit.breaks_off or time.monotonic() > end, _STEPS)
    try:
        rows = connection.execute("PRAGMA quick_check(1)").fetchall()
    except sqlite3.OperationalError as error:
        if "interrupted" not in str(error):
            raise
        rows = []
    finally:
        connection.set_progress_handler(None, 0)
    yield _checked(path, [str(row[0]) for row in rows])


def _checked(path: str, said: list[str]) -> Finding:
    if not said:
        return Finding(
            "integrity",
            path,
            "note",
            f"not told: the check was not through after {span(_CHECKED_FOR)}",
            "A damaged file raises CorruptLock at the call that meets the damage.",
            f"sqlite3 {path} 'PRAGMA quick_check' looks at all of it, and holds nobody up.",
        )
    if said == ["ok"]:
        return Finding("integrity", path, "fine", "ok (quick_check)", "Nothing of it is damaged.")
    return Finding(
        "integrity",
        path,
        "broken",
        f"damaged: {said[0]}",
        "Calls that meet the damage raise CorruptLock.",
        "Stop the bot, move the file away with its -wal and -shm, and start it: a new one is made.",
    )


def _processes(connection: sqlite3.Connection) -> dict[str, Process]:
    rows = connection.execute("SELECT name, host, pid, address FROM processes").fetchall()
    return {name: Process(host, pid, bytes(address)) for name, host, pid, address in rows}


def _writing(
    connection: sqlite3.Connection, path: str, limit: float, visit: Interruptible
) -> Finding:
    """Write and take out again, each time in one transaction that really is committed."""
    statements, name = load_statements(), f"doctor-{nonce()}"
    times: list[float] = []
    try:
        for _ in range(_WRITES):
            began = time.perf_counter()
            with passed_within(f"{path}-peers", limit):
                connection.execute("BEGIN IMMEDIATE")
                connection.execute(statements["add_process"], (name, "", 0, 0, b""))
                connection.execute(statements["drop_process"], (name,))
                connection.execute("COMMIT")
            times.append(time.perf_counter() - began)
            if visit.breaks_off or sum(times) > limit:
                break
    except sqlite3.OperationalError as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if not is_busy(error) and not is_full(error):
            raise
        return _held_up(path, limit) if is_busy(error) else _no_room(path)
    return _took(path, times)


def _held_up(path: str, limit: float) -> Finding:
    return Finding(
        "writing",
        path,
        "broken",
        f"somebody else has been writing for longer than {span(limit)}",
        "All calls wait for it, and raise StoreUnavailable after busy_timeout.",
        f"End what has a transaction open (an sqlite3 shell?): `fuser {path}` shows who has the "
        "file open. A process that is stopped (SIGSTOP) in a transaction is continued or killed.",
    )


def _no_room(path: str) -> Finding:
    return Finding(
        "writing",
        path,
        "broken",
        "the disk is full",
        "New tickets raise StoreUnavailable.",
        "Make room.",
    )


def _took(path: str, times: list[float]) -> Finding:
    median, worst = statistics.median(times), max(times)
    verdict: Verdict = "fine"
    remedy = ""
    if median > _QUICK:
        verdict = "warning" if median > _SLOW else "note"
        remedy = "Put the file on a quicker disk, or see what else writes to it."
    return Finding(
        "writing",
        path,
        verdict,
        f"median {span(median)}, worst {span(worst)} of {len(times)} transactions",
        "A turn costs two of them at the most, and all of this machine stand in one line.",
        remedy,
        {"median_seconds": round(median, 6), "worst_seconds": round(worst, 6)},
    )
