"""What other options would have changed: the recorded messages, replayed, beside what was recorded.

How long a message's turn takes is what was recorded. One that was never held, or not to its end
(it was superseded, refused, interrupted ...), is given the median of its conversation, else of all.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from nowserving.history.explain import HANDED_OVER
from nowserving.history.replay import (
    GAVE_UP,
    INTERRUPTED,
    NANOSECONDS,
    REFUSED,
    Arrival,
    replay,
)
from nowserving.verify.figures import percentile
from nowserving.verify.turns import TurnRecord, answered, by_conversation

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nowserving.history.replay import Rules
    from nowserving.history.turns import RecordedTurn

_IN_VAIN = frozenset({"timeout", "abandoned", "closed"})
"""How a wait ends of which the owner had enough."""

_USUAL = frozenset({"done", "failed"})
"""How a turn ends that has taken the time it needs."""


@dataclass(frozen=True)
class Spread:
    """Some durations, in seconds; None where there were none."""

    p50: float | None
    p99: float | None
    longest: float | None

    @classmethod
    def of(cls, durations: Iterable[int]) -> Spread:
        """Measure durations given in nanoseconds."""
        ranked = sorted(durations)
        longest = ranked[-1] / NANOSECONDS if ranked else None
        return cls(percentile(ranked, 50), percentile(ranked, 99), longest)

    def as_dict(self) -> dict[str, float | None]:
        """Return it for JSON."""
        return {"p50": self.p50, "p99": self.p99, "max": self.longest}


@dataclass(frozen=True)
class Figures:
    """What became of some messages.

    Attributes:
        messages: How many there were.
        turns: How many turns began.
        interrupted: How many of these were interrupted.
        superseded: How many messages had to leave for a newer one.
        refused: How many got no place.
        gave_up: How many waited in vain.
        busy: Seconds for which turns took their time, altogether.
        wait: From a message's arrival to the begin of its own turn.
        answer: From a message's arrival to the begin of the turn that answers for it.
    """

    messages: int
    turns: int
    interrupted: int
    superseded: int
    refused: int
    gave_up: int
    busy: float
    wait: Spread
    answer: Spread

    @classmethod
    def of(cls, records: Sequence[TurnRecord]) -> Figures:
        """Measure what was recorded, or replayed."""
        worked = [turn for turns in by_conversation(records).values() for turn in turns]
        fired = {record.index: record.fired for record in records}
        errors = [record.error for record in records]
        return cls(
            messages=len(records),
            turns=len(worked),
            interrupted=errors.count(INTERRUPTED),
            superseded=sum(record.superseded for record in records),
            refused=errors.count(REFUSED),
            gave_up=errors.count(GAVE_UP),
            busy=sum(turn.left - turn.entered for turn in worked) / NANOSECONDS,
            wait=Spread.of(turn.entered - turn.fired for turn in worked),
            answer=Spread.of(
                turn.entered - fired[index]
                for index, turn in answered(records)
                if turn.entered is not None and index in fired
            ),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        spreads = {"wait": self.wait.as_dict(), "answer": self.answer.as_dict()}
        return {**vars(self), **spreads}


@dataclass(frozen=True)
class Comparison:
    """What was, and what would have been.

    Attributes:
        recorded: What was recorded.
        replayed: What other options would have made of it.
        conversations: How many conversations there were.
        seconds: From the first message to the last one.
        left_out: Turns of which the history does not tell the beginning or the end.
        estimated: Messages whose turn was given the usual time.
    """

    recorded: Figures
    replayed: Figures
    conversations: int
    seconds: float
    left_out: int
    estimated: int

    @property
    def fewer_turns(self) -> float:
        """Which part of the turns would not have been: 0.25 for a quarter, negative for more."""
        return 1 - self.replayed.turns / self.recorded.turns if self.recorded.turns else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "recorded": self.recorded.as_dict(),
            "replayed": self.replayed.as_dict(),
            "fewer_turns": round(self.fewer_turns, 4),
            "conversations": self.conversations,
            "seconds": round(self.seconds, 3),
            "left_out": self.left_out,
            "estimated": self.estimated,
        }


def compare(turns: Iterable[RecordedTurn], rules: Rules) -> Comparison | None:
    """Replay recorded turns; None if there is none of which beginning and end are known.

    Args:
        turns: The turns, in the order in which they were asked for.
        rules: How they would have been asked for.
    """
    found = list(turns)
    whole = [turn for turn in found if turn.asked is not None and turn.ended is not None]
    if not whole:
        return None
    first = whole[0].asked or 0.0
    usual = _UsualHolds(whole)
    arrivals = [
        Arrival(
            index=index,
            conversation_id=turn.conversation_id,
            at=(turn.asked or 0.0) - first,
            hold=usual.of(turn),
            patience=turn.waited if turn.served is None and turn.outcome in _IN_VAIN else None,
        )
        for index, turn in enumerate(whole)
    ]
    replayed = replay(arrivals, rules, _usual_handoff(whole))
    return Comparison(
        recorded=Figures.of(_as_recorded(whole, first)),
        replayed=Figures.of(replayed),
        conversations=len({turn.conversation_id for turn in whole}),
        seconds=(whole[-1].asked or 0.0) - first,
        left_out=len(found) - len(whole),
        estimated=sum(not _is_usual(turn) for turn in whole),
    )


def _usual_handoff(turns: Iterable[RecordedTurn]) -> float:
    """Return the seconds from one turn to the next; longer gaps are of lines that settled."""
    found = [turn.handoff for turn in turns if turn.handoff is not None]
    short = [handoff for handoff in found if handoff <= HANDED_OVER]
    return median(short) if short else 0.0


def _is_usual(turn: RecordedTurn) -> bool:
    return turn.held is not None and turn.outcome in _USUAL


class _UsualHolds:
    """How long turns take, by conversation and altogether."""

    def __init__(self, turns: Iterable[RecordedTurn]) -> None:
        by_conversation: dict[str, list[float]] = {}
        for turn in turns:
            if turn.held is not None and turn.outcome in _USUAL:
                by_conversation.setdefault(turn.conversation_id, []).append(turn.held)
        everything = [held for those in by_conversation.values() for held in those]
        self._of_all = median(everything) if everything else 0.0
        self._medians = {name: median(those) for name, those in by_conversation.items()}

    def of(self, turn: RecordedTurn) -> float:
        """Return how long a turn takes."""
        if turn.held is not None and turn.outcome in _USUAL:
            return turn.held
        usual = self._medians.get(turn.conversation_id, self._of_all)
        return max(turn.held or 0.0, usual)


def _as_recorded(turns: Sequence[RecordedTurn], first: float) -> list[TurnRecord]:
    """Return turns as ``verify`` records them.

    A history does not say who answers for a message that was superseded: it was the next turn that
    began in its conversation.
    """
    answers = _answers(turns)
    return [
        TurnRecord(
            index=index,
            conversation_id=turn.conversation_id,
            worker=0,
            fired=_nanoseconds((turn.asked or 0.0) - first),
            entered=None if turn.served is None else _nanoseconds(turn.served - first),
            left=None if turn.served is None else _nanoseconds((turn.ended or 0.0) - first),
            number=turn.number,
            error=_error_of(turn),
            superseded=turn.outcome == "superseded",
            answers=tuple(answers.get(index, ())),
        )
        for index, turn in enumerate(turns)
    ]


def _answers(turns: Sequence[RecordedTurn]) -> dict[int, list[int]]:
    """Return by the index of a turn the indexes of those that it answers for beside itself."""
    lines: dict[str, list[tuple[float, int]]] = {}
    for index, turn in enumerate(turns):
        moment = turn.served if turn.served is not None else turn.ended
        if moment is not None and (turn.served is not None or turn.outcome == "superseded"):
            lines.setdefault(turn.conversation_id, []).append((moment, index))
    found: dict[int, list[int]] = {}
    for line in lines.values():
        waiting: list[int] = []
        for _, index in sorted(line):
            if turns[index].served is None:
                waiting.append(index)
            elif waiting:
                found[index], waiting = waiting, []
    return found


def _error_of(turn: RecordedTurn) -> str | None:
    if turn.served is not None:
        return INTERRUPTED if turn.outcome == "interrupted" else None
    if turn.outcome == "superseded":
        return None
    return REFUSED if turn.outcome == "refused" else GAVE_UP


def _nanoseconds(seconds: float) -> int:
    return round(seconds * NANOSECONDS)
