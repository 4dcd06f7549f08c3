"""nowserving: one message at a time per conversation, in order, on any number of workers."""

from nowserving._config.endpoints import EndpointConfig
from nowserving._config.options import Defaults, OnLost, Options, Overrides
from nowserving._turns.turn import Turn
from nowserving.errors import (
    ConfigurationError,
    ConnectionException,
    CorruptLock,
    DuplicateMessage,
    IncompatibleRecord,
    LockBusy,
    LockError,
    LockInterrupted,
    LockLost,
    LockReentered,
    LockSuperseded,
    LockTimeout,
    RasaException,
    StoreClosed,
    StoreUnavailable,
)
from nowserving.held import HeldLock
from nowserving.lock import NO_TICKET_ISSUED, Ticket, TicketLock
from nowserving.protocol.status import IssuedTicket, WhenBusy, WhenFull
from nowserving.stores.base import LOCK_LIFETIME, LockStore
from nowserving.stores.memory.store import InMemoryLockStore
from nowserving.stores.redis.settings import (
    DEFAULT_REDIS_LOCK_STORE_KEY_PREFIX,
    DEFAULT_SOCKET_TIMEOUT_IN_SECONDS,
)
from nowserving.stores.redis.store import RedisLockStore

__version__ = "0.1.0"

__all__ = [
    "DEFAULT_REDIS_LOCK_STORE_KEY_PREFIX",
    "DEFAULT_SOCKET_TIMEOUT_IN_SECONDS",
    "LOCK_LIFETIME",
    "NO_TICKET_ISSUED",
    "ConfigurationError",
    "ConnectionException",
    "CorruptLock",
    "Defaults",
    "DuplicateMessage",
    "EndpointConfig",
    "HeldLock",
    "InMemoryLockStore",
    "IncompatibleRecord",
    "IssuedTicket",
    "LockBusy",
    "LockError",
    "LockInterrupted",
    "LockLost",
    "LockReentered",
    "LockStore",
    "LockSuperseded",
    "LockTimeout",
    "OnLost",
    "Options",
    "Overrides",
    "RasaException",
    "RedisLockStore",
    "StoreClosed",
    "StoreUnavailable",
    "Ticket",
    "TicketLock",
    "Turn",
    "WhenBusy",
    "WhenFull",
]
