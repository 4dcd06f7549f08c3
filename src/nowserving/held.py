"""What ``lock()`` yields: the reference's ``TicketLock`` that knows its own ticket."""

from __future__ import annotations

from collections import deque
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Protocol

from nowserving.lock import Ticket, TicketLock

if TYPE_CHECKING:
    import asyncio

    from nowserving.lock import Superseded


MOST_ABSORBED = 250
"""How many messages one turn may absorb: they leave with it in one step."""


class Absorbed(NamedTuple):
    """A message that a holder has taken into its own turn.

    Attributes:
        number: The number of its ticket.
        message_id: The ``message_id`` that its ticket was taken with; None if it had none.
        label: The ``label`` that its ticket was taken with; None if it had none.
        waited: Seconds for which it has waited.
    """

    number: int
    message_id: str | None
    label: str | None
    waited: float


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

    @property
    def absorbed(self) -> tuple[Absorbed, ...]:
        """What it has taken into its turn so far."""
        ...

    async def absorb(self, limit: int | None) -> list[Absorbed]:
        """Take those who wait into its turn."""
        ...

    async def news(self) -> None:
        """Return as soon as somebody waits who is not absorbed."""
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
    def absorbed(self) -> tuple[Absorbed, ...]:
        """All messages that this turn has taken in so far (:meth:`absorb`), in that order."""
        return self._used.absorbed

    async def absorb(self, limit: int | None = None) -> list[Absorbed]:
        """Take the messages that wait into this turn: an agent that is asked more while it works.

        They stay in line. If the body ends well they leave with ``LockAbsorbed``, and their message
        ids count as done. If it ends in any other way (it fails, its lock is lost or released, it
        is interrupted, its process dies), they are served in order, as if nothing had been. So each
        is handled in this turn or in its own. Whoever waits with a message may give up, also after
        it was absorbed.

        Only tickets are absorbed that somebody waits with, and none twice: call it again for what
        has come since. A newer message does not supersede what is absorbed.

        It is awaited on any event loop; whoever holds the lock by a plain ``with`` has none, and
        can't use it.

        Args:
            limit: How many to take at most, 1 to 250; None for as many as there are. One turn
                absorbs no more than 250 altogether.

        Returns:
            What was taken in by this call, in order; empty if nobody waits.

        Raises:
            LockLost: If the lock is lost.
            RuntimeError: If its turn is over, or was entered by a plain ``with``.
            StoreUnavailable: If the store does not answer. What was absorbed all the same is
                returned by the next call.
            LockError: If the store can't do this.
            ValueError: If ``limit`` is out of range.
        """
        if limit is not None and (type(limit) is not int or not 1 <= limit <= MOST_ABSORBED):
            msg = f"limit={limit!r} must be a whole number from 1 to {MOST_ABSORBED}, or None."
            raise ValueError(msg)
        return await self._used.absorb(limit)

    async def news(self) -> None:
        """Return as soon as a message waits that :meth:`absorb` would take in.

        The store pushes it. A push that is lost is made up for by a question every
        ``wait_time_in_seconds``, for as long as somebody awaits this.

        Raises:
            LockLost: If the lock is lost, also while this waits.
            RuntimeError: If its turn is over, also while this waits, or was entered by a plain
                ``with``.
            StoreUnavailable: If the store does not answer.
            LockError: If the store can't do this.
        """
        await self._used.news()

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
