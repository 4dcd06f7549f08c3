"""Until when a ticket may be relied on.

The law of a lease: **it never ends later than the moment its question was sent plus what the answer
said is left.** Every answer to the holder goes through :meth:`Lease.confirm`, whatever was asked: a
take, a redeeming, a poll; one to the heartbeat goes through :meth:`Lease.confirm_renewal`. A push
answers no question, and the moment at which it was sent is not known. It goes through
:meth:`Lease.trust_push`, and counts from the last question whose answer said that the ticket still
waited: the turn that it announces began after that.

=======  ================================================================================
state    what it means
=======  ================================================================================
running  the ticket lives until ``ends_at`` at least
ending   the same, and its holder was told that renewal fails; that is told once
lost     the lock is, or may be, somebody else's; that is told once
=======  ================================================================================

The holder's loop (or thread) asks, and the heartbeat does in a thread of its own. Each has a note
to write its answers to, so no answer can overwrite a newer one; what counts is the answer to the
question that was sent last.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Literal

from nowserving._life import rules
from nowserving.protocol.status import WAITING, State

if TYPE_CHECKING:
    from nowserving.protocol.status import TicketStatus

LeaseState = Literal["running", "ending", "lost"]

LeaseEvent = Literal["fails", "lost"]

LEASE: Final[dict[LeaseState, dict[LeaseEvent, LeaseState]]] = {
    "running": {"fails": "ending", "lost": "lost"},
    "ending": {"lost": "lost"},
    "lost": {},
}

_RENEWALS = 3
"""In a lifetime; two may fail before a lease is in danger."""


class Lease:
    """The machine, and the answers it rests on.

    Attributes:
        lease: Its state.
        lifetime: Seconds of a full lease.
        renewed: Whether the heartbeat renews it.
    """

    lease: LeaseState = "running"
    lifetime: float
    renewed: bool
    _answer: tuple[float, float]
    """The holder's last question: when it was sent, until when the ticket lives by its answer."""
    _renewal: tuple[float, float] | None = None
    """The same of the heartbeat."""
    _waited_at = -math.inf
    """When the last question was sent whose answer said that it waited."""

    @property
    def ends_at(self) -> float:
        """Until when the ticket surely lives, on the monotonic clock."""
        answer, renewal = self._answer, self._renewal
        return answer[1] if renewal is None or renewal[0] < answer[0] else renewal[1]

    def confirm(self, asked: float, status: TicketStatus) -> None:
        """Note the answer to a question of the holder's; the latest question counts.

        Args:
            asked: When the question was sent, monotonic.
            status: The answer, of a ticket that is in line.
        """
        if asked >= self._answer[0]:
            self._answer = (asked, asked + status.expires_in)
        if status.state is WAITING:
            self.seen_waiting(asked)

    def confirm_renewal(self, asked: float, status: TicketStatus) -> None:
        """Note the answer to a renewal; in the heartbeat's thread, and nowhere else."""
        renewal = self._renewal
        if renewal is None or asked >= renewal[0]:
            self._renewal = (asked, asked + status.expires_in)

    def seen_waiting(self, asked: float) -> None:
        """Note that a question which was sent at ``asked`` found it waiting."""
        self._waited_at = max(self._waited_at, asked)

    def trust_push(self, news: TicketStatus, now: float) -> bool:
        """Take news that was pushed while it waits.

        Without renewal a turn that begins gives its ticket a whole lifetime. This one began after
        the last question that found the ticket waiting, so it lives one lifetime from that
        question at least. A renewed one is given nothing anew.

        Returns:
            Whether it may be acted on without asking.
        """
        if news.state is not State.SERVED:
            return True
        if not self.renewed:
            asked, end = self._answer
            self._answer = (asked, max(end, self._waited_at + self.lifetime))
        return rules.is_ample(self.ends_at - now, self.lifetime)

    def fails_at(self) -> float:
        """Return when its holder is told that renewal fails: two of three have failed by then."""
        return self.ends_at - self.lifetime / _RENEWALS

    def needs_renewal(self, now: float, margin: float) -> bool:
        """Return whether the heartbeat should renew the ticket at ``now``.

        Args:
            now: The monotonic clock.
            margin: Seconds by which a renewal may come early.
        """
        end = self.ends_at
        if self.lease == "lost" or now >= end:
            return False
        last = end - self.lifetime
        return now >= last + self.lifetime / _RENEWALS - margin

    def move_lease(self, event: LeaseEvent) -> bool:
        """Follow the table; return whether there was an entry."""
        after = LEASE[self.lease].get(event)
        if after is None:
            return False
        self.lease = after
        return True
