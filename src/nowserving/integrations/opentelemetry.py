"""Traces: a span for the wait of each turn, and one for its body.

One line, once a process and store::

    from nowserving.integrations import opentelemetry

    opentelemetry.observe(store)

Both spans are children of whatever span was current where the turn was asked for. They stand side
by side, and beside what the body itself records: a turn may be left in another task or thread than
it was entered in, so that the span of its body is never made the current one. A body that had to
wait for another one of this process is linked to that one's span.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

try:
    from opentelemetry import context, trace
except ImportError as error:
    raise ImportError(
        "nowserving.integrations.opentelemetry needs the API of OpenTelemetry: "
        f"pip install 'nowserving[opentelemetry]'. What failed: {error}",
        name=error.name,
    ) from error

import nowserving
from nowserving._host.forks import on_fork
from nowserving.integrations._checks import check

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nowserving import LockStore, Observation, TicketEvent

__all__ = ["observe"]

_WAIT = "nowserving wait"
_HOLD = "nowserving hold"

_ERRORS: Final[Mapping[str, str]] = {
    "failed": "the body raised",
    "expired": "the ticket expired",
    "timeout": "the wait was longer than its limit",
    "unavailable": "the store does not answer",
    "corrupt": "the record of the conversation can't be read",
    "incompatible": "the record of the conversation is of a newer version",
}
"""The outcomes and reasons that are errors. The others are what somebody asked for: to be refused
or superseded, to give up, to be cancelled."""

_RECENT = 1024
"""Bodies that have ended and can still be linked to: at most twice as many are kept."""


def observe(
    store: LockStore,
    name: str = "default",
    *,
    tracer_provider: trace.TracerProvider | None = None,
    ids: bool = False,
) -> Observation:
    """Record spans of the turns of a store, from now on.

    Args:
        store: The store, of any kind.
        name: What it is called in the attribute ``nowserving.store``.
        tracer_provider: Whose spans they are, by default the global provider's.
        ids: Whether spans carry the ids of conversations and messages, as
            ``messaging.message.conversation_id`` and ``messaging.message.id``. They often are
            somebody's phone number, and traces often leave the house; so they don't unless told.

    Returns:
        The observation, to be stopped. Turns under way are recorded to their end.

    Raises:
        TypeError: That is no store, or the name is no string.
        ValueError: The name is empty.
    """
    check(store, name)
    tracer = trace.get_tracer("nowserving", nowserving.__version__, tracer_provider=tracer_provider)
    return store.observe(_Spans(tracer, name, ids=ids))


class _Turn:
    """A turn under way."""

    __slots__ = ("context", "span")

    def __init__(self, where: context.Context, span: trace.Span) -> None:
        self.context = where  # in which it was asked for
        self.span = span  # of its wait, then of its body


class _Spans(nowserving.Observer):
    """Begins and ends the spans. Each step on its tables is one under the GIL."""

    def __init__(self, tracer: trace.Tracer, name: str, *, ids: bool) -> None:
        self._tracer = tracer
        self._name = name
        self._ids = ids
        self._begin()
        on_fork(self)

    def _begin(self) -> None:
        self._turns: dict[int, _Turn] = {}
        self._recent: dict[int, trace.SpanContext] = {}
        self._older: dict[int, trace.SpanContext] = {}

    def forked(self) -> None:
        """The turns under way are the parent's: their spans are ended there."""
        self._begin()

    # Its wait

    def asked(self, event: TicketEvent) -> None:
        """See :class:`nowserving.Observer`."""
        where = context.get_current()
        span = self._tracer.start_span(
            _WAIT, where, attributes=self._of(event), start_time=_nanoseconds(event)
        )
        self._turns[event.turn] = _Turn(where, span)

    def waiting(self, event: TicketEvent) -> None:
        """See :class:`nowserving.Observer`."""
        turn = self._turns.get(event.turn)
        if turn is not None:
            behind = {"nowserving.ticket": event.number, "nowserving.ahead": event.ahead}
            turn.span.set_attributes(behind)
            turn.span.add_event("nowserving.waiting", behind, _nanoseconds(event))

    # Its body

    def served(self, event: TicketEvent) -> None:
        """See :class:`nowserving.Observer`."""
        turn = self._turns.get(event.turn)
        if turn is None:
            return
        at = _nanoseconds(event)
        turn.span.set_attributes(
            {"nowserving.ticket": event.number, "nowserving.outcome": "served"}
        )
        turn.span.end(at)
        more: dict[str, str | int | float] = {
            "nowserving.ticket": event.number,
            "nowserving.fencing_token": event.token,
            "nowserving.predecessor": event.predecessor,
        }
        if event.handoff is not None:
            more["nowserving.handoff"] = event.handoff
        turn.span = self._tracer.start_span(
            _HOLD,
            turn.context,
            attributes=self._of(event) | more,
            links=self._links(event.after),
            start_time=at,
        )

    def lost(self, event: TicketEvent) -> None:
        """See :class:`nowserving.Observer`."""
        turn = self._turns.get(event.turn)
        if turn is not None:
            why = {"nowserving.reason": event.reason}
            turn.span.add_event("nowserving.lost", why, _nanoseconds(event))
            turn.span.set_status(trace.StatusCode.ERROR, f"the lock was lost: {event.reason}")

    # The end of either

    def left(self, event: TicketEvent) -> None:
        """See :class:`nowserving.Observer`."""
        self._end(event, event.outcome)

    def refused(self, event: TicketEvent) -> None:
        """See :class:`nowserving.Observer`."""
        self._end(event, "refused", event.reason)

    def superseded(self, event: TicketEvent) -> None:
        """See :class:`nowserving.Observer`."""
        self._end(event, "superseded")

    def absorbed(self, event: TicketEvent) -> None:
        """See :class:`nowserving.Observer`."""
        self._end(event, "absorbed")

    def released(self, event: TicketEvent) -> None:
        """See :class:`nowserving.Observer`."""
        self._end(event, "released", event.reason)

    def _end(self, event: TicketEvent, outcome: str, reason: str = "") -> None:
        turn = self._turns.pop(event.turn, None)
        if turn is None:  # a ticket to be redeemed later was refused: there is no turn yet
            return
        span = turn.span
        span.set_attribute("nowserving.outcome", outcome)
        if reason:
            span.set_attribute("nowserving.reason", reason)
        error = _ERRORS.get(outcome) or _ERRORS.get(reason)
        if error is not None:
            span.set_status(trace.StatusCode.ERROR, error)
        if event.held is not None:
            self._remember(event.turn, span)
        span.end(_nanoseconds(event))

    # Links

    def _remember(self, turn: int, span: trace.Span) -> None:
        if len(self._recent) >= _RECENT:
            self._older, self._recent = self._recent, {}
        self._recent[turn] = span.get_span_context()

    def _links(self, turn: int | None) -> list[trace.Link]:
        if turn is None:
            return []
        before = self._recent.get(turn) or self._older.get(turn)
        if before is None:
            going_on = self._turns.get(turn)  # its ticket is still being given back
            if going_on is None:
                return []
            before = going_on.span.get_span_context()
        return [trace.Link(before, {"nowserving.link": "predecessor"})]

    def _of(self, event: TicketEvent) -> dict[str, str | int | float]:
        told: dict[str, str | int | float] = {"nowserving.store": self._name}
        if event.label is not None:
            told["nowserving.label"] = event.label
        if self._ids:
            told["messaging.message.conversation_id"] = event.conversation_id
            if event.message_id is not None:
                told["messaging.message.id"] = event.message_id
        return told


def _nanoseconds(event: TicketEvent) -> int:
    return int(event.at * 1e9)
