"""Who can be measured, by name: peers and floors."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from benchmarks.machine import version_of

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from benchmarks.drivers import Driver
    from benchmarks.server import Address


@dataclass(frozen=True)
class Contender:
    """Somebody who is measured.

    Attributes:
        name: What the tables call it.
        module: Where its ``opened`` is.
        distribution: The package whose version is told; empty for our own code.
        text: What it is and how it is set up.
    """

    name: str
    module: str
    distribution: str
    text: str

    def missing(self) -> str | None:
        """Return why it can't be measured here, None if it can."""
        try:
            importlib.import_module(self.module)
        except ImportError as error:
            return f"not installed ({error.name or error})"
        return None

    def titled(self) -> str:
        """Return the name with its version, if it is there."""
        if self.missing() is not None:
            return self.name
        return f"{self.name} {version_of(self.distribution)}" if self.distribution else self.name

    def opened(self, address: Address) -> AbstractAsyncContextManager[Driver]:
        """Open it over a Redis, ready to be measured."""
        found = importlib.import_module(self.module).opened(address)
        return cast("AbstractAsyncContextManager[Driver]", found)


OURS = "nowserving"
REDIS_PY = "redis-py Lock"
REDIS_LOCK = "python-redis-lock"
COREDIS = "coredis Lock"
GRELMICRO = "grelmicro Lock"
NAIVE = "naive"
EVALSHA = "floor: 2 EVALSHA, redis-py"
BARE = "floor: 2 EVALSHA, bare"
MEMORY = "nowserving in memory"
RASA_MEMORY = "Rasa in memory"
NAIVE_MEMORY = "naive in memory"
ASYNCIO = "floor: asyncio.Lock"
SQLITE = "nowserving in SQLite"
SQLITE_THREADS = "nowserving in SQLite, threads"
TRANSACTIONS = "floor: 2 transactions"
FILELOCK = "filelock"
FILELOCK_ASYNC = "filelock, asynchronous"
FASTENERS = "fasteners"
PORTALOCKER = "portalocker"
DISKCACHE = "diskcache Lock"

_ALL = (
    Contender(
        OURS, "benchmarks.peers.ours", "nowserving", "`RedisLockStore`, everything at its default."
    ),
    Contender(
        REDIS_PY,
        "benchmarks.peers.redis_py",
        "redis",
        "`redis.asyncio` `Lock`, looks every 1 ms (`sleep=0.001`), a connection for each call.",
    ),
    Contender(
        REDIS_LOCK,
        "benchmarks.peers.redis_lock",
        "python-redis-lock",
        "Blocks its thread in `BLPOP`; a thread for each conversation.",
    ),
    Contender(
        COREDIS,
        "benchmarks.peers.coredis",
        "coredis",
        "`coredis.patterns.lock.Lock`, looks every 1 ms (`sleep=0.001`).",
    ),
    Contender(
        GRELMICRO,
        "benchmarks.peers.grelmicro",
        "grelmicro",
        "`grelmicro.coordination.Lock` over redis-py, looks every 1 ms (`retry_interval=0.001`).",
    ),
    Contender(
        NAIVE,
        "benchmarks.peers.naive",
        "",
        "Our reimplementation of a read-change-write ticket store: blocking commands in the event "
        "loop, a look every second.",
    ),
    Contender(
        EVALSHA,
        "benchmarks.floors.evalsha",
        "redis",
        "Two scripts that do nothing, one after the other, by redis-py.",
    ),
    Contender(
        BARE,
        "benchmarks.floors.bare",
        "hiredis",
        "The same over an asyncio protocol that does nothing but write, read and parse.",
    ),
    Contender(
        MEMORY,
        "benchmarks.peers.memory",
        "nowserving",
        "`InMemoryLockStore`, everything at its default.",
    ),
    Contender(
        RASA_MEMORY,
        "benchmarks.peers.rasa_memory",
        "rasa",
        "`rasa.core.lock_store.InMemoryLockStore` itself. `scripts/test-rasa` makes an environment "
        "that has it.",
    ),
    Contender(
        NAIVE_MEMORY,
        "benchmarks.peers.naive_memory",
        "",
        "Our reimplementation of a ticket lock in a dictionary, a look every second. It does less "
        "than Rasa's.",
    ),
    Contender(
        ASYNCIO, "benchmarks.floors.local", "", "A dictionary with one `asyncio.Lock` a name."
    ),
    Contender(
        SQLITE,
        "benchmarks.peers.sqlite",
        "nowserving",
        "`SQLiteLockStore`, everything at its default, from an event loop.",
    ),
    Contender(
        SQLITE_THREADS,
        "benchmarks.peers.sqlite_threads",
        "nowserving",
        "The same by plain `with`; a thread for each conversation.",
    ),
    Contender(
        TRANSACTIONS,
        "benchmarks.floors.transactions",
        "",
        "`BEGIN IMMEDIATE`, one row, `COMMIT`, twice, in the caller's thread; with our settings.",
    ),
    Contender(
        FILELOCK,
        "benchmarks.peers.filelock",
        "filelock",
        "`FileLock`, a file and a thread for each conversation, looks every 1 ms "
        "(`poll_interval=0.001`).",
    ),
    Contender(
        FILELOCK_ASYNC,
        "benchmarks.peers.filelock_async",
        "filelock",
        "`AsyncFileLock`, the same from an event loop.",
    ),
    Contender(
        FASTENERS,
        "benchmarks.peers.fasteners",
        "fasteners",
        "`InterProcessLock`, a file and a thread for each conversation, looks every 1 ms "
        "(`delay=max_delay=0.001`). It keeps out other processes, not other threads.",
    ),
    Contender(
        PORTALOCKER,
        "benchmarks.peers.portalocker",
        "portalocker",
        "`Lock`, a file and a thread for each conversation, looks every 1 ms "
        "(`check_interval=0.001`).",
    ),
    Contender(
        DISKCACHE,
        "benchmarks.peers.diskcache",
        "diskcache",
        "`Lock` in a `Cache`, a thread for each conversation, looks every 1 ms.",
    ),
)

CONTENDERS = {contender.name: contender for contender in _ALL}
