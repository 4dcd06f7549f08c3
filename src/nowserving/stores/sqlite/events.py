"""The tables of events, in one transaction; they are made with the first event that is written.

A database without them is as it was, so they are no part of the protocol: an older process that
uses the same file passes over them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nowserving.protocol.history import HistoryOptions
    from nowserving.stores.sqlite.database import Database

_SWEPT_AT_ONCE = 1000
"""Rows that are looked at with each batch because they may be too old: more than it brings."""


class EventRows:
    """The tables of events, in one transaction.

    Args:
        database: The database, in that transaction.
        now: The moment.
    """

    def __init__(self, database: Database, now: float) -> None:
        self._database = database
        self._now = now

    def add(self, rows: Sequence[tuple[bytes, float, str]], options: HistoryOptions) -> None:
        """Add events, and take out what is too much or too old.

        Args:
            rows: Of each its conversation, when it was, and its text.
            options: How much is kept.
        """
        database = self._database
        if not self._are_there():
            for statement in ("make_events", "make_events_by_name", "make_stream"):
                database.write(statement)
        database.execute_many("add_event", [row for row in rows if row[0]])
        database.execute_many("add_to_stream", [(at, text) for _, at, text in rows])
        for name in {name for name, _, _ in rows if name}:
            database.write("trim_events", name, name, options.each)
        database.write("trim_stream", options.total)
        oldest = self._now - options.ttl
        database.write("forget_events", oldest, _SWEPT_AT_ONCE)
        database.write("forget_stream", oldest, _SWEPT_AT_ONCE)

    def last(self, name: bytes | None, since: float, limit: int) -> list[str]:
        """Return the texts of the last events, oldest first."""
        if not self._are_there():
            return []
        found: list[Any]
        if name is None:
            found = self._database.execute("last_of_stream", since, limit)
        else:
            found = self._database.execute("last_events", name, since, limit)
        return [text for (text,) in reversed(found)]

    def page(self, name: bytes | None, behind: int | None, limit: int) -> tuple[list[str], int]:
        """Return texts in the order in which they were written, and the cursor behind them."""
        if not self._are_there():
            return [], 0
        of = "events" if name is not None else "stream"
        whose = () if name is None else (name,)
        if behind is None:
            ((last,),) = self._database.execute(f"end_of_{of}")
            return [], last or 0
        rows = self._database.execute(f"{of}_behind", *whose, behind, limit)
        return [text for _, text in rows], rows[-1][0] if rows else behind

    def _are_there(self) -> bool:
        return bool(self._database.execute("has_events"))
