"""A process that forks while it uses the database, in the middle of whatever it does."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from nowserving import SQLiteLockStore
from tests.support.crew import Stay, assert_exact
from tests.support.forks import Child

pytestmark = pytest.mark.filterwarnings(
    # Python 3.12 and newer warn of every fork of a process that has threads.
    "ignore:.*use of fork\\(\\) may lead to deadlocks:DeprecationWarning"
)

THREADS, FORKS, TURNS = 3, 20, 5


def stay(store: SQLiteLockStore) -> Stay:
    asked = time.monotonic_ns()
    with store.lock("c", 600.0, 60.0) as lock:
        entered = time.monotonic_ns()
        return Stay(entered, time.monotonic_ns(), lock.ticket, lock.fencing_token, asked, 0)


def test_forks_in_the_middle_of_turns(path: Path) -> None:
    """No child inherits a lock that it does not have, and no parent loses one."""
    with SQLiteLockStore(path) as store, SQLiteLockStore(path) as second:
        done: list[Stay] = []
        over = threading.Event()

        def work(used: SQLiteLockStore) -> None:
            while not over.is_set():
                done.append(stay(used))

        def in_the_child() -> list[Stay]:
            return [stay(used) for used in (store, second) for _ in range(TURNS)]

        threads = [
            threading.Thread(target=work, args=[used])
            for used in (store, second)
            for _ in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        try:
            for _ in range(FORKS):
                found = Child(in_the_child).result()
                assert isinstance(found, list)
                done += found
        finally:
            over.set()
            for thread in threads:
                thread.join()
    done.sort()
    assert_exact(done)
    assert [turn.number for turn in done] == list(range(len(done)))
    assert len(done) >= FORKS * TURNS * 2
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux shows it")
def test_a_child_has_none_of_its_parents_files(path: Path) -> None:
    def open_files() -> list[str]:
        found = []
        for file in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):
                found.append(str(file.readlink()))
        return [each for each in found if str(path) in each]

    with SQLiteLockStore(path) as store, SQLiteLockStore(path) as other, other.lock("d"):
        assert stay(store).number == 0
        assert len(open_files()) >= 4  # the database, its log, a lock, the folder
        assert Child(open_files).result() == []
        assert stay(store).number == 1


def test_a_store_that_is_forked_before_it_is_used(path: Path) -> None:
    store = SQLiteLockStore(path)
    assert Child(lambda: stay(store).number).result() == 0
    assert stay(store).number == 1
    assert Child(lambda: stay(store).number).result() == 2
    store.close()
