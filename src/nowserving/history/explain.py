"""Why somebody waited: who held the lock meanwhile, for how long, and what came between."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nowserving.history.turns import RecordedTurn

_NOTICED = 0.001
"""Seconds: shorter pieces of a wait are not told by themselves."""

_SHORTEST = 0.01
"""Seconds: shorter waits are not told."""

_SLOW = 0.1
"""Seconds: an answer of the store that takes longer counts as a wait."""

HANDED_OVER = 0.25
"""Seconds between two turns that are just their hand-over, on a machine that is busy; a longer gap
has another reason."""


@dataclass(frozen=True)
class Piece:
    """A part of a wait.

    Attributes:
        kind: ``"held"``: somebody held the lock; ``"handed over"``: from the end of one turn to
            the begin of the next; ``"settling"``: the line settled; ``"expiring"``: a ticket that
            nobody gave back had to expire; ``"answering"``: the store took its time to answer;
            ``"nobody"``: nobody held it that the history knows of.
        seconds: How long it took.
        turn: Whose turn it was, or before whose it was.
    """

    kind: Literal["held", "handed over", "settling", "expiring", "answering", "nobody"]
    seconds: float
    turn: RecordedTurn | None = None


@dataclass(frozen=True)
class Wait:
    """A wait, taken apart.

    Attributes:
        turn: Who waited.
        seconds: For how long; until now, if it still waits.
        pieces: What of, in order.
    """

    turn: RecordedTurn
    seconds: float
    pieces: tuple[Piece, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        turn = self.turn
        return {
            "number": turn.number,
            "message_id": turn.message_id,
            "label": turn.label,
            "host": turn.host,
            "pid": turn.pid,
            "asked": turn.asked,
            "waited": round(self.seconds, 3),
            "outcome": turn.outcome or ("holds" if turn.served is not None else "waits"),
            "because": [
                {
                    "kind": piece.kind,
                    "seconds": round(piece.seconds, 3),
                    "number": None if piece.turn is None else piece.turn.number,
                    "message_id": None if piece.turn is None else piece.turn.message_id,
                    "host": None if piece.turn is None else piece.turn.host,
                    "pid": None if piece.turn is None else piece.turn.pid,
                    "outcome": None if piece.turn is None else piece.turn.outcome,
                }
                for piece in self.pieces
            ],
        }


def waits_of(turns: Sequence[RecordedTurn], now: float) -> list[Wait]:
    """Return the waits of a conversation, in the order in which they began.

    Who was served at once has not waited, unless the store took long to say so.

    Args:
        turns: All turns of one conversation.
        now: Until when those that are not over have lasted, Unix time.
    """
    held = sorted((turn for turn in turns if turn.served is not None), key=lambda t: t.served or 0)
    waits = []
    for turn in turns:
        if turn.asked is None:
            continue
        until = turn.served if turn.served is not None else turn.ended
        end = now if until is None else until
        at_once = turn.waiting is None and turn.served is not None
        if end - turn.asked >= (_SLOW if at_once else _SHORTEST):
            waits.append(Wait(turn, end - turn.asked, tuple(_pieces(turn, end, held, now))))
    return waits


def _pieces(
    turn: RecordedTurn, end: float, held: Sequence[RecordedTurn], now: float
) -> Iterable[Piece]:
    """Take the time from when a turn was asked for until ``end`` apart."""
    at = turn.asked or 0.0
    before: RecordedTurn | None = None
    for holder, following in zip_longest(held, held[1:]):
        begin = holder.served or 0.0
        over = now if holder.ended is None else holder.ended
        if following is not None:
            # A killed process tells no end, a turn that lost its lock and ran on a late one.
            over = min(over, following.served or over)
        if holder is turn or over <= at:
            if over <= at and holder is not turn:
                before = holder
            continue
        if begin >= end:
            break
        yield from _between(at, begin, before, holder)
        yield Piece("held", max(min(over, end) - max(begin, at), 0.0), holder)
        at, before = max(at, min(over, end)), holder
    yield from _between(at, end, before, turn)


def _between(
    at: float, until: float, before: RecordedTurn | None, behind: RecordedTurn
) -> Iterable[Piece]:
    """Say what the time was in which nobody held the lock."""
    seconds = until - at
    if seconds < _NOTICED:
        return
    if before is None and behind.waiting is None and behind.served is not None:
        yield Piece("answering", seconds, behind)
    elif behind.served is not None and behind.predecessor == "expired":
        yield Piece("expiring", seconds, before)
    elif behind.waiting is not None and not behind.ahead:
        yield Piece("settling", seconds, behind)
    elif before is not None and behind.served is not None and seconds <= HANDED_OVER:
        yield Piece("handed over", seconds, behind)
    else:
        yield Piece("nobody", seconds, behind)


# In words


def words_of(wait: Wait) -> str:
    """Return why that was, as a sentence. Its names are as they were given: escape them."""
    turn = wait.turn
    if turn.served is not None:
        what = f"waited {duration(wait.seconds)}"
    elif turn.ended is None:
        what = f"has waited {duration(wait.seconds)}, and still waits"
    else:
        what = f"waited {duration(wait.seconds)} in vain ({_ended(turn)})"
    told = [part for piece in _merged(wait.pieces) for part in _told(piece)]
    return f"{name_of(turn)} {what}" + (": " + ", ".join(told) if told else "")


def _merged(pieces: Iterable[Piece]) -> list[Piece]:
    """Put the hand-overs into one piece, at the end."""
    found = list(pieces)
    handed = sum(piece.seconds for piece in found if piece.kind == "handed over")
    rest = [piece for piece in found if piece.kind != "handed over"]
    return [*rest, Piece("handed over", handed)] if handed >= _NOTICED else rest


def _told(piece: Piece) -> Iterable[str]:
    took = duration(piece.seconds)
    if piece.kind == "held" and piece.turn is not None:
        yield f"{took} behind {name_of(piece.turn)}{_how(piece.turn)}"
    elif piece.kind == "expiring":
        whose = "somebody" if piece.turn is None else name_of(piece.turn)
        yield f"{took} until a ticket expired that nobody gave back (the last one seen: {whose})"
    else:
        yield f"{took} {_MEANWHILE[piece.kind]}"


def _how(turn: RecordedTurn) -> str:
    """Return how somebody's turn went, if not as usual."""
    if turn.lost:
        return f", which lost its lock ({turn.reason})" if turn.reason else ", which lost its lock"
    if turn.ended is None:
        return ", which has not told its end"
    if turn.outcome == "done":
        return ""
    return f", which {_ENDED.get(turn.outcome, 'ended: ' + turn.outcome)}"


_MEANWHILE = {
    "handed over": "while it was handed over",
    "settling": "while the line settled",
    "answering": "until the store answered",
    "nobody": "while nobody held the lock (the line settled, or its holder is not recorded)",
    "held": "behind somebody",
}

_ENDED = {
    "failed": "failed",
    "interrupted": "was interrupted",
    "expired": "expired",
    "released": "was released",
    "abandoned": "was abandoned",
}


def _ended(turn: RecordedTurn) -> str:
    return f"{turn.outcome}: {turn.reason}" if turn.reason else turn.outcome


def name_of(turn: RecordedTurn) -> str:
    """Return what a turn is called: its ticket, where it was, its message."""
    number = "a ticket without a number" if turn.number < 0 else f"ticket {turn.number}"
    where = f" on {turn.host} (pid {turn.pid})" if turn.host else ""
    message = f", message {turn.message_id}" if turn.message_id is not None else ""
    label = f", {turn.label}" if turn.label is not None else ""
    return f"{number}{where}{message}{label}"


def duration(seconds: float) -> str:
    """Return seconds as they are read: 0.25 s, 38 s, 2 min 5 s."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 100:  # noqa: PLR2004 - up to there digits behind the point say something
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
