"""What ``lock()`` yields: the reference's ``TicketLock`` that knows its own ticket."""

from __future__ import annotations

from collections import deque
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from nowserving.lock import Ticket, TicketLock

if TYPE_CHECKING:
    import asyncio

    from nowserving.lock import Superseded


class HeldTicket(Protocol):
    """What a lock asks of the ticket that it is held by (``_runtime/ticket.py``)."""

    @property
    def conversation_id(self) -> str:
        """The conversation."""
        ...

    @property
    def number(self) -> int:
        """The ticket's number."""
        ...

    @property
    def token(self) -> int:
        """The fencing token of the turn."""
        ...

    @property
    def predecessor(self) -> str:
        """How the turn before this one ended."""
        ...

    @property
    def waited(self) -> float:
        """Seconds between asking and being served."""
        ...

    @property
    def superseded(self) -> Superseded:
        """What its turn answers for beside its own message."""
        ...

    def meet(self) -> None:
        """Find out who works under the lock, if whoever entered it was another."""
        ...

    def expires(self) -> float:
        """Return the Unix time at which the ticket expires."""
        ...

    def is_lost_now(self) -> bool:
        """Return whether the lock is, or may be, somebody else's."""
        ...

    def lost_event(self) -> asyncio.Event:
        """Return the event that is set when the lock is lost."""
        ...


class HeldLock(TicketLock):
    """A lock that is being held.

    As a ``TicketLock`` it shows its own ticket and nobody else's: reading the whole line costs a
    question of its own, which ``store.get_lock(conversation_id)`` asks.
    """

    def __init__(self, ticket: HeldTicket) -> None:
        self._ticket = ticket

    @property
    def _used(self) -> HeldTicket:
        # Whoever asks anything of the lock works under it.
        self._ticket.meet()
        return self._ticket

    # Made when somebody asks: most handlers never do, and every turn would pay for it.

    @cached_property
    def conversation_id(self) -> str:  # type: ignore[override]  # settable, as the reference's is
        """The conversation that is locked."""
        return self._ticket.conversation_id

    @cached_property
    def tickets(self) -> deque[Ticket]:  # type: ignore[override]
        """Its own ticket, as it stood when this was asked for first."""
        return deque((Ticket(self._ticket.number, self._ticket.expires()),))

    @property
    def ticket(self) -> int:
        """The number of the ticket that is served."""
        return self._used.number

    @property
    def fencing_token(self) -> int:
        """An integer that grows with every turn of this conversation, for ever.

        A resource that stores the highest token it has seen and refuses smaller ones is safe
        from a holder that was paused past its lease.
        """
        return self._used.token

    @property
    def predecessor(self) -> str:
        """How the turn before this one ended.

        ``"done"``, ``"failed"`` (its body raised), ``"expired"``, ``"interrupted"``,
        ``"released"`` (by an operator), or ``"none"`` when the store remembers none.
        """
        return self._used.predecessor

    @property
    def superseded(self) -> Superseded:
        """The messages that had to leave for this one, and which this turn answers for.

        Those that ``when_busy="latest"`` or ``"interrupt"`` has superseded, oldest first, and those
        that they had superseded themselves: message ids, else the numbers of their tickets. At most
        1,000 are told; ``superseded.count`` says how many they were.
        """
        return self._used.superseded

    @property
    def waited(self) -> float:
        """Seconds between asking for the lock and getting it."""
        return self._used.waited

    @property
    def lost(self) -> bool:
        """Whether the lock is, or may be, somebody else's by now.

        True as soon as the lease that the store last confirmed is over: from then on nothing
        but another question could tell, and the safe answer is "lost".
        """
        return self._used.is_lost_now()

    @property
    def lost_event(self) -> asyncio.Event:
        """An event that is set when the lock is lost; await it beside the work.

        It belongs to the holder's event loop; a synchronous holder asks :attr:`lost` instead.
        """
        return self._used.lost_event()
