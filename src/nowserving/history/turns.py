"""From events to turns: what is known of each, put together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nowserving.protocol.history import HistoryEvent

ENDS = frozenset({"left", "refused", "superseded", "absorbed", "released"})
"""The kinds of event with which a turn is over."""


@dataclass(frozen=True)
class RecordedTurn:
    """One turn as a history tells it. Moments are Unix time; None where it does not say.

    Attributes:
        turn: Names it.
        conversation_id: Its conversation.
        number: The number of its ticket; -1 if it is not known.
        message_id: The id of its message.
        label: What its owner calls it.
        host: The machine of its process.
        pid: The id of its process there.
        asked: When it was asked for.
        waiting: When it was told to wait; None if it was served at once, or nobody knows.
        ahead: How many were in front of it then; 0 if its line settled.
        served: When its body began.
        ended: When it was over.
        handoff: Seconds from the end of the body before it, if that was one of its process.
        predecessor: How the turn before it ended; ``"none"`` if nobody knows.
        outcome: How it ended: as ``TicketEvent.outcome`` says, else ``"refused"``,
            ``"superseded"``, ``"absorbed"`` or ``"released"``; empty as long as nobody knows.
        reason: Why it was refused, released or lost.
        lost: Whether its lock was lost while its body ran.
    """

    turn: str
    conversation_id: str
    number: int = -1
    message_id: str | None = None
    label: str | None = None
    host: str = ""
    pid: int = 0
    asked: float | None = None
    waiting: float | None = None
    ahead: int = 0
    served: float | None = None
    ended: float | None = None
    handoff: float | None = None
    predecessor: str = "none"
    outcome: str = ""
    reason: str = ""
    lost: bool = False

    @property
    def held(self) -> float | None:
        """The seconds for which it was held; None if it never was, or still is."""
        if self.served is None or self.ended is None:
            return None
        return max(self.ended - self.served, 0.0)

    @property
    def waited(self) -> float | None:
        """The seconds for which it waited, for its turn or in vain; None as long as it waits."""
        until = self.ended if self.served is None else self.served
        return None if self.asked is None or until is None else max(until - self.asked, 0.0)


def turns_of(events: Iterable[HistoryEvent]) -> list[RecordedTurn]:
    """Return the turns that a history tells of, in the order in which they were asked for.

    Args:
        events: Its events, in any order.
    """
    turns: dict[str, RecordedTurn] = {}
    for event in events:
        if event.conversation_id:
            known = turns.get(event.turn) or RecordedTurn(event.turn, event.conversation_id)
            turns[event.turn] = _with(known, event)
    return sorted(turns.values(), key=_begin)


def _with(turn: RecordedTurn, event: HistoryEvent) -> RecordedTurn:
    """Return what is known of a turn with one more event."""
    turn = replace(
        turn,
        number=max(turn.number, event.number),
        message_id=event.message_id,
        label=event.label,
        host=event.host,
        pid=event.pid,
    )
    # Each later event knows how long ago it was asked for: the first ones may be gone by now.
    if turn.asked is None:
        turn = replace(turn, asked=event.at - (event.held or 0.0) - event.waited)
    if event.kind == "asked":
        return replace(turn, asked=event.at)
    if event.kind == "waiting":
        return replace(turn, waiting=event.at, ahead=event.ahead)
    if event.kind == "served":
        return replace(turn, served=event.at, handoff=event.handoff, predecessor=event.predecessor)
    if event.kind == "lost":
        return replace(turn, lost=True, reason=event.reason)
    if event.kind in ENDS:
        outcome = event.outcome or event.kind
        turn = replace(turn, ended=event.at, outcome=outcome, reason=event.reason or turn.reason)
        if event.held is not None and turn.served is None:
            return replace(turn, served=event.at - event.held, predecessor=event.predecessor)
    return turn


def _begin(turn: RecordedTurn) -> tuple[float, int]:
    return turn.asked or 0.0, turn.number
