"""What a turn does next: pure decisions, no clock, no store, no waiting.

=============  =====================================================================
status         decision
=============  =====================================================================
served         ``Enter``, while the last lease confirmed to this process lasts; after
               that ``Ask``: the news may be from before a pause of this process
interrupted    as served: a turn that is asked to stop at once still leaves properly
waiting        ``GiveUp(LockTimeout)`` once the time limit of the wait is over; ``Ask``
               once it is time to, or the lease has ended; else ``Sleep`` until then
gone           ``GiveUp(LockError)``
superseded     ``GiveUp(LockSuperseded)``
absorbed       ``GiveUp(LockAbsorbed)``
busy           ``GiveUp(LockBusy)``
duplicate      ``GiveUp(DuplicateMessage)``
=============  =====================================================================
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from nowserving.errors import LockTimeout
from nowserving.protocol.refusals import REFUSALS
from nowserving.protocol.status import State

if TYPE_CHECKING:
    from nowserving.errors import LockError
    from nowserving.protocol.status import TicketStatus

NEVER = math.inf
"""A moment that does not come."""

SHORTEST_SLEEP = 0.005
"""Seconds; however small ``wait_time_in_seconds`` is, nobody asks a store more often than this."""


class Enter(NamedTuple):
    """The body may run."""


class Ask(NamedTuple):
    """Ask the store for the status of the ticket."""


class Sleep(NamedTuple):
    """Wait for news, then decide again.

    Attributes:
        seconds: The longest time to wait.
    """

    seconds: float


class GiveUp(NamedTuple):
    """Leave the line with an error.

    Attributes:
        error: Its class.
    """

    error: type[LockError]


Decision = Enter | Ask | Sleep | GiveUp


def decide(
    status: TicketStatus, now: float, *, lease_end: float, deadline: float, poll_at: float
) -> Decision:
    """Decide what a ticket with this status does at ``now``.

    Args:
        status: The latest news of the ticket.
        now: The caller's monotonic clock, in seconds, as all the moments here.
        lease_end: Until when the ticket surely lives.
        deadline: When the wait is too long; ``NEVER`` for no limit.
        poll_at: When to ask although nothing was heard; ``NEVER`` if somebody else does.
    """
    if status.state is State.SERVED or status.state is State.INTERRUPTED:
        return Enter() if now < lease_end else Ask()
    if status.state is not State.WAITING:
        return GiveUp(REFUSALS[status.state])
    if now >= deadline:
        return GiveUp(LockTimeout)
    wake = min(poll_at, lease_end)
    if now >= wake:
        return Ask()
    return Sleep(max(min(wake, deadline) - now, SHORTEST_SLEEP))


def next_poll(now: float, every: float) -> float:
    """Return when to ask next, on a grid of ``every`` seconds.

    All waiters of a process that ask equally often then ask at the same moments, and share a
    round trip.
    """
    every = max(every, SHORTEST_SLEEP)
    return (math.floor(now / every) + 1) * every


def is_ample(left: float, lifetime: float) -> bool:
    """Return whether a turn may begin on what was pushed, without asking again.

    A turn that began in the last moments of a confirmed lease would soon count as lost, although
    the store has given it a whole lifetime.

    Args:
        left: Seconds until the confirmed lease ends.
        lifetime: Seconds of a full lease.
    """
    return left > lifetime / 2
