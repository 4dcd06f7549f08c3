"""Which messages a turn answers for: those that had to leave for its own.

Whoever was superseded has been told so, and nobody else will handle its message. So the newest is
told of all of them, and of those that they stood for themselves. Whoever was only dropped, since
the line was full, is answered for by nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nowserving.lock import Superseded
from nowserving.stores._lines.status import own

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nowserving.stores._lines.storage import Handle, LineStorage, T, Ticket


def answers_for(superseded: Sequence[Ticket]) -> Superseded | None:
    """Return what a ticket answers for, for which these had to leave; None if that is nothing."""
    messages: list[str | int] = []
    count = 0
    for ticket in superseded:
        if ticket.answers is not None:
            messages += ticket.answers
            count += ticket.answers.count
        messages.append(ticket.number if ticket.message_id is None else ticket.message_id)
        count += 1
    return Superseded(messages, count) if superseded else None


def superseded_by(line: LineStorage[T], handle: Handle) -> Superseded:
    """Tell a ticket's owner which messages it answers for."""
    ticket = own(line, handle)
    return Superseded() if ticket is None or ticket.answers is None else ticket.answers
