"""All lines of a store from afar, as ``store.survey`` gives them, and what queues tell for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nowserving.protocol.line import LineTicket
    from nowserving.protocol.status import LinePicture, PicturedTicket

SurveyOrder = Literal["waiting", "oldest_wait", "held_for"]
"""Which lines a survey shows: the longest, those that have waited, or been held, for longest."""


@dataclass(frozen=True)
class LineSummary:
    """One conversation's line, from afar.

    Attributes:
        conversation_id: The conversation.
        waiting: How many wait.
        oldest_wait: Seconds since the one joined who has waited for longest; None if nobody waits,
            or the store does not know.
        holder: Whose turn it is, None if it is nobody's yet.
    """

    conversation_id: str
    waiting: int
    oldest_wait: float | None
    holder: LineTicket | None


@dataclass(frozen=True)
class ProcessSummary:
    """What one process has in a store. Tickets that nobody has claimed are no process's.

    Attributes:
        host: Its host, None for all processes together that have not told who they are (yet).
        pid: Its id there, None likewise.
        holding: How many conversations it holds.
        waiting: How many of its tickets wait.
    """

    host: str | None
    pid: int | None
    holding: int
    waiting: int


@dataclass(frozen=True)
class Survey:
    """All that is in use in a store. Each line was seen at its own moment, one after another.

    Attributes:
        conversations: How many are in use: somebody holds or waits.
        held: How many of them are held.
        waiting: How many tickets wait, in all of them.
        oldest_wait: Seconds that the one of these has waited who has waited for longest; None if
            nobody waits, or the store does not know.
        lines: The most notable lines, in the order that was asked for.
        processes: The processes that have tickets, the busiest first.
        unreadable: Records that were passed over, since they are damaged, somebody else's, or of a
            newer protocol.
    """

    conversations: int
    held: int
    waiting: int
    oldest_wait: float | None
    lines: tuple[LineSummary, ...]
    processes: tuple[ProcessSummary, ...]
    unreadable: int = 0


class LineSight(NamedTuple):
    """One line in use, as a queue tells it for a survey.

    Attributes:
        conversation_id: The conversation.
        holder: The ticket that is served, None if none is.
        waiting: How many live tickets wait.
        waited: Seconds since the first of them joined; None if that is not known.
        waiters: How many wait by what their owners begin with (``owner_name``).
    """

    conversation_id: str
    holder: PicturedTicket | None
    waiting: int
    waited: float | None
    waiters: Mapping[str, int]


NOBODY: Mapping[str, int] = {}
"""The waiters of a line in which nobody waits."""


def owner_name(owner: str) -> str:
    """Return what an owner begins with; empty for the secret of a ticket nobody has claimed."""
    name, dot, _ = owner.partition(".")
    return name if dot else ""


def sight_of(conversation_id: str, picture: LinePicture | None) -> LineSight | None:
    """Return the sight of a line from its picture: for queues that have no quicker way.

    Returns:
        None if nobody is in line.
    """
    if picture is None or not picture.tickets:
        return None
    holder: PicturedTicket | None = None
    waiting, waited, waiters = 0, None, dict[str, int]()
    for ticket in picture.tickets:
        if ticket.served_for is not None:
            holder = ticket
            continue
        waiting += 1
        if ticket.waited is not None and (waited is None or ticket.waited > waited):
            waited = ticket.waited
        name = owner_name(ticket.owner)
        waiters[name] = waiters.get(name, 0) + 1
    return LineSight(conversation_id, holder, waiting, waited, waiters)


def together(first: LineSight | None, second: LineSight | None) -> LineSight | None:
    """Return two parts of one line as one; None if nobody is in either."""
    if first is None or second is None:
        return first or second
    waits = [wait for wait in (first.waited, second.waited) if wait is not None]
    waiters = dict(first.waiters)
    for name, count in second.waiters.items():
        waiters[name] = waiters.get(name, 0) + count
    return LineSight(
        first.conversation_id,
        first.holder or second.holder,
        first.waiting + second.waiting,
        max(waits, default=None),
        waiters,
    )
