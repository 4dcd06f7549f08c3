"""The settings of a store's history: how many events are kept, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nowserving._config import readers
from nowserving._config.defaults import as_default
from nowserving.errors import ConfigurationError
from nowserving.protocol.history import HistoryOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nowserving._config.readers import Reader

MOST_EACH = 10_000
"""Events of one conversation."""

MOST_TOTAL = 1_000_000
"""Events of all conversations together."""

TOTAL = 10_000
"""Events of all conversations together, by default."""

TTL = 86_400.0
"""Seconds for which events are kept, by default: a day."""


def _up_to(most: int) -> Reader:
    def read(name: str, value: object) -> int:
        count = readers.whole(name, value)
        if count > most:
            raise ValueError(f"{name}={value!r} must be at most {most}")
        return count

    return read


READERS: Mapping[str, Reader] = {
    "history": _up_to(MOST_EACH),
    "history_total": _up_to(MOST_TOTAL),
    "history_ttl": readers.seconds,
}
"""How each of them is read."""

DEFAULTS: Mapping[str, Any] = {
    "history": as_default(0),
    "history_total": as_default(TOTAL),
    "history_ttl": as_default(TTL),
}
"""The defaults in signatures; they count as not given."""


def history_of(given: Mapping[str, Any]) -> HistoryOptions | None:
    """Return how much a store keeps, None for nothing; takes its settings out of others.

    Args:
        given: The settings of a store, checked.

    Raises:
        ConfigurationError: If it is said how much of nothing is kept.
    """
    each = given.get("history", 0)
    if not each:
        beside = sorted({"history_total", "history_ttl"} & given.keys())
        if beside:
            raise ConfigurationError(
                f"{' and '.join(beside)}: there is no history that this could bound; "
                "give history= as well, the number of events a conversation (200, say)"
            )
        return None
    total, ttl = given.get("history_total", TOTAL), given.get("history_ttl", TTL)
    return HistoryOptions(int(each), int(total), float(ttl))
