"""Lines kept in rows: what a SQL store puts below ``nowserving.stores._lines``.

A verb is one transaction: ``BEGIN IMMEDIATE``, read what it needs, decide, write, ``COMMIT``. Each
way to a ticket is one statement over an index, however long the line is. Names are kept as bytes:
SQLite takes any of them, but not every ``str``.
"""

from __future__ import annotations

import itertools
import json
import sqlite3
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from dataclasses import fields as dataclass_fields
from typing import TYPE_CHECKING, Any

from nowserving.lock import Superseded
from nowserving.protocol import names
from nowserving.stores._lines import Absorbing, Tokens, Tombstone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from nowserving.protocol.status import TicketStatus
    from nowserving.stores._lines.storage import Handle

_SCHEMA = """
CREATE TABLE IF NOT EXISTS lines (
  name BLOB PRIMARY KEY, next INTEGER, serving INTEGER, token INTEGER, predecessor TEXT,
  superseded_below INTEGER, settles_until REAL, burst_since REAL, opened INTEGER, kept_until REAL,
  absorbing TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS lines_by_end ON lines (kept_until);
CREATE TABLE IF NOT EXISTS tickets (
  name BLOB, number INTEGER, owner TEXT, expires REAL, lifetime REAL, claimed INTEGER,
  renewed INTEGER, served_at REAL, joined REAL, interrupted INTEGER, absorbed_by INTEGER,
  message_id BLOB, label BLOB, remember_for REAL, answers TEXT,
  PRIMARY KEY (name, number)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tickets_by_owner ON tickets (name, owner, number);
CREATE INDEX IF NOT EXISTS tickets_by_message ON tickets (name, message_id, number);
CREATE TABLE IF NOT EXISTS done (
  name BLOB, message_id BLOB, until REAL, PRIMARY KEY (name, message_id)
);
CREATE INDEX IF NOT EXISTS done_by_end ON done (name, until);
CREATE TABLE IF NOT EXISTS tombstones (
  name BLOB, owner TEXT, number INTEGER, why TEXT, until REAL, PRIMARY KEY (name, owner)
);
CREATE INDEX IF NOT EXISTS tombstones_by_end ON tombstones (name, until);
"""

_NEW_LINE = (0, 0, 0, "none", 0, 0.0, 0.0, False, 0.0, None)
_COLUMNS = (
    "number, owner, expires, lifetime, claimed, renewed, served_at, joined, interrupted,"
    " absorbed_by, message_id, label, remember_for, answers"
)
_A_FEW = 16


@dataclass
class RowTicket:
    """A ticket as it stands in its row, in the order of the columns."""

    number: int = -1
    owner: str = ""
    expires: float = 0.0
    lifetime: float = 0.0
    claimed: bool = True
    renewed: bool = False
    served_at: float | None = None
    joined: float = 0.0
    interrupted: bool = False
    absorbed_by: int = -1
    message_id: str | None = None
    label: str | None = None
    remember_for: float | None = None
    answers: Superseded | None = None


class Rows:
    """A database, to be used on the thread that opens it; makes its schema.

    Args:
        tokens: Where fencing tokens come from.
        late: For how many seconds an attempt of a take can be late.
        path: Its file; in memory by default.
        timeout: Seconds to wait while another process writes.

    Attributes:
        statements: How many were executed since :meth:`step` was entered last.
    """

    def __init__(
        self, tokens: Tokens, late: float = 10.0, path: str = ":memory:", timeout: float = 5.0
    ) -> None:
        self.tokens = tokens
        self.late = late
        self.statements = 0
        self._connection = sqlite3.connect(path, timeout=timeout, isolation_level=None)
        # Readers do not wait for whoever writes, and a commit does not wait for the disk.
        self._connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL")
        self._connection.executescript(_SCHEMA)

    def execute(self, statement: str, *values: Any) -> list[Any]:
        """Execute a statement, and return all its rows."""
        self.statements += 1
        return self._connection.execute(statement, values).fetchall()

    def execute_many(self, statement: str, rows: list[tuple[Any, ...]]) -> None:
        """Execute a statement for each of many rows."""
        self.statements += 1
        self._connection.executemany(statement, rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make one transaction of all steps in it: they are done together, or not at all."""
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # some errors have ended it already
                self.execute("ROLLBACK")
            raise

    @contextmanager
    def step(self, name: str, *, create: bool = False) -> Iterator[RowLine | None]:
        """Give a verb the line of a conversation, in a transaction of its own if there is none.

        Args:
            name: The conversation.
            create: Make the record that is not there; else None is given.
        """
        self.statements = 0
        with nullcontext() if self._connection.in_transaction else self.transaction():
            key = names.encode(name)
            found = self.execute("SELECT * FROM lines WHERE name = ?", key)
            line = RowLine(self, key, *found[0][1:]) if found else None
            if create and line is None:
                line = RowLine(self, key, *_NEW_LINE)
            yield line
            if line is not None:
                line.write()

    @contextmanager
    def counting(self) -> Iterator[Callable[[], int]]:
        """Count instructions of SQLite."""
        counter = itertools.count()
        self._connection.set_progress_handler(lambda: next(counter) < 0, 1)
        yield lambda: next(counter)
        self._connection.set_progress_handler(None, 1)

    def names(self) -> list[str]:
        """Return the names of all lines."""
        return [names.decode(name) for (name,) in self.execute("SELECT name FROM lines")]

    def sweep(self, now: float) -> None:
        """Drop the records whose time is over; to be called now and then."""
        for table in ("tickets", "done", "tombstones"):
            self.execute(
                f"DELETE FROM {table} WHERE name IN "  # noqa: S608 - one of these three
                "(SELECT name FROM lines WHERE kept_until <= ?)",
                now,
            )
        self.execute("DELETE FROM lines WHERE kept_until <= ?", now)

    def forget_lines(self) -> None:
        """Drop every record, but not what is remembered of messages."""
        self.execute("DELETE FROM lines")
        self.execute("DELETE FROM tickets")
        self.execute("DELETE FROM tombstones")

    def close(self) -> None:
        self._connection.close()


class RowLine:
    """One conversation's rows during one verb; an ``AttemptStorage``."""

    def __init__(
        self,
        rows: Rows,
        name: bytes,
        next_: int,
        serving: int,
        token: int,
        predecessor: str,
        superseded_below: int,
        settles_until: float,
        burst_since: float,
        opened: bool,  # noqa: FBT001 - a column like the others
        kept_until: float,
        absorbing: str | None,
    ) -> None:
        self._rows = rows
        self._name = name
        self.next = next_
        self.serving = serving
        self.token = token
        self.tokens = rows.tokens
        self.predecessor = predecessor
        self.superseded_below = superseded_below
        self.settles_until = settles_until
        self.burst_since = burst_since
        self.opened = bool(opened)
        self.kept_until = kept_until
        self.absorbing = None if absorbing is None else Absorbing(*json.loads(absorbing))
        self.mail: list[tuple[RowTicket, TicketStatus]] = []

    def write(self) -> None:
        """Write the fields. Tickets and all else are written when they change."""
        fields = self.next, self.serving, self.token, self.predecessor, self.superseded_below
        self._rows.execute(
            "REPLACE INTO lines VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *(self._name, *fields, self.settles_until, self.burst_since),
            *(self.opened, self.kept_until),
            None if self.absorbing is None else json.dumps(self.absorbing),
        )

    # Tickets

    def _tickets(self, where: str, *values: Any, by: str = "") -> list[RowTicket]:
        # Without statistics SQLite takes the primary key for as good as an index, and reads a line.
        indexed = by and f"INDEXED BY tickets_by_{by}"
        select = f"SELECT {_COLUMNS} FROM tickets {indexed} WHERE name = ? AND {where}"  # noqa: S608
        return [_read(row) for row in self._rows.execute(select, self._name, *values)]

    def _first(self, where: str, *values: Any, by: str = "") -> RowTicket | None:
        found = self._tickets(f"{where} LIMIT 1", *values, by=by)
        return found[0] if found else None

    def ticket(self, number: int) -> RowTicket | None:
        return self._first("number = ?", number)

    def find(self, owner: str) -> RowTicket | None:
        return self._first("owner = ? ORDER BY number DESC", owner, by="owner")

    def why_removed(self, handle: Handle, now: float) -> str:
        found = self._rows.execute(
            "SELECT why FROM tombstones WHERE name = ? AND owner = ? AND until > ?",
            *(self._name, handle.owner, now),
        )
        return str(found[0][0]) if found else ""

    def note_removed(self, tickets: Sequence[RowTicket], why: str, now: float) -> None:
        self._forget("tombstones", now)
        until = now + self._rows.late
        self._rows.execute_many(
            "REPLACE INTO tombstones VALUES (?, ?, ?, ?, ?)",
            [(self._name, ticket.owner, ticket.number, why, until) for ticket in tickets],
        )
        if tickets:
            self.keep(until)

    def between(self, first: int, last: int) -> list[RowTicket]:
        return self._tickets("number BETWEEN ? AND ? ORDER BY number", first, last)

    def next_live(self, now: float) -> RowTicket | None:
        found = self._first("number > ? AND expires > ? ORDER BY number", self.serving, now)
        self._rows.execute(
            "DELETE FROM tickets WHERE name = ? AND number > ? AND number < ?",
            *(self._name, self.serving, self.next if found is None else found.number),
        )
        return found

    def has_waiting(self, count: int, now: float) -> bool:
        (found,) = self._rows.execute(
            "SELECT count(*) FROM (SELECT 1 FROM tickets"
            " WHERE name = ? AND number >= ? AND served_at IS NULL AND expires > ? LIMIT ?)",
            *(self._name, self.serving, now, count),
        )
        return bool(found[0] >= count)

    def put(self, ticket: RowTicket) -> None:
        self._rows.execute(
            "REPLACE INTO tickets VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *(self._name, *_fields(ticket)),
        )
        self.keep(ticket.expires + ticket.lifetime)

    def remove(self, ticket: RowTicket) -> None:
        self._rows.execute(
            "DELETE FROM tickets WHERE name = ? AND number = ?", self._name, ticket.number
        )

    def remove_from(self, number: int) -> list[RowTicket]:
        removed = self._tickets("number >= ? ORDER BY number", number)
        self._rows.execute("DELETE FROM tickets WHERE name = ? AND number >= ?", self._name, number)
        return removed

    # Messages

    def of_message(self, message_id: str, now: float) -> RowTicket | None:
        where = "message_id = ? AND expires > ?"
        return self._first(where, names.encode(message_id), now, by="message")

    def remember(self, message_id: str, until: float) -> None:
        message = names.encode(message_id)
        self._rows.execute("REPLACE INTO done VALUES (?, ?, ?)", self._name, message, until)
        self.keep(until)

    def remembers(self, message_id: str, now: float) -> bool:
        self._forget("done", now)
        where = "name = ? AND message_id = ? AND until > ?"
        select = f"SELECT 1 FROM done WHERE {where}"  # noqa: S608 - ours
        return bool(self._rows.execute(select, self._name, names.encode(message_id), now))

    # Attempts that come late

    def tombstone(self, owner: str) -> Tombstone | None:
        found = self._rows.execute(
            "SELECT number, why FROM tombstones WHERE name = ? AND owner = ?",
            *(self._name, owner),
        )
        return Tombstone(*found[0]) if found else None

    def bury(self, owner: str, tombstone: Tombstone, now: float) -> None:
        self._forget("tombstones", now)
        until = now + self._rows.late
        self._rows.execute(
            "REPLACE INTO tombstones VALUES (?, ?, ?, ?, ?)",
            *(self._name, owner, *tombstone, until),
        )
        self.keep(until)

    # The record

    def keep(self, until: float) -> None:
        self.kept_until = max(self.kept_until, until)

    def _forget(self, table: str, now: float) -> None:
        self._rows.execute(
            f"DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table}"  # noqa: S608 - ours
            " WHERE name = ? AND until <= ? ORDER BY until LIMIT ?)",
            *(self._name, now, _A_FEW),
        )


def _read(row: Any) -> RowTicket:
    ticket = RowTicket(*row)
    ticket.claimed, ticket.renewed = bool(ticket.claimed), bool(ticket.renewed)
    ticket.interrupted = bool(ticket.interrupted)
    *_, message_id, label, _, answers = row
    ticket.message_id, ticket.label = _decoded(message_id), _decoded(label)
    if answers is not None:
        count, *messages = json.loads(answers)
        ticket.answers = Superseded(messages, count)
    return ticket


def _fields(ticket: RowTicket) -> list[Any]:
    fields = [getattr(ticket, field.name) for field in dataclass_fields(ticket)]
    answers = ticket.answers
    told = None if answers is None else json.dumps([answers.count, *answers])
    names_ = (_encoded(ticket.message_id), _encoded(ticket.label))
    return [*fields[:-4], *names_, ticket.remember_for, told]


def _encoded(text: str | None) -> bytes | None:
    return None if text is None else names.encode(text)


def _decoded(stored: bytes | None) -> str | None:
    return None if stored is None else names.decode(stored)
