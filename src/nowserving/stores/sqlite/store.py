"""``SQLiteLockStore``: for all processes of one machine, without a server."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, ClassVar

from nowserving._config import options
from nowserving._config.history import history_of
from nowserving.errors import ConfigurationError
from nowserving.stores.queued import QueueLockStore
from nowserving.stores.sqlite.settings import DEFAULTS, READERS, SQLiteSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike

    from typing_extensions import Unpack

    from nowserving._config.endpoints import Endpoint
    from nowserving._config.options import Defaults
    from nowserving._config.readers import Reader
    from nowserving.protocol.examination import Finding
    from nowserving.protocol.queue import TicketQueue


class SQLiteLockStore(QueueLockStore, kinds=("sqlite",), schemes=("sqlite",)):
    """Lines in an SQLite file: exact over all processes of one machine, without a server.

    Guarantees: mutual exclusion and order as long as the file is there. A turn that ends wakes the
    next one in whichever process it is; the tickets of a process that dies are skipped at once. A
    power cut may lose what was asked for last, but fencing tokens grow over it. Nothing is opened
    before the first lock is asked for. Beside the file stand a folder ``<path>-peers`` and SQLite's
    own ``-wal`` and ``-shm``. The file has to be on a local disk: see ``docs/sqlite.md``.

    Pickled or copied, it is a store with the same settings and a connection of its own.

    Args:
        path: The file; it is made where there is none, its folder is not. A relative path counts
            from where the process stands when the store is made.
        busy_timeout: Seconds within which every call is answered or raises ``StoreUnavailable``,
            also while another process writes.
        history: Keep the last so many events of each conversation, at most 10,000, for
            ``events()``, ``nowserving why`` and others; 0 keeps none. See ``docs/history.md``.
        history_total: Keep so many of all conversations together, at most 1,000,000.
        history_ttl: Seconds for which they are kept.
        endpoint_config: An ``endpoints.yml`` section, as Rasa makes the store; its keys are the
            arguments' names, and its ``url`` is a URL (``sqlite:///relative.db``,
            ``sqlite:////absolute.db``). Arguments beside it win.
        **defaults: Options of ``lock()`` for every turn that does not say otherwise (see
            :class:`~nowserving.Options`): ``lock_lifetime=10``, ``auto_renew=True``, ...

    Raises:
        ConfigurationError: For an unknown key or an unusable value, or if no path is given.
        TypeError: If an argument is unknown, or an option has the wrong type.
        ValueError: If an option is out of range.
    """

    _title = "The SQLite lock store"
    _readers: ClassVar[Mapping[str, Reader]] = {**READERS, **options.READERS}
    _argument_defaults = DEFAULTS
    _groups = (frozenset({"path", "url"}),)

    def __init__(  # noqa: PLR0913 - each of them public, most by name only
        self,
        path: str | PathLike[str] | None = None,
        busy_timeout: float = DEFAULTS["busy_timeout"],
        *,
        history: int = DEFAULTS["history"],
        history_total: int = DEFAULTS["history_total"],
        history_ttl: float = DEFAULTS["history_ttl"],
        endpoint_config: Endpoint | None = None,
        **defaults: Unpack[Defaults],
    ) -> None:
        arguments = {
            "path": path,
            "busy_timeout": busy_timeout,
            "history": history,
            "history_total": history_total,
            "history_ttl": history_ttl,
        }
        given, defaults = self._read_settings(endpoint_config, arguments, defaults)
        if "path" not in given:
            raise ConfigurationError(
                "The SQLite lock store needs the path of a file: SQLiteLockStore('locks.db'), or "
                "the URL sqlite:///locks.db"
            )
        settings = SQLiteSettings(**given)
        self._path = os.path.abspath(settings.path)  # noqa: PTH100 - a link may change its target
        self._timeout = settings.busy_timeout
        self._history = history_of(given)
        super().__init__(**defaults)

    @property
    def path(self) -> str:
        """The file, as an absolute path."""
        return self._path

    def _make_queue(self) -> TicketQueue[Any]:
        from nowserving.stores.sqlite.queue import SQLiteQueue  # noqa: PLC0415 - sqlite3 may lack

        return SQLiteQueue(self._path, self._timeout, self._history)

    def _examined_as(self) -> str:
        return f"SQLite, {self._path}"

    async def _examine(self) -> Sequence[Finding]:
        from nowserving.stores.sqlite.examining import examine  # noqa: PLC0415 - sqlite3 may lack

        return await asyncio.to_thread(examine.examine, self._path, self._timeout)
