"""What a store keeps of what happened: the values, as texts and back, and the seam to the store.

Nobody's message is in it: an event has names, moments, durations and outcomes.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

MOST_OF_A_TEXT = 200
"""Characters of a message's id, of a label or of a reason that are kept."""


class HistoryOptions(NamedTuple):
    """How much of what happened is kept.

    Attributes:
        each: Events a conversation.
        total: Events of all conversations together, in the order in which they were written.
        ttl: Seconds for which they are kept.
    """

    each: int
    total: int
    ttl: float


class HistoryEvent(NamedTuple):
    """Something that became of a turn, as the store has kept it.

    Attributes:
        kind: What: ``"asked"``, ``"waiting"``, ``"served"``, ``"lost"``, ``"left"``,
            ``"refused"``, ``"superseded"``, ``"absorbed"`` or ``"released"``, as an ``Observer`` is
            told; ``"store_down"`` or ``"store_up"``; or ``"dropped"``: events that a process could
            not write.
        at: When, Unix time; in Redis by the clock of the server, else by the machine's.
        conversation_id: The conversation; empty where it is about none.
        turn: Names the turn, whatever process it is of: all its events have the same.
        number: The number of its ticket; -1 as long as the store has not told it.
        label: What its owner calls it, at most 200 characters of that; the address of a store.
        message_id: The id of its message, at most 200 characters of that.
        host: The machine of its process.
        pid: The id of its process there.
        ahead: ``waiting``: how many places were in front of it, the holder's included.
        waited: Seconds since it was asked for; once it is served, those until it was.
        held: Seconds for which it was held; None if it never was. ``store_up``: for how long the
            store did not serve.
        handoff: ``served``, after a wait: seconds since the body of the turn before it ended, if
            that was one of the same process.
        token: Its fencing token; 0 until it is served.
        predecessor: ``served``: how the turn before it ended; ``"none"`` if nobody knows.
        outcome: ``left``: how it ended (see ``TicketEvent``).
        reason: Why it was lost, released or refused; why the store does not serve.
        dropped: ``dropped``: how many events.
    """

    kind: str
    at: float
    conversation_id: str
    turn: str
    number: int = -1
    label: str | None = None
    message_id: str | None = None
    host: str = ""
    pid: int = 0
    ahead: int = 0
    waited: float = 0.0
    held: float | None = None
    handoff: float | None = None
    token: int = 0
    predecessor: str = "none"
    outcome: str = ""
    reason: str = ""
    dropped: int = 0


_ALWAYS = len(HistoryEvent._fields) - len(HistoryEvent._field_defaults)
_DEFAULTS = (*[None] * _ALWAYS, *HistoryEvent._field_defaults.values())

_WRITE: dict[type, Callable[[Any], str]] = {
    str: encode_basestring_ascii,
    float: float.__repr__,
    int: int.__repr__,
    type(None): lambda _: "null",
}
"""As ``json`` does it, at a third of the time: a busy store writes thousands of events a second."""


def dumps(event: HistoryEvent) -> str:
    """Return an event as JSON, in ASCII characters, half a surrogate pair included."""
    count = len(event)
    while count > _ALWAYS and event[count - 1] == _DEFAULTS[count - 1]:
        count -= 1  # most events have nothing to say of their last fields
    try:
        return f"[{','.join([_WRITE[type(value)](value) for value in event[:count]])}]"
    except KeyError:  # a number that is more than that
        return json.dumps(event[:count])


def loads(text: str, at: float | None = None) -> HistoryEvent | None:
    """Return the event of a text; None if it makes no sense: then somebody else has written it.

    Args:
        text: What :func:`dumps` returned, maybe that of a newer version, with more fields.
        at: When it happened, if the store knows that better.
    """
    try:
        values: list[Any] = json.loads(text)
        event = HistoryEvent(*values[: len(HistoryEvent._fields)])
    except (ValueError, TypeError):
        return None
    return event if at is None else event._replace(at=at)


class Page(NamedTuple):
    """Events in the order in which they were written.

    Attributes:
        events: The events.
        cursor: Behind what the next page begins.
    """

    events: list[HistoryEvent]
    cursor: str


if TYPE_CHECKING:
    Put: TypeAlias = Callable[[str, float, Callable[[], HistoryEvent]], None]
    """Takes an event's conversation, its moment, and what makes it when somebody reads it."""


class EventLog(Protocol):
    """Where a store keeps what happened.

    Errors are those of a queue's verbs. An event may be written twice, when the reply was lost:
    whoever reads knows it by its turn and its kind.

    Attributes:
        options: How much is kept; None if nothing is written from here. What others have written
            can be read all the same.
    """

    options: HistoryOptions | None

    @property
    def put(self) -> Put | None:
        """Writes one event at once, where that takes no time; None where it is to be awaited."""
        ...

    async def append(self, events: Sequence[HistoryEvent]) -> None:
        """Write events behind all others, of each conversation and of all together."""
        ...

    async def last(
        self, conversation_id: str | None, since: float, limit: int
    ) -> list[HistoryEvent]:
        """Return the last events, oldest first.

        Args:
            conversation_id: The conversation; None for all of them.
            since: Unix time of the first.
            limit: How many at the most.
        """
        ...

    async def page(self, conversation_id: str | None, behind: str | None, limit: int) -> Page:
        """Return what was written behind a cursor.

        Args:
            conversation_id: The conversation; None for all of them.
            behind: The cursor of the page before; None for the end, behind which nothing is.
            limit: How many events at the most.
        """
        ...
