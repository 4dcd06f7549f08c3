"""A log record for each thing that becomes of a turn, with its facts as fields of the record.

One line, once a process and store::

    from nowserving.integrations import logs

    logs.observe(store)

A formatter that writes JSON finds the fields where ``extra=`` puts them; any other writes the
message, which tells the same in words.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from nowserving import Observer
from nowserving.integrations._checks import check

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nowserving import LockStore, Observation, StoreEvent, TicketEvent

__all__ = ["LEVELS", "observe"]

LEVELS: Final[Mapping[str, int]] = {
    "asked": logging.DEBUG,
    "waiting": logging.DEBUG,
    "served": logging.DEBUG,
    "lost": logging.WARNING,
    "left": logging.INFO,
    "refused": logging.INFO,
    "superseded": logging.INFO,
    "absorbed": logging.INFO,
    "released": logging.WARNING,
    "store_down": logging.ERROR,
    "store_up": logging.WARNING,
}
"""At which level what is logged by default: at ``INFO`` one record a turn, at its end."""


def observe(
    store: LockStore,
    name: str = "default",
    *,
    logger: logging.Logger | str = "nowserving.events",
    levels: Mapping[str, int] | None = None,
) -> Observation:
    """Log what becomes of the turns of a store, from now on.

    Args:
        store: The store, of any kind.
        name: What it is called in the field ``store``.
        logger: Where to, or the name of that logger.
        levels: Other levels than :data:`LEVELS`, by the name of the event.

    Returns:
        The observation, to be stopped. Turns under way are logged to their end.

    Raises:
        TypeError: That is no store, the name is no string, or a level no integer.
        ValueError: The name is empty, or there is no such event.
    """
    check(store, name)
    chosen = {**LEVELS, **(levels or {})}
    given: dict[str, object] = {**chosen}
    for event, level in given.items():
        if event not in LEVELS:
            raise ValueError(f"levels: there is no event {event!r}, only {', '.join(LEVELS)}")
        if not isinstance(level, int) or isinstance(level, bool):
            raise TypeError(f"levels: that of {event!r} is a number as logging.INFO, not {level!r}")
    if isinstance(logger, str):
        logger = logging.getLogger(logger)
    return store.observe(_Logs(logger, name, chosen))


def _safe(text: str | None) -> str | None:
    r"""Return a text that does no harm in a log: an odd one as Python writes it, with ``\n``."""
    return text if text is None or text.isprintable() else repr(text)[1:-1]


class _Logs(Observer):
    """Writes the records. Ids come from outside: none gets into a line as it is."""

    def __init__(self, logger: logging.Logger, name: str, levels: Mapping[str, int]) -> None:
        self._logger = logger
        self._name = name
        self._levels = levels

    def _tell(
        self, event: TicketEvent, kind: str, text: str, *values: object, **facts: object
    ) -> None:
        level = self._levels[kind]
        if not self._logger.isEnabledFor(level):
            return
        fields = {
            "event": kind,
            "store": self._name,
            "conversation_id": _safe(event.conversation_id),
            "message_id": _safe(event.message_id),
            "label": _safe(event.label),
            "turn": event.turn,
            "ticket": event.number,
            **facts,
        }
        text = f"Conversation %r: {text}"
        self._logger.log(level, text, event.conversation_id, *values, extra=fields)

    def asked(self, event: TicketEvent) -> None:
        """See :class:`nowserving.Observer`."""
        self._tell(event, "asked", "a turn is asked for")

    def waiting(self, event: TicketEvent) -> None:
        """See :class:`nowserving.Observer`."""
        ahead = event.ahead
        text = "ticket %d waits behind %d"
        self._tell(event, "waiting", text, event.number, ahead, ahead=ahead)

    def served(self, event: TicketEvent) -> None:
        """See :class:`nowserving.Observer`."""
        self._tell(
            event,
            "served",
            "ticket %d is served after %.3f s",
            event.number,
            event.waited,
            waited_seconds=event.waited,
            handoff_seconds=event.handoff,
            fencing_token=event.token,
            predecessor=event.predecessor,
        )

    def lost(self, event: TicketEvent) -> None:
        """See :class:`nowserving.Observer`."""
        self._tell(
            event,
            "lost",
            "the lock of ticket %d was lost after %.3f s: %s",
            event.number,
            event.held or 0.0,
            _safe(event.reason),
            held_seconds=event.held,
            fencing_token=event.token,
            reason=_safe(event.reason),
        )

    def left(self, event: TicketEvent) -> None:
        """See :class:`nowserving.Observer`."""
        text = "ticket %d waited %.3f s and held the lock for %.3f s: %s"
        held = [event.held]
        if event.held is None:
            text, held = "the wait of ticket %d ended after %.3f s: %s", []
        self._tell(
            event,
            "left",
            text,
            event.number,
            event.waited,
            *held,
            event.outcome,
            waited_seconds=event.waited,
            held_seconds=event.held,
            fencing_token=event.token,
            outcome=event.outcome,
        )

    def refused(self, event: TicketEvent) -> None:
        """See :class:`nowserving.Observer`."""
        reason = _safe(event.reason)
        self._tell(event, "refused", "no place in line: %s", reason, reason=reason)

    def superseded(self, event: TicketEvent) -> None:
        """See :class:`nowserving.Observer`."""
        self._never_served(event, "superseded", "superseded by a newer message")

    def absorbed(self, event: TicketEvent) -> None:
        """See :class:`nowserving.Observer`."""
        self._never_served(event, "absorbed", "taken into the turn before")

    def released(self, event: TicketEvent) -> None:
        """See :class:`nowserving.Observer`."""
        self._never_served(event, "released", "taken out of the line by somebody else")

    def _never_served(self, event: TicketEvent, kind: str, how: str) -> None:
        self._tell(
            event,
            kind,
            "ticket %d was %s after %.3f s",
            event.number,
            how,
            event.waited,
            waited_seconds=event.waited,
            reason=_safe(event.reason),
        )

    def store_down(self, event: StoreEvent) -> None:
        """See :class:`nowserving.Observer`."""
        why = _safe(event.why)
        fields = {"event": "store_down", "store": self._name, "where": event.where, "reason": why}
        text = "The store does not serve at %s: %s"
        self._logger.log(self._levels["store_down"], text, event.where, why, extra=fields)

    def store_up(self, event: StoreEvent) -> None:
        """See :class:`nowserving.Observer`."""
        lasted = event.lasted or 0.0
        fields = {"event": "store_up", "store": self._name, "where": event.where}
        self._logger.log(
            self._levels["store_up"],
            "The store serves again at %s, after %.3f s",
            event.where,
            lasted,
            extra={**fields, "down_seconds": lasted},
        )
