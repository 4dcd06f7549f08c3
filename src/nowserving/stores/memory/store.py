"""``InMemoryLockStore``: for one process."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any, ClassVar

from nowserving._config import options
from nowserving._config.history import DEFAULTS, READERS, history_of
from nowserving.stores.memory import MemoryQueue
from nowserving.stores.memory.examining import examine, workers
from nowserving.stores.queued import QueueLockStore

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from typing_extensions import Self, Unpack

    from nowserving._config.endpoints import Endpoint
    from nowserving._config.options import Defaults
    from nowserving._config.readers import Reader
    from nowserving.protocol.examination import Finding
    from nowserving.protocol.queue import TicketQueue

logger = logging.getLogger("nowserving.stores.memory")

_warned: set[str] = set()


class InMemoryLockStore(QueueLockStore, kinds=("in_memory",), schemes=("memory",)):
    """Lines in this process's memory: exact over its threads and event loops, no polling.

    Guarantees: one process only. It warns once when the environment says that there are several
    workers, or when it is used in a fork of the process that made it.

    A copy (``copy.deepcopy``) is the store itself, since the lines are in it. Pickled into another
    process it is a store of that process's own, and says so in the log.

    Args:
        history: Keep the last so many events of each conversation, at most 10,000, for
            ``events()``, ``nowserving why`` and others; 0 keeps none. See ``docs/history.md``.
        history_total: Keep so many of all conversations together, at most 1,000,000.
        history_ttl: Seconds for which they are kept.
        endpoint_config: An ``endpoints.yml`` section, as Rasa makes the store; arguments beside it
            win.
        **defaults: Options of ``lock()`` for every turn that does not say otherwise (see
            :class:`~nowserving.Options`): ``lock_lifetime=10``, ``auto_renew=True``, ...

    Raises:
        ConfigurationError: If the section holds an unknown key or value.
        TypeError: If an argument is unknown or has the wrong type.
        ValueError: If an argument is out of range.
    """

    _title = "The in-memory lock store"
    _readers: ClassVar[Mapping[str, Reader]] = {**READERS, **options.READERS}
    _argument_defaults = DEFAULTS

    def __init__(
        self,
        *,
        history: int = DEFAULTS["history"],
        history_total: int = DEFAULTS["history_total"],
        history_ttl: float = DEFAULTS["history_ttl"],
        endpoint_config: Endpoint | None = None,
        **defaults: Unpack[Defaults],
    ) -> None:
        arguments = {
            "history": history,
            "history_total": history_total,
            "history_ttl": history_ttl,
        }
        given, defaults = self._read_settings(endpoint_config, arguments, defaults)
        self._history = history_of(given)
        super().__init__(**defaults)
        _warn_of_workers()

    def _make_queue(self) -> TicketQueue[Any]:
        return MemoryQueue(self._history)

    def _examined_as(self) -> str:
        return "in memory"

    async def _examine(self) -> Sequence[Finding]:
        return examine(os.environ)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        logger.warning(
            "An in-memory lock store came into process %d from another one: it has lines of its "
            "own here, so messages of one conversation can be handled side by side; use a Redis "
            "lock store.",
            os.getpid(),
        )


def _warn_of_workers() -> None:
    for name, count in workers(os.environ):
        if name not in _warned:
            _warned.add(name)
            logger.warning(
                "%s=%d: an in-memory lock store serves one process only, so messages of one "
                "conversation can be handled side by side by several workers; use a Redis lock "
                "store.",
                name,
                count,
            )
