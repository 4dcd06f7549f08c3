"""Bad ground: each a clear error, nothing touched, and the next call tries again."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from typing import TYPE_CHECKING

import pytest

from nowserving import (
    CorruptLock,
    IncompatibleRecord,
    LockError,
    LockLost,
    SQLiteLockStore,
    StoreUnavailable,
)
from nowserving.stores.sqlite import schema
from nowserving.stores.sqlite.statements import read
from nowserving.testing.harness import until
from tests.support.crew import Worker, assert_exact, crew, stays
from tests.support.programs import run
from tests.support.sqlite_turns import LONG, assert_pushed, enter, line, waited
from tests.support.worker import TurnJob

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.places import SQLiteFile


def error_of(path: Path) -> LockError:
    with SQLiteLockStore(path) as store, pytest.raises(LockError) as caught, store.lock("c"):
        pass
    return caught.value


def contents(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.iterdir() if each.is_file()}


def test_a_file_that_is_no_database(path: Path) -> None:
    path.write_text("Dear diary,\n" * 1000)
    before = contents(path.parent)
    error = error_of(path)
    assert isinstance(error, CorruptLock)
    assert error.key == str(path)
    assert "no SQLite database" in str(error)
    assert contents(path.parent) == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "mark", ["a table", "PRAGMA application_id = 7", "PRAGMA user_version = 7"]
)
def test_somebody_elses_database(path: Path, mark: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as theirs:
        theirs.execute("CREATE TABLE accounts (name)" if mark == "a table" else mark)
        theirs.commit()
    before = contents(path.parent)
    error = error_of(path)
    assert isinstance(error, CorruptLock)
    assert error.key == str(path)
    assert "somebody else's" in str(error)
    assert contents(path.parent) == before


def test_a_damaged_database(path: Path) -> None:
    with SQLiteLockStore(path) as store, store.lock("c"):
        pass
    data = path.read_bytes()
    path.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))  # the header is sound
    error = error_of(path)
    assert isinstance(error, CorruptLock)
    assert error.key == str(path)
    assert "damaged" in str(error)


def set_version(path: Path, version: int) -> None:
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {version}")


def test_a_newer_database_is_refused_with_both_numbers(path: Path) -> None:
    with SQLiteLockStore(path) as store, store.lock("c"):
        pass
    set_version(path, schema.PROTOCOL + 1)
    error = error_of(path)
    assert isinstance(error, IncompatibleRecord)
    numbers = error.key, error.found, error.supported
    assert numbers == (str(path), schema.PROTOCOL + 1, schema.PROTOCOL)


async def test_one_that_becomes_newer_under_us_is_refused_as_well(
    path: Path, store: SQLiteLockStore
) -> None:
    async with store.lock("c"):
        pass
    set_version(path, schema.PROTOCOL + 1)
    with pytest.raises(IncompatibleRecord):
        await enter(store)
    set_version(path, schema.PROTOCOL)
    await enter(store)


async def test_an_older_database_is_migrated(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with SQLiteLockStore(path) as store:
        ticket = await store.take_ticket("c", LONG)
    monkeypatch.setattr(schema, "STEPS", (*schema.STEPS, "next"))
    monkeypatch.setattr(schema, "PROTOCOL", schema.PROTOCOL + 1)
    step = "CREATE TABLE more (x);\n-- a semicolon; in a comment\nINSERT INTO more VALUES (';');\n"
    monkeypatch.setattr(
        f"{schema.__name__}.read", lambda name: step if name == "next" else read(name)
    )
    async with SQLiteLockStore(path) as store, store.lock("c", ticket=ticket):
        pass
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (schema.PROTOCOL,)
        assert database.execute("SELECT * FROM more").fetchall() == [(";",)]


async def test_a_missing_folder_is_named_and_may_come(tmp_path: Path) -> None:
    folder = tmp_path / "not yet"
    async with SQLiteLockStore(folder / "locks.db") as store:
        with pytest.raises(StoreUnavailable, match="does not exist"):
            await enter(store)
        folder.mkdir()
        await enter(store)


WITHOUT_RIGHTS = """
    import os, sys, tempfile
    from nowserving import SQLiteLockStore, StoreUnavailable

    def enter(path):
        with SQLiteLockStore(path) as store, store.lock("c"):
            pass

    enter(sys.argv[1])  # whatever is imported is imported
    if os.geteuid() == 0:  # nothing is read-only for root
        os.setgid(65534)
        os.setuid(65534)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "locks.db")
        for place, without, with_rights in (folder, 0o500, 0o700), (path, 0o400, 0o600):
            os.chmod(place, without)
            try:
                enter(path)
            except StoreUnavailable as error:
                print(error)
            os.chmod(place, with_rights)
            enter(path)
"""


def test_what_can_not_be_written_is_named(path: Path) -> None:
    ended = run(WITHOUT_RIGHTS, path)
    assert ended.status == 0, ended.err
    folder, file = ended.out.splitlines()
    assert "can't be written" in folder
    assert "can't be read and written" in file


def test_a_folder_in_its_place(path: Path) -> None:
    path.mkdir()
    assert "is no file" in str(error_of(path))


async def test_two_paths_to_one_file_are_one_line(path: Path, tmp_path: Path) -> None:
    other_path = tmp_path / "elsewhere" / "link.db"
    other_path.parent.mkdir()
    other_path.symlink_to(path)
    async with SQLiteLockStore(path) as store, SQLiteLockStore(other_path) as other:
        async with store.lock("c", LONG):
            waiter = asyncio.create_task(waited(other))
            await until(lambda: len(line(store)) == 2)
        assert await asyncio.wait_for(waiter, 5.0) == 1
    assert not list(other_path.parent.glob("*-peers"))


@pytest.mark.parametrize("how", ["deleted", "replaced"])
async def test_a_file_that_goes_takes_its_turns_along(path: Path, how: str) -> None:
    async with SQLiteLockStore(path) as store:
        with pytest.raises(LockLost):  # noqa: PT012
            async with store.lock("c", LONG, 0.05, on_lost="cancel"):
                for each in [path, *path.parent.glob("locks.db-[ws]*")]:
                    each.unlink()
                if how == "replaced":
                    path.touch()  # noqa: ASYNC240
                await asyncio.sleep(30.0)
        await enter(store)
        await assert_pushed(path)


def test_many_open_a_new_file_at_once(file: SQLiteFile) -> None:
    with crew(file.url(), *[[TurnJob()] * 5] * 8) as workers:
        for worker in workers:
            worker.finish()
        done = stays(*workers)
    assert_exact(done)
    assert [turn.number for turn in done] == list(range(40))


async def test_nobodys_loop_stands_while_another_program_writes(
    path: Path, store: SQLiteLockStore
) -> None:
    await enter(store)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(enter(store))
        ticks = 0
        for _ in range(20):
            await asyncio.sleep(0.01)
            ticks += 1
        assert not waiting.done()
        writer.execute("ROLLBACK")
    await asyncio.wait_for(waiting, 5.0)
    assert ticks == 20


async def test_a_process_that_comes_while_another_writes_is_told(path: Path) -> None:
    async with SQLiteLockStore(path) as store:
        await enter(store)
        async with SQLiteLockStore(path) as other:
            async with store.lock("c", LONG):
                with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as writer:
                    writer.execute("BEGIN IMMEDIATE")
                    waiter = asyncio.create_task(waited(other))
                    await asyncio.sleep(0.2)
                    writer.execute("ROLLBACK")
                await until(lambda: len(line(store)) == 2)
            await asyncio.wait_for(waiter, 5.0)


async def test_past_its_time_it_is_unavailable_and_nothing_is_left(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with SQLiteLockStore(path, busy_timeout=0.3) as store:
        await enter(store)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable, match="did not answer within"):
                await enter(store)
            writer.execute("ROLLBACK")
        await enter(store)
        await until(lambda: not line(store))
    said = [record.getMessage() for record in caplog.records]
    assert sum("does not serve" in each for each in said) == 1
    assert sum("serves again" in each for each in said) == 1


def test_a_process_that_is_killed_while_it_writes(file: SQLiteFile, path: Path) -> None:
    """Each is killed at some moment of many short turns; the next one opens the file."""
    turns = [TurnJob(lifetime=LONG, wait=60.0)] * 200
    for _ in range(5):
        with Worker(file.url(), *turns) as worker:
            worker.wait_for("left", count=5)
        with SQLiteLockStore(path) as store, store.lock("c", timeout=10.0):
            pass
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_tickets_are_given_back_on_a_full_disk(store: SQLiteLockStore) -> None:
    """As far as SQLite sees: it may use no page more than it has."""
    await enter(store)
    held = contextlib.AsyncExitStack()

    async def hold(first: int) -> None:
        for number in range(first, first + 200):
            await held.enter_async_context(store.lock(f"c {number}", LONG))

    await hold(0)
    database = store._runtime.queue.connections._access._database  # type: ignore[union-attr]
    ((pages,),) = database._connection.execute("PRAGMA page_count").fetchall()
    database._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreUnavailable, match="full"):
        await hold(200)
    await held.aclose()
    assert database is store._runtime.queue.connections._access._database  # type: ignore[union-attr]
    for number in range(200):
        assert not store.is_someone_waiting(f"c {number}")


def test_a_database_is_looked_at_in_one_transaction(path: Path) -> None:
    """Else one that is being made right then looks like somebody else's."""
    asked: list[str] = []
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.set_trace_callback(asked.append)
        assert schema.check(database, str(path)) == 0
        assert not database.in_transaction
    assert asked[0] == "BEGIN"
    assert asked[-1] == "ROLLBACK"
    assert len(asked) == 5
