"""Four processes take turns while they are killed, stopped, and bereft of what stands beside."""

from __future__ import annotations

import contextlib
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
    from pathlib import Path

    from tests.support.places import SQLiteFile

PROCESSES = 4
SECONDS = 120.0 if LONG else 8.0
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


@pytest.mark.timeout(SECONDS + 60.0)
def test_turns_stay_exact_whatever_happens(file: SQLiteFile, path: Path, tmp_path: Path) -> None:
    choose = random.Random(1)
    crew = Crew(file.url(), tmp_path)
    try:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            time.sleep(choose.random() / 2)
            index = choose.randrange(PROCESSES)
            what = choose.choice(["kill", "kill", "stop", "unlink"])
            if what == "kill":
                crew.kill(index)
            elif what == "stop":
                crew.stop(index, choose.random() * LONGEST_STOP)
            else:
                for socket in path.with_name("locks.db-peers").glob("*.sock"):
                    socket.unlink(missing_ok=True)
    finally:
        crew.end()
    turns = sum(check(tmp_path / f"c{number}") for number in range(soak_worker.CONVERSATIONS))
    assert turns > 20 * SECONDS
    assert not (tmp_path / "errors").exists()
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert path.stat().st_size < 5_000_000


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
