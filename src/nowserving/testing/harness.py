"""What the themes of the suite share: making stores, running scenarios, watching lines."""

from __future__ import annotations

import asyncio
import gc
import logging
import secrets
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from nowserving.errors import LockError
from nowserving.testing.turn_log import TurnLog
from nowserving.testing.visitor import Visitor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from typing_extensions import Self, Unpack

    from nowserving._config.options import Defaults
    from nowserving.held import HeldLock
    from nowserving.protocol.queue import Guarantees
    from nowserving.stores.base import LockStore

    _Scenario = Callable[[Any, LockStore], Awaitable[None]]
    _Test = Callable[[Any], None]

_T = TypeVar("_T")

SOON = 5.0
"""Seconds for what happens at once, at a tempo of 1."""


class StoreHarness:
    """The base of all themes; a store's test class says how a store is made."""

    tempo: float = 1.0
    """Factor for every lifetime, wait and time limit of the suite; set it in your test class.

    At 1.0 the shortest lifetime is 0.1 s, which is enough for a store that answers within some
    milliseconds. If yours may take longer, raise it: at 3.0 no lifetime is below 0.3 s, and the
    suite takes up to three times as long.
    """

    takes_empty_names = False
    """Whether an empty name is a conversation like any other; Rasa wants that of its stores."""

    _names: list[str]

    def make_store(self, **defaults: Unpack[Defaults]) -> LockStore:
        """Make a new store object over the storage that this test uses.

        Args:
            **defaults: Options of ``lock()`` to be set on the store.
        """
        raise NotImplementedError

    # Time

    def seconds(self, seconds: float) -> float:
        """Return a duration at this store's tempo. Every duration of the suite goes through it.

        Args:
            seconds: The duration at a tempo of 1.
        """
        return seconds * self.tempo

    @property
    def long(self) -> float:
        """A lifetime that does not end during a test."""
        return self.seconds(60.0)

    @property
    def limit(self) -> float:
        """Seconds after which a scenario has failed: a lock that is never granted hangs nobody."""
        return self.seconds(30.0)

    @property
    def soon(self) -> float:
        """Seconds within which has to happen what happens at once: room for a busy machine."""
        return self.seconds(SOON)

    @property
    def look(self) -> float:
        """``wait_time_in_seconds`` of the scenarios: who can only look, looks often enough."""
        return self.seconds(0.05)

    async def until(self, condition: Callable[[], object], limit: float | None = None) -> None:
        """Wait until something is so, ``soon`` unless told otherwise."""
        await until(condition, self.soon if limit is None else limit)

    async def until_lost(self, lock: HeldLock) -> None:
        """Wait until a lock is lost, and for the store as well.

        ``lock.lost`` counts from before the question was sent, so it errs on the safe side by the
        time of a round trip: a leave right then may still find its ticket.
        """
        await self.until(lambda: lock.lost)
        await asyncio.sleep(self.seconds(0.05))

    async def in_thread(self, function: Callable[[], _T]) -> _T:
        """Run something in a thread of its own; an executor's would outlive the scenario."""
        return await in_thread(function, self.limit)

    # What the store promises

    @staticmethod
    def guarantees(store: LockStore) -> Guarantees:
        """Return what a store says it can do."""
        return store.guarantees

    def keeps_records(self, store: LockStore) -> bool:
        """Return whether the store keeps more of a ticket than its number and its expiry.

        Only then can it decide policies, know a ticket's owner and how its turn ended, and give a
        ticket its lifetime anew when it is served.
        """
        return self.guarantees(store).policies

    def another(self, store: LockStore) -> LockStore:
        """Return what another process would use: a second store, if the lines are shared."""
        return self.make_store() if self.guarantees(store).cross_process else store

    # Conversations and lines

    def conversation(self, hint: str = "conversation") -> str:
        """Return the name of a conversation that nobody has used."""
        name = f"{hint}-{secrets.token_hex(6)}"
        self._names.append(name)
        return name

    @staticmethod
    def numbers(store: LockStore, conversation_id: str) -> list[int]:
        """Return the numbers of the live tickets in a line."""
        lock = store.get_lock(conversation_id)
        if lock is None:
            return []
        lock.remove_expired_tickets()
        return [ticket.number for ticket in lock.tickets]

    def visitor(
        self,
        store: LockStore,
        conversation_id: str,
        lock_lifetime: float | None = None,
        **options: Any,
    ) -> Visitor:
        """Start a task that takes a turn; with a ``long`` lifetime unless told otherwise."""
        lifetime = self.long if lock_lifetime is None else lock_lifetime
        options.setdefault("wait_time_in_seconds", self.look)
        return Visitor(store, conversation_id, lifetime, soon=self.soon, **options)

    async def enter(
        self,
        store: LockStore,
        conversation_id: str,
        lock_lifetime: float | None = None,
        **options: Any,
    ) -> Visitor:
        """Start a task that takes a turn, and return it once it holds the lock."""
        visitor = self.visitor(store, conversation_id, lock_lifetime, **options)
        await visitor.serves()
        return visitor

    async def line_up(
        self,
        store: LockStore,
        conversation_id: str,
        lock_lifetime: float | None = None,
        **options: Any,
    ) -> Visitor:
        """Start a task that takes a turn, and return it once its ticket is in the line."""
        visitor = self.visitor(store, conversation_id, lock_lifetime, **options)
        await self.until(lambda: visitor.in_line or visitor.ended)
        return visitor

    def drop_in(self, store: LockStore, conversation_id: str, **options: Any) -> None:
        """Take a turn as a thread does, and leave at once."""
        with store.lock(conversation_id, self.long, self.look, **options):
            pass

    # Running

    @contextmanager
    def opened(self, **defaults: Unpack[Defaults]) -> Iterator[LockStore]:
        """Give a synchronous test a store, and check afterwards that nothing is left of it."""
        self._names, told = [], TurnLog()
        before = set(threading.enumerate())
        store = self.make_store(**defaults)
        store.observe(told)
        try:
            yield store
            self._check_lines(store)
        finally:
            store.close()
        self._check_threads(before)
        check_told(told)

    def run(self, scenario: _Scenario, **defaults: Unpack[Defaults]) -> None:
        """Run a scenario in an event loop of its own, and check that nothing is left of it."""

        async def play() -> None:
            store = self.make_store(**defaults)
            store.observe(told)
            try:
                await asyncio.wait_for(scenario(self, store), self.limit)
                self._check_lines(store)
            finally:
                await store.aclose()

        self._names, told = [], TurnLog()
        before = set(threading.enumerate())
        asyncio.run(play())
        self._check_threads(before)
        check_told(told)

    def _check_lines(self, store: LockStore) -> None:
        left = {name: self.numbers(store, name) for name in self._names}
        assert not any(left.values()), f"tickets were left in line: {left}"

    @staticmethod
    def _check_threads(before: set[threading.Thread]) -> None:
        left = [
            thread.name
            for thread in set(threading.enumerate()) - before
            if thread.name.startswith("nowserving")
        ]
        assert not left, f"threads of a closed store are still there: {left}"

    def refused(self, **arguments: Any) -> None:
        """Check that a store which can't decide atomically says so, and issues no ticket."""

        async def scenario(_: Self, store: LockStore) -> None:
            name = self.conversation()
            if "ticket" in arguments:
                arguments["ticket"] = store.issue_ticket(name)
            with pytest.raises(LockError) as refusal:
                async with store.lock(name, **arguments):
                    pytest.fail("the body ran")
            for argument in arguments:
                assert argument in str(refusal.value)
            store.delete_lock(name)

        self.run(scenario)


def scenario(test: _Scenario) -> _Test:
    """Turn ``async def test_…(self, store)`` into a plain test with a fresh store and loop.

    Plain, so that no plugin for asyncio is needed, and none interferes.
    """

    def run(self: StoreHarness) -> None:
        self.run(test)

    return _named_like(test, run)


def policy(**arguments: Any) -> Callable[[_Scenario], _Test]:
    """Do the same for a test of arguments that only a store which decides atomically can honour.

    A store that declares ``policies=False`` has to refuse these arguments instead.
    """

    def decorate(test: _Scenario) -> _Test:
        def run(self: StoreHarness) -> None:
            with self.opened() as store:
                decides = self.guarantees(store).policies
            if decides:
                self.run(test)
            else:
                self.refused(**arguments)

        return _named_like(test, run)

    return decorate


def _named_like(test: _Scenario, run: _Test) -> _Test:
    # Not functools.wraps: pytest would read the scenario's parameters as names of fixtures.
    for attribute in ("__name__", "__qualname__", "__doc__", "__module__"):
        setattr(run, attribute, getattr(test, attribute))
    run.pytestmark = list(getattr(test, "pytestmark", ()))  # type: ignore[attr-defined]
    return run


def check_told(told: TurnLog) -> None:
    """Check that observers were told of every turn as the law of turn events says."""
    assert not told.faults(), told.faults()
    # What garbage collection ended is told a moment later, by another thread.
    deadline = time.monotonic() + SOON
    while told.unfinished() and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.01)
    assert not told.unfinished(), told.unfinished()
    assert not told.faults(), told.faults()


async def until(condition: Callable[[], object], limit: float = SOON) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, f"it did not come to pass within {limit:g} s"
        await asyncio.sleep(0.002)


async def in_thread(function: Callable[[], _T], limit: float) -> _T:
    """Run something in a thread of its own; see :meth:`StoreHarness.in_thread`."""
    result: list[_T] = []
    error: list[BaseException] = []

    def run() -> None:
        try:
            result.append(function())
        except BaseException as raised:  # noqa: BLE001 - it is raised below
            error.append(raised)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    await until(lambda: not thread.is_alive(), limit)
    if error:
        raise error[0]
    return result[0]


class Overlaps:
    """Notes who is inside, and fails when there are two."""

    def __init__(self) -> None:
        self._inside = 0
        self.visits: list[Any] = []

    @contextmanager
    def visit(self, who: Any = None) -> Iterator[None]:
        """Be inside."""
        self._inside += 1
        assert self._inside == 1, f"{who!r} is not alone"
        self.visits.append(who)
        try:
            yield
        finally:
            self._inside -= 1


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@contextmanager
def log_records(level: int) -> Iterator[list[logging.LogRecord]]:
    """Collect the package's log records of a level and above."""
    logger = logging.getLogger("nowserving")
    collector, before = _Collector(), logger.level
    logger.addHandler(collector)
    logger.setLevel(level)
    try:
        yield collector.records
    finally:
        logger.removeHandler(collector)
        logger.setLevel(before)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep expected warnings of the package out of the test's output."""
    with log_records(logging.CRITICAL):
        yield
