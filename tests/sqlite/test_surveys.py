"""A survey reads beside the thread that has the database, and minds forks as that does."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from nowserving import CorruptLock, IncompatibleRecord, SQLiteLockStore
from nowserving.stores.sqlite import reader
from nowserving.stores.sqlite.reader import Reader
from tests.support.crew import environment
from tests.support.forks import Child

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings(
    # Python 3.12 and newer warn of every fork of a process that has threads.
    "ignore:.*use of fork\\(\\) may lead to deadlocks:DeprecationWarning"
)

LONG = 60.0


async def fill(store: SQLiteLockStore, count: int) -> None:
    names = [f"c-{number}" for number in range(count)]
    await asyncio.gather(*(store.take_ticket(name, lock_lifetime=LONG) for name in names))


class _Held:
    """Holds each page while it is read, until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reading, self.go_on = threading.Event(), threading.Event()
        read_page, held = Reader._open, self

        def slow(reader: Reader) -> sqlite3.Connection:
            connection = read_page(reader)
            connection.execute("BEGIN").close()
            connection.execute("SELECT count(*) FROM lines").fetchall()  # the lock is taken now
            connection.execute("COMMIT").close()
            held.reading.set()
            held.go_on.wait(20.0)
            return connection

        monkeypatch.setattr(Reader, "_open", slow)


async def test_a_turn_does_not_wait_for_a_page(
    store: SQLiteLockStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(store, 10)
    page = _Held(monkeypatch)
    surveying = asyncio.ensure_future(store.survey())
    await asyncio.to_thread(page.reading.wait, 10.0)
    for _ in range(20):
        async with store.lock("beside"):
            pass
    assert not surveying.done()
    page.go_on.set()
    assert (await surveying).conversations == 10


async def test_lines_that_go_over_pages_are_seen_whole(
    store: SQLiteLockStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_PAGE", 7)
    for name in ("a", "b", "c"):
        for _ in range(10):
            await store.take_ticket(name, lock_lifetime=LONG)
    seen = await store.survey()
    assert {line.conversation_id: line.waiting for line in seen.lines} == dict.fromkeys("abc", 9)
    assert (seen.conversations, seen.held, seen.waiting) == (3, 3, 27)


async def test_a_fork_waits_for_the_end_of_a_page_and_surveys_by_itself(
    store: SQLiteLockStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(store, 10)
    page = _Held(monkeypatch)
    surveying = asyncio.ensure_future(store.survey())
    await asyncio.to_thread(page.reading.wait, 10.0)
    let_go: list[float] = []

    def let_it_go() -> None:
        let_go.append(time.monotonic())
        page.go_on.set()

    threading.Timer(0.3, let_it_go).start()
    child = Child(lambda: store.blocking.survey().conversations)
    assert let_go, "it forked in the middle of a page"
    assert await asyncio.to_thread(child.result) == 10
    assert (await surveying).conversations == 10


async def test_a_clock_that_was_set_back_changes_no_duration(
    store: SQLiteLockStore, path: Path
) -> None:
    await store.take_ticket("c", lock_lifetime=LONG)
    await store.take_ticket("c", lock_lifetime=LONG)
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE lines SET written = written + 3600")
        database.execute(
            "UPDATE tickets SET expires = expires + 3600, served_at = served_at + 3600, "
            "joined = joined + 3600"
        )
    (line,) = (await store.survey()).lines
    assert line.oldest_wait is not None
    assert 0 <= line.oldest_wait < 30
    assert line.holder is not None
    assert 0 < line.holder.expires_in <= LONG


async def test_a_database_that_is_not_ours_is_told_of(tmp_path: Path) -> None:
    strange, newer = tmp_path / "strange.db", tmp_path / "newer.db"
    strange.write_bytes(b"no database" * 500)
    async with SQLiteLockStore(strange) as store:
        with pytest.raises(CorruptLock, match="no SQLite database"):
            await store.survey()
    async with SQLiteLockStore(newer) as store:
        await fill(store, 1)
        with contextlib.closing(sqlite3.connect(newer)) as database:
            database.execute("PRAGMA user_version = 99")
        with pytest.raises(IncompatibleRecord):
            await store.survey()


async def test_the_dead_are_not_seen(path: Path) -> None:
    """Their tickets are nobody's, from the first look of the first process that comes by."""
    script = (
        "import asyncio, os, sys\nfrom nowserving import SQLiteLockStore\n"
        "async def main():\n"
        "    async with SQLiteLockStore(sys.argv[1]).lock('c', 600):\n"
        "        os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())\n"
    )
    await _run(script, path)
    async with SQLiteLockStore(path) as store:
        assert (await store.survey()).conversations == 0


async def _run(script: str, *args: Any) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, *map(str, args), env=environment()
    )
    await process.wait()
