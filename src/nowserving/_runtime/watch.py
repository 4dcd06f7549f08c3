"""Watches over the tickets of one event loop: what no push may have told, and time limits.

Pushes can be lost, so every ``wait_time_in_seconds`` all tickets of the loop, waiting and held, are
polled: one verb a conversation, all of them in shared round trips. Waiters sleep meanwhile; only
those with news are woken.

Between polls it minds the moments that nobody pushes: a lease that ends, ``max_hold``, a renewal
that fails. A turn that begins and ends between two ticks costs one comparison.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from nowserving._host.background import later, spawn
from nowserving._host.clock import monotonic
from nowserving._life.rules import NEVER
from nowserving.errors import LockError

if TYPE_CHECKING:
    from weakref import ReferenceType

    from nowserving._runtime.ticket import LiveTicket, TicketKey
    from nowserving.protocol.queue import TicketQueue

_LAST_ANSWER = 0.1
"""Seconds past the end of a lease for which an answer that prolongs it is still waited for."""


class WatchHost(Protocol):
    """What the store runs on (``runtime.py``)."""

    def forget(self, ticket: LiveTicket) -> None:
        """Give back a ticket that nobody is left to use."""
        ...


class Watch:
    """Looks after the tickets of one event loop; to be used on that loop only.

    Args:
        loop: The running loop.
        queue: Where the tickets stand.
        host: What the store runs on. It ends with the store, which the loop may outlive.

    Attributes:
        loop: The same loop.
        tickets: The tickets that were entered on it, and those of threads that it looks after.
        wakes_at: When it wakes next, monotonic.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        queue: TicketQueue[Any],
        host: ReferenceType[WatchHost],
    ) -> None:
        self.loop = loop
        self.tickets: dict[TicketKey, LiveTicket] = {}
        self.wakes_at = NEVER
        self._queue = queue
        self._host = host
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def mind(self, ticket: LiveTicket, now: float) -> None:
        """Look after a ticket from now on, until its body ends.

        Args:
            ticket: One of this loop's tickets, or one of a thread's.
            now: The monotonic clock.
        """
        if ticket.poll == "unwatched":
            ticket.poll = "resting"
        elif ticket.poll == "off":
            return  # left meanwhile
        moment = ticket.poll_at if ticket.poll_at > now else ticket.next_poll(now)
        if moment < self.wakes_at:
            self._arm(moment)

    def mind_for_thread(self, ticket: LiveTicket, now: float) -> None:
        """Look after the ticket of a thread, which has no loop; as :meth:`mind`."""
        ticket.watched_in = self.tickets
        self.tickets[ticket] = ticket
        if ticket.stay == "gone":  # left meanwhile
            self.tickets.pop(ticket, None)
        self.mind(ticket, now)

    def close(self) -> None:
        """Look after nobody any more."""
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()

    def hang_up(self) -> None:
        """There are no connections here."""

    def abandon(self) -> None:
        """The loop is closed, with whoever worked or waited on it: their tickets are given back."""
        host = self._host()
        if host is not None:
            for ticket in list(self.tickets.values()):
                if ticket.is_abandoned():
                    host.forget(ticket)

    def _arm(self, moment: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.wakes_at = moment
        self._timer = later(self.loop, max(moment - monotonic(), 0.0), self._wake)

    def _wake(self) -> None:
        self._timer, self.wakes_at = None, NEVER
        now = monotonic()
        due: dict[str, list[LiveTicket]] = {}
        soonest = NEVER
        # Copied without making anything that is collected: a finaliser takes tickets out, too.
        for ticket in list(self.tickets.values()):
            if ticket.poll in {"unwatched", "off"}:
                continue
            if ticket.poll_at <= now:
                ticket.carry_out(ticket.tick(now))
                # One question at a time for each ticket: on a machine that is too busy, or with a
                # store that is too slow, polls become rarer instead of piling up.
                if ticket.lease != "lost" and ticket.move_poll("ask"):
                    due.setdefault(ticket.handle.conversation_id, []).append(ticket)
            soonest = min(soonest, ticket.next_poll(now))
        for conversation_id, group in due.items():
            self._start_poll(conversation_id, group, now)
        if soonest < NEVER:
            self._arm(soonest)

    def _start_poll(self, conversation_id: str, tickets: list[LiveTicket], now: float) -> None:
        for ticket in tickets:
            if now >= ticket.ends_at:
                ticket.handle.clear_line_version()
        task = spawn(self.loop, self._poll(conversation_id, tickets))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _poll(self, conversation_id: str, tickets: list[LiveTicket]) -> None:
        # A store that does not answer must not hide that a held lease has ended: the question is
        # given up then, long before the store's own time limit, and the lock counts as lost.
        asked = monotonic()
        ends = [ticket.ends_at for ticket in tickets if ticket.is_holding()]
        patience = max(min(ends) - asked, 0.0) + _LAST_ANSWER if ends else None
        handles = [ticket.handle for ticket in tickets]
        try:
            question = self._queue.poll(conversation_id, handles)
            update = await asyncio.wait_for(question, patience)
        except asyncio.TimeoutError:
            self._failed(tickets, "the store does not answer")
        except LockError as error:
            self._failed(tickets, str(error))
        else:
            for ticket in tickets:
                if ticket.move_poll("answered"):
                    ticket.carry_out(ticket.seen(update, asked))
        finally:
            for ticket in tickets:
                ticket.move_poll("answered")

    @staticmethod
    def _failed(tickets: list[LiveTicket], why: str) -> None:
        now = monotonic()
        for ticket in tickets:
            ticket.carry_out(ticket.poll_failed(now, why))
