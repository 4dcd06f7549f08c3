"""What a turn does next: pure decisions, no clock, no store, no waiting.

=============  =====================================================================
standing       decision
=============  =====================================================================
served         ``Enter``, while the last lease confirmed to this process lasts; after
               that ``Look``: the news may be from before a pause of this process
interrupted    as served: a turn that is asked to stop at once still leaves properly
waiting        ``GiveUp(LockTimeout)`` once the time limit of the wait is over; ``Look``
               once it is time to, or the lease has ended; else ``Sleep`` until then
gone           ``GiveUp(LockError)``
superseded     ``GiveUp(LockSuperseded)``
busy           ``GiveUp(LockBusy)``
duplicate      ``GiveUp(DuplicateMessage)``
=============  =====================================================================
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from nowserving._turns.refusals import REFUSALS
from nowserving.errors import LockTimeout
from nowserving.protocol.status import State

if TYPE_CHECKING:
    from nowserving.errors import LockError
    from nowserving.protocol.status import TicketStatus

SHORTEST_SLEEP = 0.005
"""Seconds; however small ``wait_time_in_seconds`` is, nobody asks a store more often than this."""


class Enter(NamedTuple):
    """The body may run."""


class Look(NamedTuple):
    """Ask the store where the ticket stands."""


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


Decision = Enter | Look | Sleep | GiveUp


def decide(
    status: TicketStatus, now: float, *, lease_end: float, deadline: float, look_at: float
) -> Decision:
    """Decide what a ticket with this standing does at ``now``.

    Args:
        status: The latest news of the ticket.
        now: The caller's monotonic clock, in seconds, as all the moments here.
        lease_end: Until when the ticket surely lives.
        deadline: When the wait is too long; infinity for no limit.
        look_at: When to look although nothing was heard; infinity if somebody else does.
    """
    if status.state is State.SERVED or status.state is State.INTERRUPTED:
        return Enter() if now < lease_end else Look()
    if status.state is not State.WAITING:
        return GiveUp(REFUSALS[status.state])
    if now >= deadline:
        return GiveUp(LockTimeout)
    wake = min(look_at, lease_end)
    if now >= wake:
        return Look()
    return Sleep(max(min(wake, deadline) - now, SHORTEST_SLEEP))


def next_look(now: float, every: float) -> float:
    """Return when to look next, on a grid of ``every`` seconds.

    All waiters of a process that look equally often then look at the same moments, and their
    looks share a round trip.
    """
    every = max(every, SHORTEST_SLEEP)
    return (math.floor(now / every) + 1) * every


def is_ample(left: float, lifetime: float) -> bool:
    """Return whether a turn may begin on what was pushed, without another look.

    A turn that began in the last moments of a confirmed lease would soon count as lost, although
    the store has given it a whole lifetime.

    Args:
        left: Seconds until the confirmed lease ends.
        lifetime: Seconds of a full lease.
    """
    return left > lifetime / 2
