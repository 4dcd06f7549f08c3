"""A conversation's record in memory: where a line's tickets and what it remembers are kept.

What is decided stands in ``stores/_lines``, which reads and writes this as any store's record. The
two steps of which nearly every turn is made stand here once more, each in one piece: the take of an
empty line, and the leave of the only one in it. They decide just so.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

from nowserving.protocol.status import SERVED, TicketStatus
from nowserving.stores._lines.status import make_status, status
from nowserving.stores.memory.ticket import MemoryTicket

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nowserving.protocol.handle import TicketHandle
    from nowserving.protocol.status import Admission, Outcome
    from nowserving.stores._lines.storage import Absorbing, Handle
    from nowserving.stores._lines.tokens import Tokens

_NEAR = 64
"""Numbers that are tried one after the other, at the least, before the tickets are searched."""


class Record:
    """One conversation's line and what is remembered of it, as ``LineStorage`` says.

    Args:
        tokens: Where fencing tokens come from.

    Attributes:
        tickets: The tickets by number; expired ones until they are walked past.
        kept_until: How long an empty record is kept.
        in_idle_list: Whether the sweep knows of it.
    """

    __slots__ = (
        "_first_waiter",
        "_messages",
        "_remembered",
        "_removed",
        "absorbing",
        "burst_since",
        "in_idle_list",
        "kept_until",
        "mail",
        "next",
        "opened",
        "predecessor",
        "serving",
        "settles_until",
        "superseded_below",
        "tickets",
        "token",
        "tokens",
    )

    def __init__(self, tokens: Tokens) -> None:
        self.next = 0
        self.serving = 0
        self.token = 0
        self.tokens = tokens
        self.predecessor = "none"
        self.superseded_below = 0
        self.settles_until = self.burst_since = 0.0
        self.opened = False
        self.absorbing: Absorbing | None = None
        self.mail: list[tuple[MemoryTicket, TicketStatus]] = []
        self.tickets: dict[int, MemoryTicket] = {}
        self.kept_until = 0.0
        self.in_idle_list = False
        self._first_waiter = -1  # the number that was told last that it is
        # A ticket's message maps to the ticket, a finished one's to the time until which it is
        # remembered. `_remembered` is a heap of the latter: lifetimes differ, so what is done
        # first need not be forgotten first.
        self._messages: dict[str, MemoryTicket | float] = {}
        self._remembered: list[tuple[float, str]] = []
        # By secret: until when it is known why somebody else has taken that ticket out.
        self._removed: dict[str, tuple[float, str]] | None = None

    # Nearly every turn

    def take_alone(self, ticket: MemoryTicket, admission: Admission, now: float) -> TicketStatus:
        """Do all that `admission.take` does where nobody is in line and nothing else is asked."""
        ticket.number = self.serving = number = self.next
        self.next = number + 1
        self.tickets[number] = ticket
        self._first_waiter = -1
        ticket.lifetime = left = admission.lifetime
        ticket.expires, ticket.served_at = now + left, now
        if admission.renewed:
            ticket.renewed = True
        if not admission.claimed:
            ticket.claimed = False
        if admission.label is not None:
            ticket.label = admission.label
        self.token = token = self.tokens.draw(self.token)
        return make_status((SERVED, number, 0, left, left, token, self.predecessor, "", 0.0))

    def leave_alone(self, handle: TicketHandle, outcome: Outcome, now: float) -> bool:
        """Do all that `removal.leave` does for the only one in line, if this is that.

        Returns:
            Whether it was done.
        """
        tickets, number = self.tickets, handle.number
        ticket = tickets.get(number)
        if ticket is not handle or ticket.message_id is not None or ticket.expires <= now:
            return False
        if self.settles_until:
            return False
        del tickets[number]
        if outcome != "abandoned":
            self.predecessor = outcome
        self.serving = self.next
        kept_until = now + ticket.lifetime
        if kept_until > self.kept_until:  # noqa: PLR1730 - a call of max() costs as much as the rest
            self.kept_until = kept_until
        return True

    # Tickets

    def ticket(self, number: int) -> MemoryTicket | None:
        """Return the ticket with this number."""
        return self.tickets.get(number)

    def find(self, owner: str) -> MemoryTicket | None:  # noqa: ARG002
        """Return None: a take is answered here before anything can come between."""
        return None

    def why_removed(self, handle: Handle, now: float) -> str:
        """Return why somebody else has taken this ticket out: it knows by itself, if it is this."""
        if isinstance(handle, MemoryTicket) and handle.removed:
            return handle.removed
        until, why = (self._removed or {}).get(handle.owner, (0.0, ""))
        return why if until > now else ""

    def between(self, first: int, last: int) -> Sequence[MemoryTicket]:
        """Return the tickets with these numbers."""
        tickets = self.tickets
        if last - first > _NEAR + len(tickets):
            return [tickets[number] for number in sorted(tickets) if first <= number <= last]
        return list(filter(None, map(tickets.get, range(first, last + 1))))

    def next_live(self, now: float) -> MemoryTicket | None:
        """Return the first live ticket behind the number that is served."""
        number = self.serving + 1
        while self.tickets:
            ticket = self.tickets.get(number)
            if ticket is None:
                number = self._next_number(number)
            elif ticket.expires > now:
                return ticket
            else:
                self.remove(ticket)
                self.keep(now + ticket.lifetime)
        return None

    def _next_number(self, number: int) -> int:
        """Return the first number from this one on that has a ticket; there is one."""
        tickets = self.tickets
        for near in range(number, number + _NEAR + len(tickets)):
            if near in tickets:
                return near
        return min(far for far in tickets if far > number)  # a picture's numbers may leave gaps

    def has_waiting(self, count: int, now: float) -> bool:
        """Return whether so many live tickets wait."""
        if len(self.tickets) < count:
            return False
        for ticket in self.tickets.values():
            if count <= 0:
                break
            if ticket.served_at is None and ticket.expires > now:
                count -= 1
        return count <= 0

    def put(self, ticket: MemoryTicket) -> None:
        """Write a ticket under its number."""
        if not self.tickets:
            self._first_waiter = -1
        self.tickets[ticket.number] = ticket
        if ticket.message_id is not None:
            self._messages[ticket.message_id] = ticket

    def remove(self, ticket: MemoryTicket) -> None:
        """Take a ticket out."""
        del self.tickets[ticket.number]
        message_id = ticket.message_id
        if message_id is not None and self._messages.get(message_id) is ticket:
            del self._messages[message_id]

    def note_removed(self, tickets: Sequence[MemoryTicket], why: str, now: float) -> None:
        """Have the tickets know why they are taken out: their owners have these very objects.

        Whoever may yet redeem one has only its secret, and until its end to do so.
        """
        for ticket in tickets:
            ticket.removed = why
            if not ticket.claimed:
                self._removed = {
                    owner: noted for owner, noted in (self._removed or {}).items() if noted[0] > now
                }
                self._removed[ticket.owner] = (ticket.expires, why)

    def remove_from(self, number: int) -> Sequence[MemoryTicket]:
        """Take out all tickets from a number on."""
        removed = self.between(number, self.next - 1)
        for ticket in removed:
            self.remove(ticket)
        return removed

    # Messages

    def of_message(self, message_id: str, now: float) -> MemoryTicket | None:
        """Return the live ticket whose message this is."""
        known = self._messages.get(message_id)
        return known if isinstance(known, MemoryTicket) and known.expires > now else None

    def remember(self, message_id: str, until: float) -> None:
        """Remember that a message is done."""
        self._messages[message_id] = until
        heappush(self._remembered, (until, message_id))
        self.keep(until)

    def remembers(self, message_id: str, now: float) -> bool:
        """Return whether a message is remembered as done; forget all that no longer are."""
        while self._remembered and self._remembered[0][0] <= now:
            until, old = heappop(self._remembered)
            if self._messages.get(old) == until:  # else it came again since
                del self._messages[old]
        return isinstance(self._messages.get(message_id), float)

    # The record

    def keep(self, until: float) -> None:
        """Keep the record until then at least."""
        if until > self.kept_until:  # noqa: PLR1730 - a call of max() costs as much as the rest
            self.kept_until = until

    def tell_first_waiter(self, now: float) -> None:
        """Send mail to whoever has become the first one behind the ticket that is served.

        Nothing is pushed when a ticket just expires. The first waiter minds that moment for the
        whole line, so it has to know whose end it waits for.
        """
        told = self._first_waiter
        if told > self.serving and told in self.tickets:
            return
        number = max(told, self.serving) + 1
        if number not in self.tickets:
            number = self._next_number(number)
        self._first_waiter, ticket = number, self.tickets[number]
        self.mail.append((ticket, status(self, ticket, now)))
