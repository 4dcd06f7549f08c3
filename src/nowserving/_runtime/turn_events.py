"""What observers are told of one turn, in an order that they can rely on.

Most of it happens on the owner's thread, one after the other. What can't be put in order that way
are the loss and the end of a thread's turn: the watch brings the one, the thread the other. Each
is claimed in one step under the GIL; the end waits for a loss that is being told, and whoever
tells the loss then tells the end as well.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from typing import TYPE_CHECKING, Protocol

from nowserving._host.clock import monotonic
from nowserving.errors import (
    CorruptLock,
    DuplicateMessage,
    IncompatibleRecord,
    LockAbsorbed,
    LockBusy,
    LockError,
    LockReleased,
    LockSuperseded,
    LockTimeout,
    StoreClosed,
    StoreUnavailable,
)
from nowserving.instrumentation.observer import TicketEvent
from nowserving.protocol.status import NOT_ISSUED, WAITING

if TYPE_CHECKING:
    from collections.abc import Callable

    from nowserving._config.options import Options, Request
    from nowserving.instrumentation.observer import TurnEnd
    from nowserving.instrumentation.observers import Observers
    from nowserving.protocol.handle import TicketHandle
    from nowserving.protocol.status import Outcome, TicketStatus

_turns = itertools.count(1)

_ENDS: dict[type[BaseException], tuple[TurnEnd, str, str]] = {
    LockAbsorbed: ("absorbed", "", ""),
    LockSuperseded: ("superseded", "", ""),
    LockReleased: ("released", "", ""),
    LockBusy: ("refused", "", "full"),
    DuplicateMessage: ("refused", "", "duplicate"),
    CorruptLock: ("refused", "", "corrupt"),
    IncompatibleRecord: ("refused", "", "incompatible"),
    LockTimeout: ("left", "timeout", ""),
    StoreUnavailable: ("left", "unavailable", ""),
    StoreClosed: ("left", "closed", ""),
    LockError: ("left", "expired", ""),
    BaseException: ("left", "abandoned", ""),
}
"""By the error with which a wait ends, the first that fits: the event, its outcome and reason."""

_make = tuple.__new__
"""Half of what ``TicketEvent(...)`` costs, which is paid several times a turn."""


class ObservedTicket(Protocol):
    """What is told of a ticket (``ticket.py``)."""

    handle: TicketHandle
    request: Request
    asked: float
    served: TicketStatus | None
    held_since: float
    outcome: Outcome | None


class TurnEvents:
    """Tells of one turn.

    Args:
        observers: Those who observed when it was asked for: they are told to its end.
    """

    __slots__ = (
        "_after",
        "_end_untold",
        "_ended",
        "_handoff",
        "_losing",
        "_pending_end",
        "observers",
        "turn",
    )

    _end_untold: bool
    """There until somebody claims the end: to delete it is one step."""

    _ended: float
    """When its body ended, monotonic; there once it has."""

    _pending_end: deque[Callable[[], None]]
    """There once a loss is told: an end that has to wait for that."""

    def __init__(self, observers: Observers) -> None:
        self.observers = observers
        self.turn = next(_turns)
        self._end_untold = True
        self._losing = False
        self._handoff: float | None = None
        self._after: int | None = None

    # Until it is served

    def asked(self, ticket: ObservedTicket) -> None:
        """It is asked for."""
        tell = self.observers.asked
        if tell is not None:
            tell(self._event(ticket, ticket.asked))

    def joined(self, ticket: ObservedTicket, status: TicketStatus) -> None:
        """Its take was answered; maybe it has a place in line, behind others."""
        tell = self.observers.waiting
        if tell is not None and status.state is WAITING:
            tell(self._event(ticket, monotonic(), ahead=status.ahead))

    def served(self, ticket: ObservedTicket) -> None:
        """Its body begins."""
        observers = self.observers
        tell = observers.served
        if tell is None:
            return
        end = observers.ends.pop(ticket.handle.conversation_id, None)
        # Only if no other ticket stood between the two is it certain that no other process's did.
        if end is not None and end[0] == ticket.handle.number - 1:
            _, self._after, moment = end
            if moment > ticket.asked:
                self._handoff = ticket.held_since - moment
        tell(self._event(ticket, ticket.held_since))

    # Its end

    def body_ended(self, ticket: ObservedTicket) -> None:
        """Its body has ended; the ticket is about to be given back."""
        self._ended = ended = monotonic()
        if self.observers.served is not None:  # else nobody asks for it
            end = (ticket.handle.number, self.turn, ended)
            self.observers.note_end(ticket.handle.conversation_id, end)

    def lost(self, ticket: ObservedTicket, why: str) -> None:
        """Its lock is lost: to be called once."""
        tell = self.observers.lost
        if tell is None:
            return
        self._pending_end = deque()
        self._losing = True
        try:
            if self.is_going_on():  # else the end came first, and did not see us
                now = monotonic()
                tell(self._event(ticket, now, why, held=now - ticket.held_since))
        finally:
            self._losing = False
            self._tell_pending_end()

    def _tell_pending_end(self) -> None:
        try:
            pending = self._pending_end.popleft()
        except IndexError:
            return
        pending()

    def is_going_on(self) -> bool:
        """Return whether nobody has claimed the end."""
        return hasattr(self, "_end_untold")

    def claim_end(self) -> bool:
        """Return whether the end is this caller's to tell: the first one's."""
        try:
            del self._end_untold
        except AttributeError:
            return False
        return True

    def end(self, ticket: ObservedTicket, error: BaseException | None = None) -> None:
        """It is over.

        Args:
            ticket: Its ticket.
            error: Why it was never served, if it was not.
        """
        try:
            del self._end_untold  # as claim_end() does, which costs more than this does
        except AttributeError:
            return
        if self._losing:
            self.tell_end(ticket, error)
        else:
            self._tell_end(ticket, error)

    def tell_end(self, ticket: ObservedTicket, error: BaseException | None = None) -> None:
        """Tell the end that was claimed."""
        if not self._is_losing():
            self._tell_end(ticket, error)
            return
        self._pending_end.append(lambda: self._tell_end(ticket, error))
        if not self._is_losing():  # told meanwhile, maybe before this was put in
            self._tell_pending_end()

    def _is_losing(self) -> bool:
        return self._losing  # which another thread may change at any time

    def _tell_end(self, ticket: ObservedTicket, error: BaseException | None) -> None:
        if ticket.served is not None:
            tell = self.observers.left
            if tell is not None:
                now = monotonic()
                held = getattr(self, "_ended", now) - ticket.held_since
                tell(self._event(ticket, now, "", ticket.outcome or "abandoned", 0, held))
            return
        kind, outcome, reason = _why_not_served(ticket.request.options, error)
        tell = getattr(self.observers, kind)
        if tell is not None:
            tell(self._event(ticket, monotonic(), reason, outcome))

    # What is told

    def _event(  # noqa: PLR0913 - by their places: it is called several times a turn
        self,
        ticket: ObservedTicket,
        now: float,
        reason: str = "",
        outcome: str = "",
        ahead: int = 0,
        held: float | None = None,
    ) -> TicketEvent:
        served, options, handle = ticket.served, ticket.request.options, ticket.handle
        return _make(
            TicketEvent,
            (
                self.turn,
                handle.conversation_id,
                handle.number,
                time.time(),  # not counted from a moment of the turn: events are put in order by it
                options.label,
                options.message_id,
                ahead,
                (now if served is None else ticket.held_since) - ticket.asked,
                held,
                self._handoff,
                0 if served is None else served.token,
                "none" if served is None else served.predecessor,
                self._after,
                outcome,
                reason,
            ),
        )


def tell_not_issued(
    observers: Observers, handle: TicketHandle, chosen: Options, asked: float, error: LockError
) -> None:
    """Tell that a ticket to be redeemed later was refused: no turn was asked for yet.

    Args:
        observers: Whom to tell.
        handle: The ticket that was asked for.
        chosen: How it was asked for.
        asked: When, monotonic.
        error: What its caller is told.
    """
    kind, _, reason = _why_not_served(chosen, error)
    tell = observers.refused
    if kind == "refused" and tell is not None:
        event = TicketEvent(
            next(_turns),
            handle.conversation_id,
            NOT_ISSUED,
            time.time(),
            chosen.label,
            chosen.message_id,
            waited=monotonic() - asked,
            reason=reason,
        )
        tell(event)


def _why_not_served(chosen: Options, error: BaseException | None) -> tuple[TurnEnd, str, str]:
    """Return which event that is, the outcome and the reason."""
    if isinstance(error, LockReleased):
        return "released", "", error.reason
    if isinstance(error, LockBusy) and chosen.when_busy == "reject":
        return "refused", "", "busy"
    ends = (end for kind, end in _ENDS.items() if isinstance(error, kind))
    return next(ends, _ENDS[BaseException])
