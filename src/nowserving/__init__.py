"""nowserving: one message at a time per conversation, in order, on any number of workers."""

from nowserving._config.endpoints import EndpointConfig
from nowserving._config.options import Defaults, OnLost, Options, Overrides
from nowserving._turns.turn import Turn
from nowserving.errors import (
    ConfigurationError,
    ConnectionException,
    CorruptLock,
    DuplicateMessage,
    Holder,
    IncompatibleRecord,
    LockAbsorbed,
    LockBusy,
    LockError,
    LockInterrupted,
    LockLost,
    LockReentered,
    LockReleased,
    LockSuperseded,
    LockTimeout,
    RasaException,
    StoreClosed,
    StoreUnavailable,
)
from nowserving.held import Absorbed, HeldLock
from nowserving.instrumentation.observer import AllEvents, Observer, StoreEvent, TicketEvent
from nowserving.instrumentation.observers import Observation
from nowserving.lock import NO_TICKET_ISSUED, Superseded, Ticket, TicketLock
from nowserving.protocol.examination import Examination, Finding, Verdict
from nowserving.protocol.history import HistoryEvent
from nowserving.protocol.line import Line, LineTicket
from nowserving.protocol.status import IssuedTicket, WhenBusy, WhenFull
from nowserving.protocol.survey import LineSummary, ProcessSummary, Survey, SurveyOrder
from nowserving.stores.base import LOCK_LIFETIME, LockStore
from nowserving.stores.memory.store import InMemoryLockStore
from nowserving.stores.redis.settings import (
    DEFAULT_REDIS_LOCK_STORE_KEY_PREFIX,
    DEFAULT_SOCKET_TIMEOUT_IN_SECONDS,
)
from nowserving.stores.redis.store import RedisLockStore
from nowserving.stores.sqlite.store import SQLiteLockStore

__version__ = "0.1.0"

__all__ = [
    "DEFAULT_REDIS_LOCK_STORE_KEY_PREFIX",
    "DEFAULT_SOCKET_TIMEOUT_IN_SECONDS",
    "LOCK_LIFETIME",
    "NO_TICKET_ISSUED",
    "Absorbed",
    "AllEvents",
    "ConfigurationError",
    "ConnectionException",
    "CorruptLock",
    "Defaults",
    "DuplicateMessage",
    "EndpointConfig",
    "Examination",
    "Finding",
    "HeldLock",
    "HistoryEvent",
    "Holder",
    "InMemoryLockStore",
    "IncompatibleRecord",
    "IssuedTicket",
    "Line",
    "LineSummary",
    "LineTicket",
    "LockAbsorbed",
    "LockBusy",
    "LockError",
    "LockInterrupted",
    "LockLost",
    "LockReentered",
    "LockReleased",
    "LockStore",
    "LockSuperseded",
    "LockTimeout",
    "Observation",
    "Observer",
    "OnLost",
    "Options",
    "Overrides",
    "ProcessSummary",
    "RasaException",
    "RedisLockStore",
    "SQLiteLockStore",
    "StoreClosed",
    "StoreEvent",
    "StoreUnavailable",
    "Superseded",
    "Survey",
    "SurveyOrder",
    "Ticket",
    "TicketEvent",
    "TicketLock",
    "Turn",
    "Verdict",
    "WhenBusy",
    "WhenFull",
]
