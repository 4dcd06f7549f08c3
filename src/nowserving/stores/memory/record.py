"""A conversation's record in memory: who is in line, who is served, what is remembered.

Pure bookkeeping: no clock (``now`` is given), no lock, no waiting. The Lua verbs of the Redis
queue decide exactly the same things in the same order over a hash; read either beside the other.
"""

from __future__ import annotations

import math
from functools import partial
from heapq import heappop, heappush
from itertools import islice
from time import time_ns
from typing import TYPE_CHECKING

from nowserving.protocol.status import SERVED, State, TicketStatus
from nowserving.stores.memory.ticket import MemoryTicket

if TYPE_CHECKING:
    from nowserving.protocol.handle import TicketHandle
    from nowserving.protocol.status import Admission, IssuedTicket, Outcome

_served = partial(tuple.__new__, TicketStatus)
"""Makes a standing of all its fields: twice as fast as calling it, which most turns wait for."""

_SUPERSEDING = frozenset({"latest", "interrupt"})

_A_FEW = 8
"""Of how many tickets next in line a waiter minds when they may end."""

_UNKNOWN = 1.0
"""Seconds after which it looks again when all of those have expired, and others are behind them."""


class Tokens:
    """Draws fencing tokens that grow for ever, over every record of a queue."""

    def __init__(self) -> None:
        self._highest = 0

    def draw(self, last: int) -> int:
        """Return a token above ``last`` and above every one drawn before.

        The clock makes it grow over a record that was dropped, the highest one drawn makes it
        grow over a clock that was set back.
        """
        token = time_ns() // 1000
        if token <= self._highest:
            token = self._highest + 1
        if token <= last:
            token = last + 1
        self._highest = token
        return token


class Record:
    """One conversation's line and what is remembered of it.

    Args:
        tokens: Where fencing tokens come from.

    Attributes:
        next: The number of the next ticket to be issued.
        serving: The number that is served; equal to ``next`` when nobody is in line.
        tickets: The tickets by number; expired ones until they are walked past.
        opened: Whether an empty line is still "a lock" to the reference API.
        mail: Notices for the owners of tickets, to be delivered when the step is done.
        idle_until: How long an empty record is kept.
        in_idle_list: Whether the sweep knows of it.
    """

    __slots__ = (
        "_messages",
        "_predecessor",
        "_remembered",
        "_superseded_below",
        "_token",
        "_tokens",
        "_told",
        "idle_until",
        "in_idle_list",
        "mail",
        "next",
        "opened",
        "serving",
        "tickets",
    )

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self.next = 0
        self.serving = 0
        self.tickets: dict[int, MemoryTicket] = {}
        self.opened = False
        self.mail: list[tuple[MemoryTicket, TicketStatus]] = []
        self.idle_until = 0.0
        self.in_idle_list = False
        self._told = -1
        self._token = 0
        self._superseded_below = 0
        self._predecessor = "none"
        # A live ticket's message maps to the ticket, a finished one's to the time until which it
        # is remembered. `_remembered` is a heap of the latter: lifetimes differ, so what is done
        # first need not be forgotten first.
        self._messages: dict[str, MemoryTicket | float] = {}
        self._remembered: list[tuple[float, str]] = []

    # Coming

    def admit(self, ticket: MemoryTicket, admission: Admission, now: float) -> TicketStatus:
        """Let a ticket join the line, or say why not."""
        if not self.tickets and admission.message_id is None:
            # Nobody is here, and nothing is to be compared: nearly always. All that `join` and
            # `_serve` do, in one place.
            ticket.number = self.serving = number = self.next
            self.next = number + 1
            self.tickets[number] = ticket
            left = admission.lifetime
            ticket.admission, ticket.expires, ticket.served_at = admission, now + left, now
            self._token = token = self._tokens.draw(self._token)
            return _served((SERVED, number, 0, left, left, token, self._predecessor, "", 0.0))
        refusal = self._refuse(admission, now)
        if refusal is not None:
            return refusal
        if self.tickets and admission.when_busy in _SUPERSEDING:
            self._supersede(now)
            if admission.when_busy == "interrupt":
                self._interrupt(now)
        self.join(ticket, admission, now)
        if admission.message_id is not None:
            ticket.message_id = admission.message_id
            self._messages[admission.message_id] = ticket
        if len(self.tickets) == 1:
            self.serving = ticket.number
            self._serve(ticket, now)
        return self.status(ticket, now)

    def join(self, ticket: MemoryTicket, admission: Admission, now: float) -> None:
        """Put a ticket at the end of the line."""
        ticket.number = number = self.next
        ticket.admission, ticket.expires = admission, now + admission.lifetime
        self.tickets[number] = ticket
        self.next = number + 1

    def redeem(
        self, issued: IssuedTicket, ticket: MemoryTicket, admission: Admission, now: float
    ) -> TicketStatus:
        """Let a ticket take the place of one that was issued earlier, or say why not."""
        number = int(issued)
        known = self.tickets.get(number)
        if known is None or known.expires <= now:  # expired: its message may be in line again
            return self.gone(number)
        if known.admission.claimed or (issued.secret and issued.secret != known.owner):
            return TicketStatus(State.GONE, number)
        message_id = admission.message_id
        if message_id is not None:
            of_message = self._known(message_id, now)
            if of_message is not None and of_message is not known:
                return TicketStatus(State.DUPLICATE, detail=_progress(of_message))
            self._note_message(known, "abandoned", now)  # it may have been issued for another
            known.message_id = message_id
        ticket.take_over(known)
        ticket.admission, ticket.expires = admission, now + admission.lifetime
        self.tickets[number] = ticket
        if ticket.message_id is not None:
            self._messages[ticket.message_id] = ticket
        return self.status(ticket, now)

    def _refuse(self, admission: Admission, now: float) -> TicketStatus | None:
        if admission.message_id is not None:
            known = self._known(admission.message_id, now)
            if known is not None:
                return TicketStatus(State.DUPLICATE, detail=_progress(known))
        if not self.tickets:
            return None
        if admission.when_busy == "reject" or self._is_full(admission, now):
            holder = self.tickets[self.serving]
            return TicketStatus(
                State.BUSY,
                ahead=self.next - self.serving,
                detail=holder.owner,
                since=now - (holder.served_at or now),
            )
        return None

    def _is_full(self, admission: Admission, now: float) -> bool:
        limit = admission.max_waiting
        if limit is None or len(self.tickets) <= limit:
            return False
        if admission.when_busy in _SUPERSEDING:  # the waiters will make room
            return limit == 0
        waiters = (ticket for ticket in self.tickets.values() if ticket.served_at is None)
        return sum(1 for waiter in waiters if waiter.expires > now) >= limit

    def _supersede(self, now: float) -> None:
        for waiter in [t for t in self.tickets.values() if t.served_at is None]:
            self.drop(waiter, "abandoned", now)
            self.mail.append((waiter, TicketStatus(State.SUPERSEDED, waiter.number)))
        self._superseded_below = self.next

    def _interrupt(self, now: float) -> None:
        holder = self.tickets.get(self.serving)
        if holder is not None and not holder.interrupted:
            holder.interrupted = True
            self.mail.append((holder, self.status(holder, now)))

    # Going

    def drop(self, ticket: MemoryTicket, outcome: Outcome, now: float) -> None:
        """Take a ticket out, noting how its stay ended for its successor and for its message."""
        del self.tickets[ticket.number]
        idle_until = now + ticket.admission.lifetime
        if idle_until > self.idle_until:  # noqa: PLR1730 - a call of max() costs as much as the rest
            self.idle_until = idle_until
        # Whoever left before it knew that it was served has held nothing.
        if ticket.served_at is not None and outcome != "abandoned":
            self._predecessor = outcome
        if ticket.message_id is not None:
            self._note_message(ticket, outcome, now)

    def _note_message(self, ticket: MemoryTicket, outcome: Outcome, now: float) -> None:
        if self._messages.get(ticket.message_id or "") is not ticket:
            return  # it expired, and its message came again since
        if outcome == "done":
            until = now + ticket.lifetime
            self._messages[ticket.message_id or ""] = until
            heappush(self._remembered, (until, ticket.message_id or ""))
        else:
            del self._messages[ticket.message_id or ""]

    def dismiss(self, ticket: MemoryTicket, outcome: Outcome, now: float) -> None:
        """Take a ticket out for somebody else than its owner, who is told."""
        self.drop(ticket, outcome, now)
        self.mail.append((ticket, TicketStatus(State.GONE, ticket.number)))

    def _known(self, message_id: str, now: float) -> MemoryTicket | float | None:
        """Return what is known of a message: its live ticket, or until when it is remembered."""
        self._forget_old_messages(now)
        known = self._messages.get(message_id)
        if isinstance(known, MemoryTicket) and known.expires <= now:
            return None
        return known

    def _forget_old_messages(self, now: float) -> None:
        while self._remembered and self._remembered[0][0] <= now:
            until, message_id = heappop(self._remembered)
            if self._messages.get(message_id) == until:  # else it came again since
                del self._messages[message_id]

    def restart_at(self, number: int) -> None:
        """Let the numbers of an empty line begin anew: order never rests on a number alone."""
        self.next = self.serving = number
        self._superseded_below = 0
        self._told = -1

    # Being served

    def settle(self, now: float) -> None:
        """Walk past the tickets that are gone and serve the first live one, who gets mail."""
        tickets = self.tickets
        while self.serving < self.next:
            head = tickets.get(self.serving)
            if head is None:
                self.serving += 1
            elif head.expires <= now:
                self.drop(head, "expired", now)
            elif head.served_at is not None:
                return
            else:
                self._serve(head, now)
                self.mail.append((head, self.status(head, now)))
                return

    def tell_first_waiter(self, now: float) -> None:
        """Send mail to whoever has become the first one behind the ticket that is served.

        Nothing is pushed when a ticket just expires. The first waiter minds that moment for the
        whole line, so it has to know whose end it waits for.
        """
        for number, ticket in self.tickets.items():
            if ticket.served_at is None:
                if number != self._told:
                    self._told = number
                    self.mail.append((ticket, self.status(ticket, now)))
                return

    def _serve(self, head: MemoryTicket, now: float) -> None:
        self._token = self._tokens.draw(self._token)
        head.served_at = now
        if head.restarts:
            head.expires = now + head.lifetime

    def find(self, handle: TicketHandle, now: float) -> MemoryTicket | None:
        """Return the live ticket at a place, if it is there and its owner's."""
        ticket = self.tickets.get(handle.number)
        if ticket is not handle and (ticket is None or ticket.owner != handle.owner):
            return None
        return ticket if ticket.expires > now else None

    def status(self, ticket: MemoryTicket, now: float) -> TicketStatus:
        """Tell where a ticket of this line stands."""
        left = ticket.expires - now
        if ticket.served_at is not None:
            state = State.INTERRUPTED if ticket.interrupted else State.SERVED
            return TicketStatus(state, ticket.number, 0, left, left, self._token, self._predecessor)
        ahead = ticket.number - self.serving
        blocked_for = self.tickets[self.serving].expires - now
        if ahead > 1:
            blocked_for = min(blocked_for, self._soonest_end(ticket, now))
        return TicketStatus(State.WAITING, ticket.number, ahead, left, blocked_for)

    def _soonest_end(self, waiter: MemoryTicket, now: float) -> float:
        """Return in how many seconds one of those before a waiter could end, were it served now.

        Nobody tells it of that: a ticket that is not redeemed yet is served, and expires.
        """
        soonest = math.inf
        for ticket in islice(self.tickets.values(), 1, 1 + _A_FEW):
            if ticket is waiter:
                return soonest
            if ticket.expires > now:
                ends = ticket.lifetime if ticket.restarts else ticket.expires - now
                soonest = min(soonest, ends)
        return _UNKNOWN if soonest == math.inf else soonest

    def gone(self, number: int) -> TicketStatus:
        """Tell of a ticket that is not in line any more."""
        superseded = number < self._superseded_below
        return TicketStatus(State.SUPERSEDED if superseded else State.GONE, number)


def _progress(known: MemoryTicket | float) -> str:
    if isinstance(known, float):
        return "done"
    return "waiting" if known.served_at is None else "working"
