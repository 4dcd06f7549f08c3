"""What an examination finds of a file, good and bad, and that it changes nothing."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import sqlite3
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from nowserving import Examination, Finding, SQLiteLockStore
from nowserving.stores.sqlite import mounts, schema
from nowserving.stores.sqlite.examining import database, ground
from tests.support.crew import Worker, until
from tests.support.programs import run
from tests.support.worker import TurnJob

if TYPE_CHECKING:
    from tests.support.places import SQLiteFile


def examine(path: Path) -> Examination:
    with SQLiteLockStore(path, busy_timeout=1.0) as store:
        return store.blocking.examine()


def of(examination: Examination, check: str) -> list[Finding]:
    return [each for each in examination.findings if each.check == check]


def only(examination: Examination, check: str) -> Finding:
    (found,) = of(examination, check)
    return found


def use(path: Path) -> None:
    with SQLiteLockStore(path) as store, store.lock("c"):
        pass


def rows(path: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


async def test_a_good_file_is_fine_and_stays_as_it_is(path: Path, store: SQLiteLockStore) -> None:
    async with store.lock("c"):
        before = rows(path)
        examination = await store.examine()
        assert rows(path) == before
    assert examination.store == f"SQLite, {path}"
    assert examination.verdict in {"fine", "note"}
    assert {each.check for each in examination.findings if each.verdict != "fine"} <= {"version"}
    for check in ("protocol", "integrity", "writing", "push", "space"):
        assert only(examination, check).verdict == "fine"
    assert f"{os.getpid()} on" in only(examination, "processes").found
    assert 0 < only(examination, "writing").figures["median_seconds"] < 1
    assert not [each for each in os.listdir(f"{path}-peers") if each.startswith("doctor")]  # noqa: PTH208


def test_each_write_really_is_committed(path: Path) -> None:
    use(path)
    with SQLiteLockStore(path) as store, store.lock("c"):
        size = os.stat(f"{path}-wal").st_size  # noqa: PTH116
        store.blocking.examine()
        assert os.stat(f"{path}-wal").st_size > size  # noqa: PTH116


def test_a_file_that_is_not_there_is_not_made(path: Path, tmp_path: Path) -> None:
    found = only(examine(path), "file")
    assert found.verdict == "broken"
    assert "no such file" in found.found
    assert list(path.parent.iterdir()) == []
    found = only(examine(tmp_path / "nowhere" / "locks.db"), "file")
    assert str(tmp_path / "nowhere") in found.found
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("what", ["diary", "theirs", "newer", "damaged"])
def test_a_file_that_can_not_be_used_is_left_as_it_is(path: Path, what: str) -> None:
    if what == "diary":
        path.write_text("Dear diary,\n" * 1000)
    else:
        use(path)
        with contextlib.closing(sqlite3.connect(path)) as connection:
            if what == "theirs":
                connection.execute("PRAGMA application_id = 7")
            elif what == "newer":
                connection.execute(f"PRAGMA user_version = {schema.PROTOCOL + 1}")
    if what == "damaged":
        data = path.read_bytes()
        path.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))
    before = path.read_bytes()
    examination = examine(path)
    assert examination.verdict == "broken"
    assert path.read_bytes() == before
    check = {"damaged": ("integrity", "database")}.get(what, ("protocol",))
    assert [each for each in examination.findings if each.check in check and each.remedy]


def test_an_empty_file_waits_for_its_tables(path: Path) -> None:
    path.touch()
    examination = examine(path)
    assert only(examination, "protocol").verdict == "note"
    assert path.stat().st_size == 0
    assert not of(examination, "writing")


WITHOUT_RIGHTS = """
    import os, sys, tempfile
    from nowserving import SQLiteLockStore

    def examine(path):
        with SQLiteLockStore(path) as store:
            for each in store.blocking.examine().findings:
                if each.verdict == "broken":
                    print(each.check, os.path.basename(each.subject), each.found)

    with SQLiteLockStore(sys.argv[1]) as store, store.lock("c"):
        examine(sys.argv[1])  # whatever is imported is imported
    if os.geteuid() == 0:  # nothing is read-only for root
        os.setgid(65534)
        os.setuid(65534)
    with tempfile.TemporaryDirectory(prefix="folder") as folder:
        path = os.path.join(folder, "locks.db")
        with SQLiteLockStore(path) as store:
            with store.lock("c"):
                pass
            for place, without in (folder, 0o500), (path, 0o400), (path + "-peers", 0o500):
                before = os.stat(place).st_mode
                os.chmod(place, without)
                examine(path)
                os.chmod(place, before)
"""


def test_what_may_not_be_written_is_named_with_its_mode(path: Path) -> None:
    ended = run(WITHOUT_RIGHTS, path)
    assert ended.status == 0, ended.err
    folder, file, peers = ended.out.splitlines()
    assert folder.startswith("permissions folder")
    assert "mode 500" in folder
    assert file.startswith("permissions locks.db ")
    assert "mode 400" in file
    assert peers.startswith("permissions locks.db-peers ")


@pytest.mark.parametrize(
    ("kind", "verdict"),
    [("nfs4", "broken"), ("overlay", "warning"), ("tmpfs", "note"), ("xfs", "fine")],
)
def test_the_file_system(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, verdict: str
) -> None:
    use(path)
    table = tmp_path / "mountinfo"
    table.write_text(f"22 1 254:0 / / rw - {kind} /dev/vda rw\n")
    monkeypatch.setattr(mounts, "_MOUNTS", table)
    found = only(examine(path), "file system")
    assert (found.found, found.verdict) == (kind, verdict)


class Usage(NamedTuple):
    free: int


@pytest.mark.parametrize(("free", "verdict"), [(10**6, "broken"), (2 * 10**7, "warning")])
def test_a_disk_that_is_nearly_full(
    path: Path, monkeypatch: pytest.MonkeyPatch, free: int, verdict: str
) -> None:
    use(path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(free))
    assert only(examine(path), "space").verdict == verdict


def test_a_second_name_of_the_file(path: Path) -> None:
    use(path)
    os.link(path, path.with_name("other.db"))
    found = only(examine(path), "file")
    assert found.verdict == "warning"
    assert "hard links" in found.found


def test_a_log_that_somebody_keeps_from_being_moved(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ground, "_LITTLE", 1000)
    use(path)
    with SQLiteLockStore(path) as store, store.lock("c"):
        found = only(examine(path), "file")
    assert found.verdict == "warning"
    assert "fuser" in found.remedy


def test_somebody_else_writes_for_long(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_WAITS", 0.2)
    use(path)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as theirs:
        theirs.execute("BEGIN IMMEDIATE")
        found = only(examine(path), "writing")
        theirs.execute("ROLLBACK")
    assert found.verdict == "broken"
    assert "fuser" in found.remedy


def test_a_large_file_is_not_checked_for_long(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(path)
    monkeypatch.setattr(database, "_CHECKED_FOR", 0.0)
    monkeypatch.setattr(database, "_STEPS", 1)
    found = only(examine(path), "integrity")
    assert found.verdict == "note"
    assert "quick_check" in found.remedy


def test_a_process_that_died_and_one_that_can_not_be_told(path: Path, file: SQLiteFile) -> None:
    use(path)
    with Worker(file.url(), TurnJob(hold=60.0, lifetime=60.0)) as worker:
        worker.wait_for("entered")
        found = only(examine(path), "processes")
        assert (found.verdict, found.figures["alive"]) == ("fine", 1)
        assert f"{worker._process.pid} on {socket.gethostname()}" in found.found
        assert of(examine(path), "sockets") == []
        for each in path.with_name("locks.db-peers").glob("*.sock"):
            each.unlink()
        unreachable = only(examine(path), "sockets")
        assert unreachable.verdict == "warning"
        assert str(worker._process.pid) in unreachable.subject
        worker.signal(signal.SIGKILL)
        until(lambda: only(examine(path), "processes").figures["dead"] == 1)
    assert only(examine(path), "processes").verdict == "note"


def open_files() -> list[str]:
    links = Path("/proc/self/fd").iterdir()
    return [str(each.readlink()) for each in links if each.is_symlink()]


def test_a_fork_waits_until_the_file_is_closed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child must not have a copy of a connection: SQLite's locks would be copied with it."""
    use(path)
    in_it, go_on = threading.Event(), threading.Event()
    opened = database._connected

    def connected(path: str, timeout: float) -> sqlite3.Connection:
        connection = opened(path, timeout)
        in_it.set()
        assert go_on.wait(10)
        return connection

    monkeypatch.setattr(database, "_connected", connected)
    examining = threading.Thread(target=examine, args=(path,))
    examining.start()
    assert in_it.wait(10)
    threading.Timer(0.2, go_on.set).start()
    child = os.fork()
    if not child:
        # The look at the processes beside goes on meanwhile; what it has open may be copied.
        os._exit(any(str(path) in each and "peers" not in each for each in open_files()))
    _, status = os.waitpid(child, 0)
    examining.join()
    assert os.waitstatus_to_exitcode(status) == 0
    assert go_on.is_set()
