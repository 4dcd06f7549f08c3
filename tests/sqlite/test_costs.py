"""What turns and waiting cost a database."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import TYPE_CHECKING, Any

import pytest

from nowserving.protocol.status import Admission, IssuedTicket
from nowserving.stores._lines import Tokens
from nowserving.stores.sqlite.database import Database
from nowserving.stores.sqlite.handle import SQLiteHandle
from nowserving.stores.sqlite.kept import KeptLines
from nowserving.stores.sqlite.verbs import Shown, Verbs
from nowserving.testing.harness import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from nowserving import SQLiteLockStore
    from nowserving.stores.sqlite.access import Access

LONG = 600.0
FEW, MANY = 20, 3_000
NOW = 1000.0
WAITERS = 1_000


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    database = Database(str(path))
    database.set_up()
    yield database
    database.close()


def take(verbs: Verbs, name: str, owner: str = "new.1", **how: Any) -> SQLiteHandle:
    handle = SQLiteHandle(name, owner)
    verbs.take(handle, Admission(LONG, **how))
    return handle


def old(name: str, number: int) -> SQLiteHandle:
    handle = SQLiteHandle(name, f"o.{number}")
    handle.number = number
    return handle


VERBS: dict[str, Callable[[Verbs, str], object]] = {
    "take": take,
    "take a message": lambda verbs, name: take(verbs, name, message_id="m"),
    "take up to a limit": lambda verbs, name: take(verbs, name, max_waiting=5),
    "redeem": lambda verbs, name: take(verbs, name, redeem=IssuedTicket(7, "secret")),
    "hand off": lambda verbs, name: verbs.leave(old(name, 0), "done"),
    "leave while waiting": lambda verbs, name: verbs.leave(old(name, 9), "abandoned"),
    "renew": lambda verbs, name: verbs.renew(old(name, 9), LONG),
    "poll": lambda verbs, name: verbs.poll(name, [old(name, n) for n in (1, 2, 3, FEW - 1)]),
    "release": lambda verbs, name: verbs.release(name, Shown(9, "o.9"), "why"),
}


@contextlib.contextmanager
def transaction(database: Database) -> Iterator[Verbs]:
    database.begin()
    verbs = Verbs(database, Tokens(), KeptLines(), NOW)
    yield verbs
    verbs.write()
    database.commit()


def cost(database: Database, waiters: int, verb: Callable[[Verbs, str], object]) -> int:
    """Return how many instructions of SQLite a verb takes, in a line of so many."""
    name = f"{waiters} wait"
    with transaction(database) as verbs:
        for number in range(waiters):
            owner = "secret" if number == 7 else f"o.{number}"
            take(verbs, name, owner, message_id=f"m.{number}", claimed=number != 7)
    counter = itertools.count()
    connection = database._connection
    connection.set_progress_handler(lambda: next(counter) < 0, 1)
    with transaction(database) as verbs:
        verb(verbs, name)
    connection.set_progress_handler(None, 1)
    return next(counter)


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_costs_the_same_in_a_long_line(database: Database, verb: str) -> None:
    few, many = cost(database, FEW, VERBS[verb]), cost(database, MANY, VERBS[verb])
    assert many < few * 1.2 + 50


def test_many_remembered_messages_slow_nobody(database: Database) -> None:
    few = cost(database, FEW, VERBS["take a message"])
    with transaction(database):
        database.execute_many("remember", [(b"%d" % n, NOW + LONG) for n in range(100_000)])
    many = cost(database, FEW + 1, VERBS["take a message"])
    assert many < few * 1.2 + 50


def test_what_nobody_needs_any_more_goes(database: Database) -> None:
    with transaction(database) as verbs:
        for number in range(200):
            verbs.leave(take(verbs, f"c.{number}", message_id="m", remember_for=1.0), "done")
    database.begin()
    later = Verbs(database, Tokens(), KeptLines(), NOW + 4 * LONG)
    assert later.sweep(150)
    assert not later.sweep(150)
    database.commit()
    for table in ("lines", "tickets", "done", "tombstones"):
        counted = database._connection.execute(f"SELECT count(*) FROM {table}")  # noqa: S608
        assert counted.fetchone() == (0,)


def test_the_clock_is_set_back_under_a_line(database: Database) -> None:
    with transaction(database) as verbs:
        holder, waiter = take(verbs, "c", "o.1"), take(verbs, "c", "o.2")
    database.begin()
    verbs = Verbs(database, Tokens(), KeptLines(), NOW - 10 * LONG)
    holds, waits = verbs.renew(holder, 0.0), verbs.renew(waiter, 0.0)
    verbs.write()
    database.commit()
    assert holds.expires_in == pytest.approx(LONG)
    assert waits.blocked_for == pytest.approx(LONG)
    database.begin()
    verbs = Verbs(database, Tokens(), KeptLines(), NOW - 9 * LONG + 1.0)
    assert verbs.leave(holder, "done").why == "expired"
    verbs.write()
    database.commit()


async def test_a_turn_is_two_transactions(store: SQLiteLockStore) -> None:
    begun = count_transactions(store)
    for _ in range(10):
        async with store.lock("c", LONG):
            pass
    assert begun() <= 20 + 2  # every two seconds one tidies up


def count_transactions(store: SQLiteLockStore) -> Callable[[], int]:
    access: Access = store._runtime.queue.connections._access  # type: ignore[union-attr]
    count = itertools.count()
    transact = access._in_transaction

    def counted(*args: Any) -> Any:
        next(count)
        return transact(*args)

    access._in_transaction = counted  # type: ignore[assignment,method-assign]
    return lambda: next(count)


async def visit(store: SQLiteLockStore) -> None:
    async with store.lock("busy", LONG, wait_time_in_seconds=1.0):
        pass


async def test_a_thousand_waiters_are_asked_about_together(store: SQLiteLockStore) -> None:
    async with store.lock("busy", LONG):
        waiters = [asyncio.create_task(visit(store)) for _ in range(WAITERS)]
        await until(lambda: in_line(store) == 1 + WAITERS, 10.0)
        begun = count_transactions(store)
        await asyncio.sleep(2.0)
        # A poll a second for all of them, at whatever moments they began to wait.
        assert begun() <= 20
        for waiter in waiters:
            waiter.cancel()
        await asyncio.wait(waiters)


def in_line(store: SQLiteLockStore) -> int:
    lock = store.get_lock("busy")
    return 0 if lock is None else len(lock.tickets)


async def test_a_verb_that_fails_costs_nobody_else_his(store: SQLiteLockStore) -> None:
    queue = store._runtime.queue
    wrong = queue.finish("a", 2**70, "", keep=True)
    asked = [store.take_ticket("a"), wrong, store.take_ticket("a")]
    first, failed, second = await asyncio.gather(*asked, return_exceptions=True)
    assert (first, second) == (0, 1)
    assert isinstance(failed, Exception)
