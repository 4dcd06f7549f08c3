"""What the page shows, asked of the store: the only place that knows the store's verbs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from nowserving.dashboard.recorded import MOST_EVENTS, Recorded
from nowserving.dashboard.turns import Sightings
from nowserving.errors import LockError, StoreClosed, StoreUnavailable

if TYPE_CHECKING:
    from nowserving import HistoryEvent, LineTicket, LockStore

LONGEST = 200
"""How many lines are sent: those in which somebody has waited for longest, as they are sorted."""

MOST_WAITING = 200
"""How many of one line's waiters are shown."""

Json = dict[str, Any]


class Source:
    """A store, as far as the page needs it.

    Args:
        store: The store; it stays its owner's to close.
    """

    def __init__(self, store: LockStore) -> None:
        self._store = store

    async def survey(self) -> Json:
        """Ask who holds and who waits, all over the store."""
        survey = await self._store.survey(longest=LONGEST, order="oldest_wait")
        now = time.time()
        return {
            "conversations": survey.conversations,
            "held": survey.held,
            "waiting": survey.waiting,
            "oldest_wait": survey.oldest_wait,
            "lines": [
                {
                    "id": line.conversation_id,
                    "holder": _ticket(line.holder, now),
                    "waiting": line.waiting,
                    "oldest_wait": line.oldest_wait,
                }
                for line in survey.lines
            ],
            "processes": [vars(process) for process in survey.processes],
            "unreadable": survey.unreadable,
        }

    def of(self, conversation_id: str) -> Watched:
        """Return one conversation, to be looked at again and again."""
        return Watched(self._store, conversation_id)

    async def release(self, conversation_id: str, number: int, reason: str) -> bool:
        """Take this very ticket out of its line, and return whether it was in it."""
        return await self._store.release(conversation_id, number, reason)


class Watched:
    """One conversation: its line, and what has become of its turns.

    Args:
        store: The store.
        conversation_id: The conversation.
    """

    def __init__(self, store: LockStore, conversation_id: str) -> None:
        self._store = store
        self._id = conversation_id
        self._seen = Sightings()
        self._has_history = True

    async def look(self) -> Json:
        """Ask who holds and who waits, and what happened lately."""
        line = await self._store.inspect(self._id)
        events = await self._events()
        now = time.time()
        holder = None if line is None else line.holder
        waiting = () if line is None else line.waiting
        self._seen.see(holder, waiting, now)
        in_line = {ticket.number for ticket in (holder, *waiting) if ticket is not None}
        recorded = Recorded(events, in_line, now)
        return {
            "holder": _ticket(holder, now),
            "waiting": [_ticket(ticket, now) for ticket in waiting[:MOST_WAITING]],
            "more": max(0, len(waiting) - MOST_WAITING),
            "turns": [turn.as_json() for turn in self._seen.beside(recorded.turns())],
            "events": recorded.shown(),
            "why": recorded.waits(),
        }

    async def _events(self) -> list[HistoryEvent]:
        if not self._has_history:
            return []
        try:
            return await self._store.events(self._id, limit=MOST_EVENTS)
        except (StoreUnavailable, StoreClosed):
            raise
        except LockError:  # a store that can keep none
            self._has_history = False
            return []


def _ticket(ticket: LineTicket | None, now: float) -> Json | None:
    if ticket is None:
        return None
    return {
        "number": ticket.number,
        "label": ticket.label,
        "message_id": ticket.message_id,
        "host": ticket.host,
        "pid": ticket.pid,
        "age": None if ticket.since is None else max(0.0, now - ticket.since),
        "expires_in": ticket.expires_in,
        "absorbed": ticket.absorbed,
        "settling": ticket.settling,
    }
