"""An observer that holds what it is told against the law of turn events."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from nowserving.instrumentation.observer import AllEvents

if TYPE_CHECKING:
    from nowserving.instrumentation.observer import EventKind, TicketEvent

ENDS = frozenset({"left", "refused", "superseded", "absorbed", "released"})

AFTER: dict[str, frozenset[str]] = {
    "": frozenset({"asked"}),
    "asked": frozenset({"waiting", "served", *ENDS}),
    "waiting": frozenset({"served", *ENDS} - {"refused"}),
    "served": frozenset({"lost", "left"}),
    "lost": frozenset({"left"}),
}
"""What may come after what; nothing after an end."""


class TurnLog(AllEvents):
    """Notes every event of every turn, in the order in which they were told.

    Attributes:
        turns: By turn its events, each with its kind.
        issued: What was refused although no turn was asked for yet: tickets to be redeemed later.
    """

    def __init__(self) -> None:
        self.turns: dict[int, list[tuple[EventKind, TicketEvent]]] = {}
        self.issued: list[TicketEvent] = []
        self._mutex = threading.RLock()

    def kinds(self, conversation_id: str) -> list[list[EventKind]]:
        """Return the kinds of events of each turn of a conversation, in the order they began."""
        return [
            [kind for kind, _ in events]
            for events in list(self.turns.values())
            if events[0][1].conversation_id == conversation_id
        ]

    def last(self, conversation_id: str, kind: EventKind) -> TicketEvent:
        """Return the last event of a kind in a conversation."""
        found = [
            event
            for events in list(self.turns.values())
            for each, event in events
            if each == kind and event.conversation_id == conversation_id
        ]
        return found[-1]

    def faults(self) -> list[str]:
        """Return what breaks the law: an order of events or of their moments that can't be."""
        found = []
        for turn, events in list(self.turns.items()):
            kinds = [kind for kind, _ in events]
            steps = zip(["", *kinds], kinds, strict=False)
            if not all(kind in AFTER.get(before, ()) for before, kind in steps):
                found.append(f"turn {turn} was told {kinds}")
            moments = [event.at for _, event in events]
            if moments != sorted(moments):
                found.append(f"turn {turn} was told of moments in another order: {moments}")
        return found

    def unfinished(self) -> list[str]:
        """Return the turns that were told no end."""
        return [
            f"turn {turn} of {events[0][1].conversation_id!r} was told {[k for k, _ in events]}"
            for turn, events in list(self.turns.items())
            if events[-1][0] not in ENDS
        ]

    def told(self, kind: EventKind, event: TicketEvent) -> None:
        """Note it."""
        with self._mutex:
            if kind == "refused" and event.turn not in self.turns:
                self.issued.append(event)
            else:
                self.turns.setdefault(event.turn, []).append((kind, event))
