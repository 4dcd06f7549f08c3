"""A ticket as it stands in its row."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from nowserving.lock import Superseded
from nowserving.protocol import names
from nowserving.protocol.status import NOT_ISSUED

_CLAIMED, _RENEWED, _INTERRUPTED = 1, 2, 4


@dataclass(slots=True)
class RowTicket:
    """A ticket of a line (see ``stores/_lines/storage.py``).

    Attributes:
        stored: Whether it has a row.
    """

    owner: str = ""
    number: int = NOT_ISSUED
    expires: float = 0.0
    lifetime: float = 0.0
    claimed: bool = True
    renewed: bool = False
    interrupted: bool = False
    served_at: float | None = None
    joined: float = 0.0
    absorbed_by: int = NOT_ISSUED
    message_id: str | None = None
    label: str | None = None
    remember_for: float | None = None
    answers: Superseded | None = None
    stored: bool = False


def read_ticket(row: tuple[Any, ...]) -> RowTicket:
    """Return the ticket of a row as ``tickets.sql`` selects it."""
    number, owner, expires, lifetime, flags, served_at, joined, absorbed_by, *seldom = row
    ticket = RowTicket(
        owner,
        number,
        expires,
        lifetime,
        bool(flags & _CLAIMED),
        bool(flags & _RENEWED),
        bool(flags & _INTERRUPTED),
        served_at,
        joined,
        absorbed_by,
        stored=True,
    )
    if seldom != _NOTHING:
        message_id, label, ticket.remember_for, answers = seldom
        ticket.message_id, ticket.label = _decoded(message_id), _decoded(label)
        if answers is not None:
            count, *messages = json.loads(answers)
            ticket.answers = Superseded(messages, count)
    return ticket


def changing_columns(ticket: RowTicket) -> tuple[Any, ...]:
    """Return what ``write_ticket`` writes of a ticket."""
    return (
        ticket.expires,
        ticket.lifetime,
        _flags(ticket),
        ticket.served_at,
        ticket.absorbed_by,
        *_seldom(ticket),
    )


def all_columns(ticket: RowTicket) -> tuple[Any, ...]:
    """Return what ``add_ticket`` writes of a ticket, but for the line."""
    return (
        ticket.number,
        ticket.owner,
        ticket.expires,
        ticket.lifetime,
        _flags(ticket),
        ticket.served_at,
        ticket.joined,
        ticket.absorbed_by,
        *_seldom(ticket),
    )


_NOTHING = [None] * 4


def _flags(ticket: RowTicket) -> int:
    return ticket.claimed * _CLAIMED + ticket.renewed * _RENEWED + ticket.interrupted * _INTERRUPTED


def _seldom(ticket: RowTicket) -> tuple[Any, ...]:
    answers = ticket.answers
    return (
        _encoded(ticket.message_id),
        _encoded(ticket.label),
        ticket.remember_for,
        None if answers is None else json.dumps([answers.count, *answers]),
    )


def _encoded(text: str | None) -> bytes | None:
    return None if text is None else names.encode(text)


def _decoded(stored: bytes | None) -> str | None:
    return None if stored is None else names.decode(stored)
