"""The log lines of a ticket's life: what is told, at which level, under which logger.

The names of the loggers are known to those who configure logging, so they stay as they are.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from nowserving.protocol.status import RELEASED

if TYPE_CHECKING:
    from nowserving.protocol.handle import TicketHandle

_lease = logging.getLogger("nowserving.lease")
_turn = logging.getLogger("nowserving.turn")
_leaving = logging.getLogger("nowserving.leaving")

_LIVE_LONGER = "renew long turns (auto_renew=True), give them a longer lock_lifetime, or "


def tells_waits() -> bool:
    """Return whether anybody reads how tickets wait."""
    return _lease.isEnabledFor(logging.DEBUG)


def waits(handle: TicketHandle, ahead: int, delay: float) -> None:
    """Tell that a ticket goes on waiting: the reference's one record a poll.

    Args:
        handle: The ticket.
        ahead: How many are in front of it.
        delay: Seconds until it is looked after again.
    """
    _lease.debug(
        "Conversation %r: ticket %d has %d item(s) ahead of it, looking again in %.3g s",
        handle.conversation_id,
        handle.number,
        ahead,
        delay,
    )


def lost(handle: TicketHandle, held_for: float, why: str) -> None:
    """Tell that a held lock was lost.

    Args:
        handle: The ticket.
        held_for: Seconds for which it was held.
        why: Why it was lost.
    """
    # Somebody else decided on a release: no longer lifetime would have helped.
    remedy = "" if why.startswith(RELEASED) else _LIVE_LONGER
    _lease.warning(
        "The lock of conversation %r (ticket %d) was lost after being held for %.3g s: %s. "
        "Another message may be handled beside this one; %scheck lock.fencing_token where you "
        "write.",
        handle.conversation_id,
        handle.number,
        held_for,
        why,
        remedy,
    )


def not_given_back_yet(handle: TicketHandle, why: str) -> None:
    """Tell that a turn is over and its ticket not given back: that goes on behind its back."""
    _turn.warning(
        "Ticket %d of conversation %r could not be given back yet, trying on: %s",
        handle.number,
        handle.conversation_id,
        why,
    )


def leave_failed(error: BaseException) -> None:
    """Tell that giving a ticket back failed and is repeated."""
    _leaving.debug("A leave failed, it will be repeated: %s", repr(error))


def never_given_back(handle: TicketHandle) -> None:
    """Tell that a ticket expired before it could be given back."""
    _leaving.warning(
        "Ticket %d of conversation %r could not be given back before it expired",
        handle.number,
        handle.conversation_id,
    )
