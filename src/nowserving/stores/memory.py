"""``InMemoryLockStore``: for one process."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from nowserving.endpoints import read_settings
from nowserving.factory import settings_of
from nowserving.queues.memory import MemoryQueue
from nowserving.stores.base import TURN_SETTINGS, QueueLockStore

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from nowserving.factory import Endpoint
    from nowserving.options import Overrides
    from nowserving.queues.base import TicketQueue

logger = logging.getLogger(__name__)

_WORKER_COUNTS = ("TICKET_LOCK_WORKERS", "SANIC_WORKERS", "WEB_CONCURRENCY")
_warned: set[str] = set()


class InMemoryLockStore(QueueLockStore, kinds=("in_memory",), schemes=("memory",)):
    """Lines in this process's memory: exact over its threads and event loops, no polling.

    Guarantees: one process only. It warns once when the environment says that there are several
    workers, or when it is used in a fork of the process that made it.

    Args:
        endpoint_config: An ``endpoints.yml`` section, when Rasa makes the store by class path.
        **defaults: Options of ``lock()`` for every turn (see ``Options``).

    Raises:
        ConfigurationError: If the section holds an unknown key or value.
    """

    def __init__(
        self, *, endpoint_config: Endpoint | None = None, **defaults: Unpack[Overrides]
    ) -> None:
        if endpoint_config is not None:
            defaults = {**_read(settings_of(endpoint_config)), **defaults}
        super().__init__(**defaults)
        _warn_of_workers()

    def _make_queue(self) -> TicketQueue:
        return MemoryQueue()

    @classmethod
    def from_settings(cls, given: dict[str, Any]) -> Self:
        """Make the store from a URL's or an endpoint's settings."""
        return cls(**_read({name: value for name, value in given.items() if name != "scheme"}))


def _read(given: dict[str, Any]) -> Overrides:
    settings: Any = read_settings(given, TURN_SETTINGS, "The in-memory lock store")
    return settings  # type: ignore[no-any-return]  # by name and type just what Overrides says


def _warn_of_workers() -> None:
    for name in _WORKER_COUNTS:
        count = os.environ.get(name, "")
        if name not in _warned and count.isdecimal() and int(count) > 1:
            _warned.add(name)
            logger.warning(
                "%s=%s: an in-memory lock store serves one process only, so messages of one "
                "conversation can be handled side by side by several workers; use a Redis lock "
                "store.",
                name,
                count,
            )
