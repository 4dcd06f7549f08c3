"""What happened, in tables beside those of the lines (``events.py``)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from nowserving.protocol import names
from nowserving.protocol.history import Page, dumps, loads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nowserving.protocol.history import HistoryEvent, HistoryOptions
    from nowserving.stores.sqlite.verbs import Verbs
    from nowserving.stores.sqlite.worker import Worker


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
