"""What a caller and a queue say to each other: value objects, no behaviour.

A turn hands a queue a ticket handle (``handle.py``) and an :class:`Admission`; the queue answers
with a :class:`TicketStatus`. All times are seconds, and all of them are *durations* ("in 3.2 s"),
never moments: a queue's clock is not its caller's clock.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from typing_extensions import Self

    from nowserving.held import Absorbed

WhenBusy = Literal["queue", "reject", "latest", "interrupt"]
"""What a new message does when the conversation is busy."""

WhenFull = Literal["reject", "drop_oldest"]
"""What a new message does when ``max_waiting`` wait already."""

Outcome = Literal["done", "failed", "interrupted", "expired", "released", "abandoned"]
"""How a stay in line ended; ``abandoned`` is a waiter that left before it was served."""

_SECRET = re.compile(r"[A-Za-z0-9._~-]*")
"""What ``identity.nonce`` draws, and nothing that could not be sent."""

NOT_ISSUED = -1
"""The number of a handle whose take has not been answered (yet)."""


class State(Enum):
    """Where a ticket stands."""

    SERVED = "S"
    WAITING = "W"
    GONE = "G"
    """It is not in line: expired, released, or never issued."""
    SUPERSEDED = "X"
    """A newer message took its place."""
    ABSORBED = "A"
    """The holder took it into its own turn, which has ended well."""
    INTERRUPTED = "I"
    """It is served, and a newer message asks it to stop."""
    BUSY = "B"
    """It was not issued: the policy or the limit refused it."""
    DUPLICATE = "D"
    """It was not issued: its message is known."""


SERVED, WAITING, INTERRUPTED = State.SERVED, State.WAITING, State.INTERRUPTED
"""For the hot path: up to Python 3.10 each ``State.SERVED`` is a call."""

ANSWERS = "answers"
"""The detail of a served ticket for which others had to leave: its queue is asked which."""

ALIVE = frozenset({State.SERVED, State.WAITING, State.INTERRUPTED})
"""The states of a ticket that is in line."""


@dataclass(frozen=True)
class Admission:
    """What a take asks for; all that needs the store's atomicity is decided from it.

    Attributes:
        lifetime: Seconds the ticket lives unless it is renewed.
        renewed: Its owner's heartbeat keeps it alive, so being served does not restart its life.
        when_busy: What to do when the conversation is busy.
        max_waiting: How many tickets may wait; None for no limit.
        when_full: What to do when so many wait already.
        settle: Seconds for which nothing newer has to come before it is served; None for none.
        settle_max: Seconds from the first message of a burst after which it is served all the same;
            None for no limit.
        message_id: Refuse when the message with this id is known; None for no check.
        remember_for: Seconds for which it stays known once it is done; None for one lifetime.
        redeem: The ticket issued earlier that this take redeems, None for a new one.
        claimed: False for a ticket to be redeemed later: it has no inbox, and being served does
            not restart its life.
        label: What its owner calls it, for whoever looks at the line; None for nothing.
    """

    lifetime: float
    renewed: bool = False
    when_busy: WhenBusy = "queue"
    max_waiting: int | None = None
    when_full: WhenFull = "reject"
    settle: float | None = None
    settle_max: float | None = None
    message_id: str | None = None
    remember_for: float | None = None
    redeem: IssuedTicket | None = None
    claimed: bool = True
    label: str | None = None


class TicketStatus(NamedTuple):
    """A queue's answer: where a ticket stood at the moment the store looked.

    Attributes:
        state: See :class:`State`.
        number: The ticket's number.
        ahead: How many places are in front of it, the holder's included (0 when it is served).
        expires_in: Seconds until it expires unless renewed.
        blocked_for: Seconds until the line may move on without a push to this ticket.
        token: The fencing token of the turn, once it is served.
        predecessor: How the turn before this one ended; ``"none"`` when nobody knows.
        detail: For ``BUSY`` the holder's owner id, for ``DUPLICATE`` how far the message
            is, for ``GONE``, ``SUPERSEDED`` and ``ABSORBED`` why: ``"expired"``, ``"released"``,
            ``"superseded"``, what :func:`absorbed_by` or :func:`released_for` returns, or empty
            if the store keeps no trace of it; for a served one ``ANSWERS`` if others had to leave
            for it.
        since: For ``BUSY``, seconds since the holder is being served.
    """

    state: State
    number: int = NOT_ISSUED
    ahead: int = 0
    expires_in: float = 0.0
    blocked_for: float = 0.0
    token: int = 0
    predecessor: str = "none"
    detail: str = ""
    since: float = 0.0


class Absorption(NamedTuple):
    """What a queue says of the messages that a holder takes into its own turn.

    Attributes:
        holder: The status of the holder itself; with any but ``SERVED`` and ``INTERRUPTED`` nothing
            else is said.
        taken: How many this turn has absorbed by now, those that have left since included.
        more: Whether somebody waits who is not absorbed, and could be.
        tickets: Those that are absorbed and in line, in their order.
        repeated: The question was sent more than once: an attempt may still be on its way, and
            absorb what this does not tell of.
    """

    holder: TicketStatus
    taken: int = 0
    more: bool = False
    tickets: tuple[Absorbed, ...] = ()
    repeated: bool = False


class KeptPlace(NamedTuple):
    """What is left in line where a wait for an issued ticket ends without a turn.

    Attributes:
        issued: The ticket as it was redeemed, and may be redeemed again.
        lifetime: Seconds within which it has to be.
    """

    issued: IssuedTicket
    lifetime: float


ABSORBED = "absorbed"
"""Why a ticket is gone that the holder took into its own turn."""

EXPIRED, RELEASED = "its ticket expired", "its ticket was released by someone else"

LEASE_ENDED = "its lease ended before it could be renewed"
"""Nobody has asked the store since: why a ticket is gone only a store can say."""

UNKNOWN = "the store no longer knows its ticket: it expired long ago, or the store's data was lost"

_WHY_GONE = {
    "expired": EXPIRED,
    "released": RELEASED,
    # Only waiters are superseded. Said to a holder it means that its number is below the mark, and
    # that the store knows of nothing else that has ended its turn.
    "superseded": EXPIRED,
    "absorbed": EXPIRED,
    "": UNKNOWN,
}


def why_gone(detail: str) -> str:
    """Return in words why a lock is lost, from the ``detail`` or ``why`` that a store gives."""
    reason = release_reason(detail)
    if reason is not None:
        return f"{RELEASED}: {reason}" if reason else RELEASED
    return EXPIRED if absorber(detail) is not None else _WHY_GONE.get(detail, detail)


_RELEASED_FOR = "released:"


def released_for(reason: str) -> str:
    """Return the ``detail`` of a ticket that ``store.release`` takes out, for this reason."""
    return _RELEASED_FOR + reason


def release_reason(detail: str) -> str | None:
    """Return the reason of a release, empty if none was given; None if it was none."""
    return detail[len(_RELEASED_FOR) :] if detail.startswith(_RELEASED_FOR) else None


def absorbed_by(number: int) -> str:
    """Return the ``detail`` of a ticket that the holder with this number took in."""
    return f"{ABSORBED}:{number}"


def absorber(detail: str) -> int | None:
    """Return the number of the holder that took a ticket in; None if none did, or it is unknown."""
    why, _, number = detail.partition(":")
    return int(number) if why == ABSORBED and number else None


class Departure(NamedTuple):
    """What a queue says of a leave.

    Attributes:
        left: The ticket was there and is not any more.
        someone_waiting: There is a live ticket in the line.
        why: Why it was not there, in the words of ``TicketStatus.detail``; empty where it was.
    """

    left: bool
    someone_waiting: bool
    why: str = ""


class LineUpdate(NamedTuple):
    """What one poll of a line brings for many of its tickets.

    Attributes:
        serving: The number that is served.
        blocked_for: Seconds until the ticket that is served expires unless renewed.
        news: By owner the status of each ticket asked about that does not merely wait. Two
            tickets of one process can have one number, after a store has lost its data.
    """

    serving: int
    blocked_for: float
    news: dict[str, TicketStatus]


class PicturedTicket(NamedTuple):
    """One live ticket of a line, as an operator sees it.

    Attributes:
        number: Its number.
        expires_in: Seconds until it expires unless renewed.
        owner: Its owner id, while nobody has claimed it its secret.
        served_for: Seconds since it is being served, None while it waits.
        waited: Seconds since it joined, None if that is not known, or says nothing any more.
        label: What its owner calls it, None for nothing.
        message_id: The message that it is for, None if that was not said.
        absorbed: The holder has taken it into its own turn.
        settling: It waits for the line to settle.
        claimed: Somebody waits for it, or holds by it: it is none that is yet to be redeemed.
    """

    number: int
    expires_in: float
    owner: str
    served_for: float | None
    waited: float | None = None
    label: str | None = None
    message_id: str | None = None
    absorbed: bool = False
    settling: bool = False
    claimed: bool = True


class LinePicture(NamedTuple):
    """A whole conversation's line.

    Attributes:
        next_number: The number of the next ticket to be issued.
        tickets: The live tickets in the order of their numbers.
    """

    next_number: int
    tickets: tuple[PicturedTicket, ...]


class IssuedTicket(int):
    """A ticket's number that also knows its secret: what ``take_ticket`` and ``issue_ticket`` give.

    It *is* the number (an ``int``), so the reference's methods take it. Its ``str()`` carries
    number and secret, so that it may travel as text; it pickles.
    """

    secret: str

    def __new__(cls, number: int, secret: str = "") -> Self:
        """Make the ticket ``number`` with the secret that its issuer drew."""
        ticket = super().__new__(cls, number)
        ticket.secret = secret
        return ticket

    @classmethod
    def parse(cls, ticket: int | str) -> IssuedTicket:
        """Read what a caller gives as ``ticket=``: an issued ticket, its ``str()``, or a number.

        Raises:
            ValueError: If it is none of them.
        """
        if isinstance(ticket, IssuedTicket):
            return ticket
        if isinstance(ticket, int) and not isinstance(ticket, bool) and ticket >= 0:
            return cls(ticket)
        if isinstance(ticket, str):
            number, dot, secret = ticket.partition(".")
            if number.isdecimal() and number.isascii() and _SECRET.fullmatch(secret):
                return cls(int(number), secret)
            ticket = number + dot + "…" * bool(secret)
        msg = (
            f"ticket={ticket!r} is not a ticket; give what take_ticket() or issue_ticket() "
            "returned, its str(), or a ticket's number"
        )
        raise ValueError(msg)

    def __str__(self) -> str:
        return f"{int(self)}.{self.secret}" if self.secret else int.__repr__(self)

    def __repr__(self) -> str:
        return int.__repr__(self)

    def __format__(self, spec: str) -> str:
        # In a log line ("ticket {number} of …") it is the number: the secret stays out of logs.
        return format(int(self), spec)

    def __reduce__(self) -> tuple[object, ...]:
        return (IssuedTicket, (int(self), self.secret))
