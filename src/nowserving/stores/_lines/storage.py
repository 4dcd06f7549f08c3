"""What the decisions need of whoever keeps a line: some fields, and a few ways to its tickets.

A verb reads what it needs, decides and writes, all of it in one atomic step of the store. Nothing
here costs more for a longer line, given an index by number, by owner and by message, but for
``has_waiting``, which may cost as much as it counts, and what returns many tickets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from nowserving.protocol.status import NOT_ISSUED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nowserving.lock import Superseded
    from nowserving.protocol.status import TicketStatus
    from nowserving.stores._lines.tokens import Tokens


class Handle(Protocol):
    """What whoever has a ticket shows of it."""

    @property
    def number(self) -> int:
        """Its number, ``NOT_ISSUED`` as long as its take has not been answered."""
        ...

    @property
    def owner(self) -> str:
        """Who has it, unique over all processes and all time."""
        ...


class Absorbing(NamedTuple):
    """What a line keeps of a holder that absorbs, or wants to know who waits (``absorption.py``).

    Attributes:
        by: The holder's number; with any other number served it says nothing.
        taken: How many it has absorbed, those that have left since included.
        upto: The highest number of them.
    """

    by: int
    taken: int
    upto: int


class Ticket(Protocol):
    """What a line keeps of a ticket. Moments are on the store's clock, in seconds.

    Attributes:
        number: Its number.
        expires: When it expires.
        lifetime: Seconds it lives unless renewed.
        claimed: Somebody has it. If not, it was issued to be redeemed, or saved by a picture.
        renewed: A heartbeat keeps it alive.
        served_at: When its turn began, None while it waits.
        interrupted: A newer message asks its holder to stop.
        message_id: The message that it is for, None if that was not said.
        answers: The messages that had to leave for it, None if none had.
        absorbed_by: The number of the holder that has taken its message in; ``NOT_ISSUED`` if none
            has. It counts while that number is served.
        remember_for: Seconds for which that is remembered once it is done, None for ``lifetime``.
        joined: When it joined the line; says nothing any more once it is served.
        label: What its owner calls it, None for nothing.
    """

    number: int
    expires: float
    lifetime: float
    claimed: bool
    renewed: bool
    served_at: float | None
    interrupted: bool
    message_id: str | None
    absorbed_by: int
    remember_for: float | None
    answers: Superseded | None
    joined: float
    label: str | None

    @property
    def owner(self) -> str:
        """Who has it; the secret of one to be redeemed; empty if nobody has it."""
        ...


T = TypeVar("T", bound=Ticket)


class LineStorage(Protocol[T]):
    """One conversation's record, in the hands of one verb.

    Attributes:
        next: The number of the next ticket to be issued.
        serving: The number that is served; equal to ``next`` when nobody is in line.
        token: The fencing token of the last turn that began.
        tokens: Where the next one comes from.
        predecessor: How the last turn that was held ended; ``"none"`` when nobody knows.
        superseded_below: Waiters with smaller numbers had to leave for a newer message.
        settles_until: Before that moment nobody's turn begins: more messages may come. 0 when
            nothing holds the line back, above all when nobody is in it.
        burst_since: When the first of these messages came.
        opened: Whether an empty line is still "a lock" to the reference API.
        absorbing: What the last holder that asked has absorbed; None where none has.
        mail: Notices for the owners of tickets, to be delivered once the verb's step is done.
    """

    next: int
    serving: int
    token: int
    tokens: Tokens
    predecessor: str
    superseded_below: int
    settles_until: float
    burst_since: float
    opened: bool
    absorbing: Absorbing | None
    mail: list[tuple[T, TicketStatus]]

    def ticket(self, number: int) -> T | None:
        """Return the ticket with this number, expired or not."""
        ...

    def find(self, owner: str) -> T | None:
        """Return the owner's ticket, the newest if there are several.

        Asked where a take has not been answered yet. A store that answers every take before
        anything can come between knows none.
        """
        ...

    def why_removed(self, handle: Handle, now: float) -> str:
        """Return what :meth:`note_removed` noted of this owner's ticket.

        Empty if it did not, or if the time of that is over.
        """
        ...

    def between(self, first: int, last: int) -> Sequence[T]:
        """Return the tickets with the numbers from ``first`` to ``last``, in their order."""
        ...

    def next_live(self, now: float) -> T | None:
        """Return the first live ticket behind the number that is served.

        The expired ones before it are taken out. In total that costs as much as they did to join.
        """
        ...

    def has_waiting(self, count: int, now: float) -> bool:
        """Return whether so many live tickets wait: the first one too, if the line settles."""
        ...

    def put(self, ticket: T) -> None:
        """Write a ticket under its number: one that joins, or one that has changed."""
        ...

    def remove(self, ticket: T) -> None:
        """Take a ticket out."""
        ...

    def note_removed(self, tickets: Sequence[T], why: str, now: float) -> None:
        """Note for their owners why somebody else has taken tickets out.

        Where there are tombstones, each of these is one.
        """
        ...

    def remove_from(self, number: int) -> Sequence[T]:
        """Take out all tickets from a number on, in one go, and return them in their order."""
        ...

    def of_message(self, message_id: str, now: float) -> T | None:
        """Return the live ticket whose message this is. Expired ones may have the same."""
        ...

    def remember(self, message_id: str, until: float) -> None:
        """Remember until then that a message is done, and keep the record if that is needed."""
        ...

    def remembers(self, message_id: str, now: float) -> bool:
        """Return whether a message is remembered as done. Some that no longer are may go."""
        ...

    def keep(self, until: float) -> None:
        """Keep the record until then at least, and longer if that was said before.

        While a ticket of it lives it is kept in any case, and one lifetime longer.
        """
        ...


class Tombstone(NamedTuple):
    """A note that a take must not be carried out any more when it comes late.

    Attributes:
        number: The number that its owner's ticket had, ``NOT_ISSUED`` if it had none.
        why: Why somebody else has taken that ticket out; empty if nobody has.
    """

    number: int = NOT_ISSUED
    why: str = ""


class AttemptStorage(LineStorage[T], Protocol[T]):
    """A record of a store in which a reply can be lost, and an attempt come late (``attempts.py``).

    Such a store finds a ticket by its owner.
    """

    def tombstone(self, owner: str) -> Tombstone | None:
        """Return the owner's tombstone. One whose time is over may still be there."""
        ...

    def bury(self, owner: str, tombstone: Tombstone, now: float) -> None:
        """Keep a tombstone, and the record, for as long as an attempt can be late.

        It replaces the one that the owner may have. Some old ones, of any owner, may go.
        """
        ...
