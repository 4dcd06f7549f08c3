"""``Ticket`` and ``TicketLock``: the reference's value objects, pure and without a store.

They are what ``get_lock`` returns and ``save_lock`` takes: a picture of a conversation's line at
one moment. Changing one changes nothing in a store until it is saved.
"""

from __future__ import annotations

import json
import time
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from typing_extensions import Self

NO_TICKET_ISSUED = -1
"""``last_issued`` of a lock without tickets."""


MOST_SUPERSEDED = 1000
"""How many messages a turn is told at the most that it answers for."""


class Superseded(tuple[str | int, ...]):  # noqa: SLOT001 - a tuple has no room for named slots
    """The messages that a turn answers for beside its own, oldest first.

    Each is its ``message_id``, or the number of its ticket where it had none. At most 1,000 are
    kept, the oldest.
    """

    _count: int

    @property
    def count(self) -> int:  # type: ignore[override]  # a tuple's own counts items that are equal
        """How many they were in all."""
        return self._count

    def __new__(cls, messages: Iterable[str | int] = (), count: int | None = None) -> Self:
        """Keep some messages; ``count`` are all that they stand for."""
        kept = tuple(messages)
        made = super().__new__(cls, kept[:MOST_SUPERSEDED])
        made._count = len(kept) if count is None else count
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (tuple(self), self.count))


class Ticket:
    """A place in a conversation's line.

    Args:
        number: The ticket's number, 0 and up.
        expires: Unix time in seconds at which the ticket stops counting.
    """

    __slots__ = ("expires", "number")

    def __init__(self, number: int, expires: float) -> None:
        self.number = number
        self.expires = expires

    def has_expired(self) -> bool:
        """Return whether the ticket's time is over, by this machine's clock."""
        return time.time() > self.expires

    def as_dict(self) -> dict[str, Any]:
        """Return ``{"number": …, "expires": …}``."""
        return {"number": self.number, "expires": self.expires}

    def dumps(self) -> str:
        """Return the ticket as a JSON object."""
        return json.dumps(self.as_dict())

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Ticket:
        """Read back what :meth:`as_dict` gave.

        Raises:
            KeyError: If ``number`` or ``expires`` is missing.
        """
        return cls(number=data["number"], expires=data["expires"])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Ticket):
            return NotImplemented
        return (self.number, self.expires) == (other.number, other.expires)

    __hash__ = None  # type: ignore[assignment]  # it is mutable: the reference extends `expires`

    def __repr__(self) -> str:
        return f"Ticket(number={self.number!r}, expires={self.expires!r})"


class TicketLock:
    """The line of one conversation, as a queue of tickets.

    Args:
        conversation_id: The conversation that is locked.
        tickets: Its live tickets in the order of their numbers; none by default.
    """

    seen_below = 0
    """``save_lock`` may remove only tickets that a store showed in this picture: those below this
    number, which the store sets. What it issued later is not ours to remove."""

    def __init__(self, conversation_id: str, tickets: Iterable[Ticket] | None = None) -> None:
        self.conversation_id = conversation_id
        self.tickets: deque[Ticket] = (
            tickets if isinstance(tickets, deque) else deque(tickets or ())
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TicketLock:
        """Read back the JSON object that :meth:`dumps` wrote, once parsed.

        Args:
            data: Has ``conversation_id`` and maybe ``tickets``, a list of JSON strings.
        """
        tickets = deque(Ticket.from_dict(json.loads(text)) for text in data.get("tickets") or ())
        return cls(data["conversation_id"], tickets)

    def dumps(self) -> str:
        """Return the lock as a JSON object; each ticket is a JSON string inside it."""
        return json.dumps(
            {
                "conversation_id": self.conversation_id,
                "tickets": [ticket.dumps() for ticket in self.tickets],
            }
        )

    def is_locked(self, ticket_number: int) -> bool:
        """Return whether ``ticket_number`` has to wait: another one is served."""
        return self.now_serving != ticket_number

    def issue_ticket(self, lifetime: float) -> int:
        """Append a ticket that lives ``lifetime`` seconds from now and return its number."""
        self.remove_expired_tickets()
        number = self.last_issued + 1
        self.tickets.append(Ticket(number, time.time() + lifetime))
        return number

    def remove_expired_tickets(self) -> None:
        """Drop every ticket whose time is over."""
        # In place: whoever holds the deque goes on seeing the lock's tickets.
        live = [ticket for ticket in self.tickets if not ticket.has_expired()]
        if len(live) != len(self.tickets):
            self.tickets.clear()
            self.tickets.extend(live)

    @property
    def last_issued(self) -> int:
        """Number of the last live ticket, ``NO_TICKET_ISSUED`` (-1) when there is none."""
        self.remove_expired_tickets()
        return self.tickets[-1].number if self.tickets else NO_TICKET_ISSUED

    @property
    def now_serving(self) -> int | None:
        """Number of the ticket that may work: the first live one, 0 when there is none."""
        self.remove_expired_tickets()
        return self.tickets[0].number if self.tickets else 0

    def is_someone_waiting(self) -> bool:
        """Return whether there is a live ticket, the holder's included."""
        return self.last_issued != NO_TICKET_ISSUED

    def has_lock_expired(self, ticket_number: int) -> bool:
        """Return whether ``ticket_number`` expired; one that is not there counts as expired."""
        ticket = self._ticket_for_ticket_number(ticket_number)
        return ticket is None or ticket.has_expired()

    def remove_ticket_for(self, ticket_number: int) -> None:
        """Drop the ticket ``ticket_number`` if it is there."""
        ticket = self._ticket_for_ticket_number(ticket_number)
        if ticket is not None:
            self.tickets.remove(ticket)

    def _ticket_for_ticket_number(self, ticket_number: int) -> Ticket | None:
        self.remove_expired_tickets()
        return next((ticket for ticket in self.tickets if ticket.number == ticket_number), None)

    def __repr__(self) -> str:
        return f"TicketLock({self.conversation_id!r}, {list(self.tickets)!r})"
