"""What a worker records of each message, and how that travels to the command."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nowserving.verify.plan import Delivery


@dataclass(frozen=True)
class TurnRecord:
    """One message's turn as its worker saw it.

    Times are nanoseconds of the monotonic clock, which all processes of a machine share.
    ``entered`` is read once the lock is held and ``left`` before its release begins, so that
    intervals which overlap are turns that did.

    Attributes:
        index: The message's place in the trace.
        conversation_id: The conversation whose turn it was.
        worker: The worker that handled it.
        fired: When the worker got the message and asked for the lock.
        entered: When the handler began; None if it never did.
        left: When the handler ended; None if it never began.
        number: The ticket's number; None without a lock.
        token: The turn's fencing token; None without a lock.
        error: What went wrong; None for a turn that went well.
        superseded: Whether a newer message took its place, and answers for it.
        answers: The messages that had to leave for it, and which its turn answered for as well.
    """

    index: int
    conversation_id: str
    worker: int
    fired: int
    entered: int | None = None
    left: int | None = None
    number: int | None = None
    token: int | None = None
    error: str | None = None
    superseded: bool = False
    answers: tuple[int, ...] = ()

    @property
    def finished(self) -> bool:
        """Whether the message was handled to the end, and nothing went wrong."""
        return self.left is not None and self.error is None

    def dumps(self) -> bytes:
        """Return the record as one line; what the plan knows (conversation, worker) is left out."""
        fields = (
            self.index,
            self.fired,
            self.entered,
            self.left,
            self.number,
            self.token,
            self.error,
            self.superseded,
            self.answers,
        )
        return json.dumps(fields, separators=(",", ":")).encode() + b"\n"

    @classmethod
    def loads(cls, fields: list[Any], delivery: Delivery) -> TurnRecord:
        """Read back the fields of a line that :meth:`dumps` wrote about ``delivery``."""
        _, fired, entered, left, number, token, error, superseded, answers = fields
        return cls(
            index=delivery.index,
            conversation_id=delivery.conversation_id,
            worker=delivery.worker,
            fired=fired,
            entered=entered,
            left=left,
            number=number,
            token=token,
            error=error,
            superseded=superseded,
            answers=tuple(answers),
        )


def answered(records: Iterable[TurnRecord]) -> Iterator[tuple[int, TurnRecord]]:
    """Yield each message that was answered, by its index, with the turn that did so."""
    for record in records:
        if record.finished:
            yield record.index, record
            for index in record.answers:
                yield index, record


@dataclass(frozen=True)
class Worked:
    """The part of a record that exists once a handler ran: nothing in it is missing.

    Attributes:
        record: The whole record.
        fired: As in the record.
        entered: As in the record.
        left: As in the record.
    """

    record: TurnRecord
    fired: int
    entered: int
    left: int

    @property
    def arrival(self) -> tuple[int, int]:
        """Sorts by arrival; the trace decides between equal moments."""
        return (self.fired, self.record.index)


def by_conversation(records: Iterable[TurnRecord]) -> dict[str, list[Worked]]:
    """Return the turns whose handler ran, each conversation's in the order in which they began."""
    conversations: defaultdict[str, list[Worked]] = defaultdict(list)
    for record in records:
        if record.entered is not None and record.left is not None:
            turn = Worked(record, record.fired, record.entered, record.left)
            conversations[record.conversation_id].append(turn)
    for turns in conversations.values():
        turns.sort(key=lambda turn: (turn.entered, turn.arrival))
    return dict(conversations)
