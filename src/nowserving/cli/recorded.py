"""What the commands about a history share: reading it, and saying that there is none."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from pathlib import Path

    from nowserving import HistoryEvent, LockStore

NOT_RECORDED = (
    "nothing is recorded in this store. Where the bot makes its store, give it a history, and take "
    "a turn: history=200 as an argument or as a key of endpoints.yml, or ?history=200 in its URL "
    "(docs/history.md)."
)

MOST = 1_000_000
"""Events that a command reads: as many as a store may keep."""


async def read(
    store: LockStore, conversation_id: str | None, endpoints: Path | None
) -> list[HistoryEvent]:
    """Return the history of a conversation, or all of it.

    Args:
        store: The store.
        conversation_id: The conversation; None for all of them.
        endpoints: Whether the store was named by a file, for the error.

    Raises:
        typer.BadParameter: If nothing is recorded at all.
    """
    found = await store.events(conversation_id, limit=MOST)
    if not found and not (conversation_id and await store.events(limit=1)):
        raise nothing(endpoints)
    return found


def nothing(endpoints: Path | None) -> typer.BadParameter:
    """Return the error for a store in which nothing is recorded."""
    hint = "--store" if endpoints is None else "--endpoints"
    return typer.BadParameter(NOT_RECORDED, param_hint=hint)


def clock(moment: float, *, milliseconds: bool = False) -> str:
    """Return a moment as a time of day, here."""
    here = datetime.fromtimestamp(moment, timezone.utc).astimezone()
    return here.isoformat(sep=" ", timespec="milliseconds" if milliseconds else "seconds")[11:-6]
