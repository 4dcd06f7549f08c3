"""What the store's history tells of one conversation, as the page shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nowserving.dashboard.turns import Turn
from nowserving.history.explain import duration, waits_of, words_of
from nowserving.history.turns import turns_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from nowserving import HistoryEvent
    from nowserving.history.explain import Wait
    from nowserving.history.turns import RecordedTurn

MOST_EVENTS = 400
"""How many events of a conversation are read at a time."""

_MOST_SHOWN = 100
_MOST_WAITS = 5
_SHORTEST_WAIT = 0.1  # seconds
_SETTLED = 2.0
"""Seconds after which an event has been written, if its process lives."""

_UNTOLD = "its end is not recorded"


class Recorded:
    """What was recorded of a conversation.

    Args:
        events: Its last events, oldest first.
        in_line: The numbers of the tickets that are in line now.
        now: Unix time.
    """

    def __init__(
        self, events: Sequence[HistoryEvent], in_line: Collection[int], now: float
    ) -> None:
        self._events = events
        self._in_line = in_line
        self._now = now
        self._turns = turns_of(events)
        self._lost = {event.turn: event.at for event in events if event.kind == "lost"}

    def turns(self) -> list[Turn]:
        """Return its turns for the chart."""
        return [self._drawn(turn) for turn in self._turns]

    def _drawn(self, turn: RecordedTurn) -> Turn:
        drawn = Turn(
            number=turn.number,
            came=turn.asked or self._now,
            began=turn.served,
            ended=turn.ended,
            lost=self._lost.get(turn.turn),
            outcome=turn.outcome,
            label=turn.label,
            message_id=turn.message_id,
            host=turn.host,
            pid=turn.pid,
        )
        began = turn.served or drawn.came
        gone = turn.ended is None and turn.number not in self._in_line
        if gone and began < self._now - _SETTLED:  # killed: nobody was left to tell
            drawn.ended, drawn.outcome = self._next_begin(began), _UNTOLD
        return drawn

    def _next_begin(self, after: float) -> float:
        begins = (turn.served for turn in self._turns if turn.served is not None)
        return min((begin for begin in begins if begin > after), default=self._now)

    def waits(self) -> list[dict[str, Any]]:
        """Return why the last ones waited, the newest first."""
        known = [turn for turn in self._turns if not self._is_untold(turn)]
        waits = [wait for wait in waits_of(known, self._now) if wait.seconds >= _SHORTEST_WAIT]
        return [_wait(wait) for wait in reversed(waits[-_MOST_WAITS:])]

    def _is_untold(self, turn: RecordedTurn) -> bool:
        waits = turn.served is None and turn.ended is None
        return waits and turn.number not in self._in_line

    def shown(self) -> list[dict[str, Any]]:
        """Return what happened, the newest first."""
        return [_shown(event) for event in reversed(self._events[-_MOST_SHOWN:])]


def _wait(wait: Wait) -> dict[str, Any]:
    told = wait.as_dict()
    return {
        "at": wait.turn.asked,
        "number": wait.turn.number,
        "message_id": wait.turn.message_id,
        "seconds": wait.seconds,
        "waits": wait.turn.served is None and wait.turn.ended is None,
        "pieces": told["because"],
        "words": words_of(wait),
    }


def _shown(event: HistoryEvent) -> dict[str, Any]:
    return {
        "kind": event.kind,
        "at": event.at,
        "number": event.number,
        "label": event.label,
        "message_id": event.message_id,
        "host": event.host,
        "pid": event.pid or None,
        "words": list(_words(event)),
    }


def _words(event: HistoryEvent) -> Iterator[str]:
    if event.kind == "waiting":
        yield f"{event.ahead} ahead"
    elif event.kind == "served":
        yield f"waited {duration(event.waited)}"
        if event.predecessor not in {"none", "done"}:
            yield f"the turn before: {event.predecessor}"
    elif event.kind == "dropped":
        yield f"{event.dropped} events could not be written"
    elif event.held is not None:
        yield f"held {duration(event.held)}"
    elif event.kind != "asked":
        yield f"waited {duration(event.waited)}"
    if event.outcome:
        yield event.outcome
    if event.reason:
        yield event.reason
