"""What ``lock()`` yields: the reference's ``TicketLock`` that knows its own lease."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

from nowserving.lock import Ticket, TicketLock

if TYPE_CHECKING:
    import asyncio

    from nowserving.protocol.handle import TicketHandle


class Holding(Protocol):
    """What a lock asks of the lease that it is held by (``lease.py``)."""

    handle: TicketHandle

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

    def meet(self) -> None:
        """Find out who works under the lock, if whoever entered it was another."""
        ...

    def expires(self) -> float:
        """Return the Unix time at which the ticket expires."""
        ...

    def is_lost(self) -> bool:
        """Return whether the lock is or may be somebody else's."""
        ...

    def lost_event(self) -> asyncio.Event:
        """Return the event that is set when the lock is lost."""
        ...


class HeldLock(TicketLock):
    """A lock that is being held.

    As a ``TicketLock`` it shows its own ticket and nobody else's: the whole line costs a look at
    the whole line, which ``store.get_lock(conversation_id)`` does when it is wanted.
    """

    def __init__(self, lease: Holding) -> None:
        self._lease = lease

    @property
    def _used(self) -> Holding:
        # Whoever asks anything of the lock works under it.
        self._lease.meet()
        return self._lease

    if not TYPE_CHECKING:  # a type checker that sees it takes every name for one that is there

        def __getattr__(self, name: str) -> object:
            # Made when somebody asks: most handlers never do, and every turn would pay for it.
            if name == "conversation_id":
                self.conversation_id = self._lease.handle.conversation_id
                return self.conversation_id
            if name == "tickets":
                self.tickets = deque((Ticket(self._lease.handle.number, self._lease.expires()),))
                return self.tickets
            msg = f"{type(self).__name__!r} object has no attribute {name!r}"
            raise AttributeError(msg)

    @property
    def ticket(self) -> int:
        """The number of the ticket that is served."""
        return self._used.handle.number

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
    def waited(self) -> float:
        """Seconds between asking for the lock and getting it."""
        return self._used.waited

    @property
    def lost(self) -> bool:
        """Whether the lock is, or may be, somebody else's by now.

        True as soon as the lease that the store last confirmed is over: from then on nothing
        but another look could tell, and the safe answer is "lost".
        """
        return self._used.is_lost()

    @property
    def lost_event(self) -> asyncio.Event:
        """An event that is set when the lock is lost; await it beside the work.

        It belongs to the holder's event loop; a synchronous holder asks :attr:`lost` instead.
        """
        return self._used.lost_event()
