"""What happened, in tables of their own: they are made with the first event that is written.

A database without them is as it was, so they are no part of the protocol: an older process that
uses the same file passes over them.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from nowserving.protocol import names
from nowserving.protocol.history import Page, dumps, loads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nowserving.protocol.history import HistoryEvent, HistoryOptions
    from nowserving.stores.sqlite.database import Database
    from nowserving.stores.sqlite.verbs import Verbs
    from nowserving.stores.sqlite.worker import Worker

_SWEPT_AT_ONCE = 1000
"""Rows that are looked at with each batch because they may be too old: more than it brings."""


class SQLiteHistory:
    """Events in the database of a store.

    Args:
        worker: The thread that has it.
        options: How much is kept; None for nothing.

    Attributes:
        options: The same.
    """

    put = None

    def __init__(self, worker: Worker, options: HistoryOptions | None) -> None:
        self.options = options
        self._worker = worker

    async def append(self, events: Sequence[HistoryEvent]) -> None:
        """Write events in one transaction, in which the oldest ones go."""
        options = self.options
        if options is None or not events:
            return
        rows = [(names.encode(e.conversation_id), e.at, dumps(e)) for e in events]
        await self._worker.ask(lambda verbs: verbs.events().add(rows, options)).answer()

    async def last(
        self, conversation_id: str | None, since: float, limit: int
    ) -> list[HistoryEvent]:
        """Return the last events, oldest first."""
        name = None if conversation_id is None else names.encode(conversation_id)
        step = partial(_last, name=name, since=since, limit=limit)
        found = (loads(text) for text in await self._worker.ask(step).answer())
        return [event for event in found if event is not None]

    async def page(self, conversation_id: str | None, behind: str | None, limit: int) -> Page:
        """Return what was written behind a cursor."""
        name = None if conversation_id is None else names.encode(conversation_id)
        after = None if behind is None else int(behind)
        step = partial(_page, name=name, behind=after, limit=limit)
        rows, cursor = await self._worker.ask(step).answer()
        found = (loads(text) for text in rows)
        return Page([event for event in found if event is not None], str(cursor))


def _last(verbs: Verbs, name: bytes | None, since: float, limit: int) -> list[str]:
    return verbs.events().last(name, since, limit)


def _page(
    verbs: Verbs, name: bytes | None, behind: int | None, limit: int
) -> tuple[list[str], int]:
    return verbs.events().page(name, behind, limit)


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
