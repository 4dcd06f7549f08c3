"""Which messages a line knows: those of its live tickets, and for a time those that were done.

How long that is, its ticket says (``remember_for``), by default one lifetime of it.

A message whose turn failed, or was lost, is not known any more: it may come again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nowserving.stores._lines.storage import LineStorage, T


def progress(line: LineStorage[T], message_id: str, now: float) -> str:
    """Return how far a message is: ``waiting``, ``working``, ``done``; empty if it is not known.

    The message of an expired ticket is not known, whether or not anybody has walked past it.
    """
    ticket = line.of_message(message_id, now)
    if ticket is not None:
        return "waiting" if ticket.served_at is None else "working"
    return "done" if line.remembers(message_id, now) else ""


def note_done(line: LineStorage[T], ticket: T, now: float) -> None:
    """Remember the message of a turn that ended well, for as long as its ticket says."""
    if ticket.message_id is not None:
        until = now + (ticket.lifetime if ticket.remember_for is None else ticket.remember_for)
        line.remember(ticket.message_id, until)
