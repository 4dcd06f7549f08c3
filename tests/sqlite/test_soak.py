"""Four processes take turns while they are killed, stopped, and bereft of what stands beside."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.support import soak_worker
from tests.support.crew import environment
from tests.support.executables import LONG

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROCESSES = 4
SECONDS = 120.0 if LONG else 8.0
TURNS = 100_000 if LONG else 160
WITHIN = 900.0 if LONG else 60.0
DISK = "16m"
LONGEST_STOP = 0.5


class Crew:
    """The processes; whoever is killed is replaced."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url, self._folder = url, folder
        self._started = 0
        self.processes = [self._start() for _ in range(PROCESSES)]

    def _start(self) -> subprocess.Popen[bytes]:
        self._started += 1
        program = [sys.executable, soak_worker.__file__, self._url, str(self._folder)]
        return subprocess.Popen([*program, str(self._started)], env=environment())

    def kill(self, index: int) -> None:
        self.processes[index].kill()
        self.processes[index].wait()
        self.processes[index] = self._start()

    def stop(self, index: int, seconds: float) -> None:
        self.processes[index].send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.processes[index].send_signal(signal.SIGCONT)

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 16 MB, where we may mount one: with the long suites, and as root."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounts = LONG and os.geteuid() == 0
    if mounts:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "nowserving-soak", str(folder)]
        subprocess.run(mount, check=True)
    yield folder
    if mounts:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.timeout(WITHIN)
def test_turns_stay_exact_whatever_happens(disk: Path, tmp_path: Path) -> None:
    choose = random.Random(1)
    path = disk / "locks.db"
    events = ["kill", "kill", "stop", "unlink"]
    if disk.is_mount():
        events.append("fill")
    crew = Crew(f"sqlite:///{path}", tmp_path)
    try:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end or turns_in(tmp_path) < TURNS:
            time.sleep(choose.random() / 2)
            index = choose.randrange(PROCESSES)
            what = choose.choice(events)
            if what == "kill":
                crew.kill(index)
            elif what == "stop":
                crew.stop(index, choose.random() * LONGEST_STOP)
            elif what == "fill":
                fill(disk, choose.random())
            else:
                for socket in path.with_name("locks.db-peers").glob("*.sock"):
                    socket.unlink(missing_ok=True)
    finally:
        crew.end()
    turns = sum(check(tmp_path / f"c{number}") for number in range(soak_worker.CONVERSATIONS))
    print(f"{turns} turns")  # noqa: T201 - for whoever runs it with -s
    assert turns >= TURNS
    assert not (tmp_path / "errors").exists()
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert path.stat().st_size < 5_000_000


def fill(disk: Path, seconds: float) -> None:
    """Leave no room on a disk, for a while."""
    filler = disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    time.sleep(seconds)
    filler.unlink()


def turns_in(folder: Path) -> int:
    """Return how many turns have ended so far, or nearly."""
    return sum(log.read_bytes().count(b"out") for log in folder.glob("c*"))


def check(log: Path) -> int:
    """Return how many turns a conversation had; each after the one before, with a higher token."""
    turns, inside, left = 0, 0, 0
    for line in log.read_text().splitlines():
        what, token, at = line.split()
        if what == "in":
            assert int(token) > inside, f"{log.name}: {line} comes behind {inside}"
            # A lifetime is six times as long: no turn of the dead was waited for.
            assert not left or int(at) - left < soak_worker.LIFETIME / 6 * 1e9
            turns, inside = turns + 1, int(token)
        else:
            assert int(token) == inside, f"{log.name}: {line} while {inside} is in"
            left = int(at)
    return turns
