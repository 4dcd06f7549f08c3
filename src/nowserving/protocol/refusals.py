"""The errors of a ticket that does not get its turn, worded in one place."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from nowserving.errors import (
    DuplicateMessage,
    Holder,
    LockAbsorbed,
    LockBusy,
    LockError,
    LockReleased,
    LockSuperseded,
    LockTimeout,
    StoreUnavailable,
)
from nowserving.protocol.status import NOT_ISSUED, State, absorber, release_reason

if TYPE_CHECKING:
    from nowserving.protocol.status import TicketStatus

REFUSALS: dict[State, type[LockError]] = {
    State.GONE: LockError,
    State.SUPERSEDED: LockSuperseded,
    State.ABSORBED: LockAbsorbed,
    State.BUSY: LockBusy,
    State.DUPLICATE: DuplicateMessage,
}
"""The error that each final status means to whoever asked for the lock."""


_NOBODY = frozenset({"", "-"})
"""What a status says where a ticket has no owner yet."""

_SAID: dict[type[LockError], str] = {
    LockSuperseded: ": a newer message took its place",
    LockAbsorbed: ": the turn before took its message in, and has ended well",
}
"""What is said of why, where there is nothing else to tell."""


def refusal(  # noqa: PLR0913 - what is known of a ticket
    kind: type[LockError],
    conversation_id: str,
    status: TicketStatus,
    *,
    message_id: str | None = None,
    waited: float = 0.0,
    lifetime: float | None = None,
) -> LockError:
    """Make the error with which a ticket leaves the line.

    Args:
        kind: The error's class, one of ``REFUSALS`` or ``LockTimeout``.
        conversation_id: The conversation.
        status: What the store said last.
        message_id: The message it was for.
        waited: Seconds it waited.
        lifetime: Seconds it had to live; None if it was renewed.
    """
    reason = release_reason(status.detail) if kind is LockError else None
    if reason is not None:
        kind = LockReleased
    error = kind(
        f"Could not acquire lock for conversation_id '{conversation_id}'"
        f"{_because(kind, status, message_id, waited)}."
        f"{_remedy(kind, status, waited, lifetime)}",
        conversation_id=conversation_id,
        number=None if status.number == NOT_ISSUED else status.number,
        position=status.ahead or None,
        waited=waited,
    )
    if isinstance(error, LockBusy):
        error.held_since = time.time() - status.since
        if status.detail not in _NOBODY:
            error.holder = Holder(status.detail, since=error.held_since)
    elif isinstance(error, DuplicateMessage):
        error.state = status.detail
    elif isinstance(error, LockAbsorbed):
        error.by = absorber(status.detail)
    elif isinstance(error, LockReleased):
        error.reason = reason or ""
    return error


def told_of_place(error: LockTimeout, parked: TicketStatus | None, lifetime: float) -> LockError:
    """Return what is told after a wait that ended, and whose ticket's place was to be kept.

    Args:
        error: How the wait ended.
        parked: What the store has said of the ticket since; None if it has not answered.
        lifetime: Seconds for which the place is kept.
    """
    name, waited = error.conversation_id or "", error.waited or 0.0
    if parked is None:
        return StoreUnavailable(
            f"{error} The store has not confirmed that its place is kept; it is told again until "
            "the ticket expires. Redeem it again later.",
            conversation_id=name,
            number=error.number,
            waited=waited,
        )
    if parked.state in REFUSALS:
        return refusal(REFUSALS[parked.state], name, parked, waited=waited)
    position = parked.ahead if parked.state is State.WAITING else 0
    return LockTimeout(
        f"{error} Its place is kept: redeem the ticket again within {lifetime:g} s.",
        conversation_id=name,
        number=parked.number,
        position=position,
        waited=waited,
    )


def _because(
    kind: type[LockError], status: TicketStatus, message_id: str | None, waited: float
) -> str:
    if kind is LockTimeout:
        return f": {status.ahead} ahead after a wait of {waited:.3g} s"
    if kind is LockBusy:
        holder = "a ticket that nobody has redeemed" if status.detail in _NOBODY else status.detail
        return f": {status.ahead} in line, {holder} is served for {status.since:.3g} s"
    if kind is DuplicateMessage:
        return f": message {message_id!r} is {status.detail} already"
    if kind is LockReleased:
        reason = release_reason(status.detail)
        return ": somebody has released its ticket" + (f" ({reason})" if reason else "")
    return _SAID.get(kind, "")  # the reference's own sentence for a ticket that expired or is gone


def _remedy(
    kind: type[LockError], status: TicketStatus, waited: float, lifetime: float | None
) -> str:
    """Return what is said behind the reference's sentence of a ticket that expired.

    Whose ticket somebody else took out can do nothing about that.
    """
    if kind is not LockError or lifetime is None or status.detail != "expired":
        return ""
    return (
        f" It waited for {waited:.3g} s, and its ticket lived for {lifetime:.3g} s. Renew tickets "
        "while they wait (auto_renew=True), or give them a longer lock_lifetime."
    )
