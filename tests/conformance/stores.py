"""The table of stores. A new store is one line here."""

from __future__ import annotations

import atexit
import itertools
import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from nowserving import InMemoryLockStore, LockStore, RedisLockStore, SQLiteLockStore, TicketLock

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.redis_server import RedisServer


class JsonLockStore(LockStore):
    """A custom store as it was written for Rasa: three methods, and no ``__init__`` of ours.

    All of them share what they stored, as they would a database.
    """

    _saved: ClassVar[dict[str, str]] = {}

    def __init__(self) -> None:
        self.reads = 0

    def get_lock(self, conversation_id: str) -> TicketLock | None:
        self.reads += 1
        text = self._saved.get(conversation_id)
        return None if text is None else TicketLock.from_dict(json.loads(text))

    def save_lock(self, lock: TicketLock) -> None:
        self._saved[lock.conversation_id] = lock.dumps()

    def delete_lock(self, conversation_id: str) -> None:
        self._saved.pop(conversation_id, None)


class SnapshotLockStore(JsonLockStore):
    """The same that does call our ``__init__``, to be given options for every turn."""

    def __init__(self, **defaults: object) -> None:
        JsonLockStore.__init__(self)
        LockStore.__init__(self, **defaults)  # type: ignore[arg-type]


MakeStore = "Callable[..., LockStore]"


def _memory(_: RedisServer) -> Callable[..., LockStore]:
    return InMemoryLockStore


def _redis(server: RedisServer) -> Callable[..., LockStore]:
    return lambda **defaults: RedisLockStore("127.0.0.1", server.port, **defaults)


_files = itertools.count()


def _sqlite(_: RedisServer) -> Callable[..., LockStore]:
    number = next(_files)
    if not number:
        _folders.append(Path(tempfile.mkdtemp(prefix="nowserving-")))
        atexit.register(shutil.rmtree, _folders[0], ignore_errors=True)
    path = _folders[0] / f"{number}.db"
    return lambda **defaults: SQLiteLockStore(path, **defaults)


_folders: list[Path] = []


def _snapshot(_: RedisServer) -> Callable[..., LockStore]:
    return SnapshotLockStore


STORES: dict[str, Callable[[RedisServer], Callable[..., LockStore]]] = {
    "memory": _memory,
    "redis": _redis,
    "sqlite": _sqlite,
    "snapshot": _snapshot,
}
