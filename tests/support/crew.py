"""Worker processes as a test sees them: start, watch, stop, freeze and kill."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.worker import Job, TurnJob

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from typing_extensions import Self

_WORKER = Path(__file__).with_name("worker.py")
ROOT = Path(__file__).parents[2]

Step = dict[str, Any]
"""What a worker says; see ``worker.py``."""


def environment() -> dict[str, str]:
    """Return an environment in which a child process imports what we import."""
    path = os.pathsep.join([str(ROOT), *(entry for entry in sys.path if entry)])
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


class Worker:
    """One worker process; killed when its ``with`` ends, whatever it does.

    Args:
        url: The store's URL.
        *turns: What it shall do.
        on_go: Whether it shall wait for :meth:`go` before it asks for its turns.
    """

    def __init__(self, url: str, *turns: TurnJob, on_go: bool = False) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", str(_WORKER), Job(url, list(turns), on_go).dumps()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        )
        self.steps: list[Step] = []
        self.stderr = b""
        self._news = threading.Condition()
        self._readers = [
            threading.Thread(target=target, daemon=True)
            for target in (self._read_steps, self._read_errors)
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.signal(signal.SIGKILL)
        self.signal(signal.SIGCONT)
        self._process.wait()
        for reader in self._readers:
            reader.join()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert stream is not None
            with contextlib.suppress(BrokenPipeError):
                stream.close()

    def _read_steps(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if not line.endswith(b"\n"):  # it was killed while it spoke
                break
            with self._news:
                self.steps.append(json.loads(line))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        self.stderr = self._process.stderr.read()

    def go(self) -> None:
        """Let it begin."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"go\n")
        self._process.stdin.flush()

    def signal(self, what: signal.Signals) -> int:
        """Send it a signal, and return when (``time.monotonic_ns``)."""
        at = time.monotonic_ns()
        if self._process.poll() is None:
            self._process.send_signal(what)
        return at

    def find(self, step: str, turn: int | None = None) -> list[Step]:
        """Return the steps of this kind so far."""
        with self._news:
            return [
                said
                for said in self.steps
                if said["step"] == step and (turn is None or said["turn"] == turn)
            ]

    def wait_for(
        self, step: str, turn: int | None = None, *, count: int = 1, within: float = 20.0
    ) -> list[Step]:
        """Wait until it has said this step so often, and return what it said."""
        give_up = time.monotonic() + within
        while len(found := self.find(step, turn)) < count:
            with self._news:
                left = give_up - time.monotonic()
                self._news.wait(min(max(left, 0.0), 0.1))
            ended = self._process.poll() is not None and not self._readers[0].is_alive()
            if left <= 0 or (ended and len(self.find(step, turn)) < count):
                said = "\n".join(map(str, self.steps[-20:]))
                raise AssertionError(
                    f"no {step!r} x {count} of turn {turn} within {within} s "
                    f"(exit status {self._process.poll()}); it said:\n{said}\n"
                    f"{self.stderr.decode(errors='replace')}"
                )
        return found

    def finish(self, within: float = 20.0) -> None:
        """Wait for its end; it must have done its job without a word of complaint."""
        self.wait_for("done", within=within)
        assert self._process.wait(within) == 0, self.stderr.decode(errors="replace")
        self._readers[1].join()


@contextlib.contextmanager
def crew(url: str, *shares: list[TurnJob], within: float = 20.0) -> Iterator[list[Worker]]:
    """Start a worker for each share of turns, and let all begin together once all are ready."""
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(Worker(url, *share, on_go=True)) for share in shares]
        for worker in workers:
            worker.wait_for("ready", within=within)
        for worker in workers:
            worker.go()
        yield workers


@dataclass(frozen=True, order=True)
class Stay:
    """One turn as it was: when it began and ended, on the machine's monotonic clock."""

    entered: int
    left: int
    number: int = field(compare=False)
    token: int = field(compare=False)
    asked: int = field(compare=False)
    turn: int = field(compare=False)
    conversation: str = field(compare=False, default="c")


def stays(*workers: Worker) -> list[Stay]:
    """Return the finished turns of all workers in the order in which they began."""
    found = []
    for worker in workers:
        left = {said["turn"]: said["at"] for said in worker.find("left")}
        found += [
            Stay(
                said["at"],
                left[said["turn"]],
                said["number"],
                said["token"],
                said["asked"],
                said["turn"],
            )
            for said in worker.find("entered")
            if said["turn"] in left
        ]
    return sorted(found)


def assert_exact(turns: list[Stay]) -> None:
    """Check turns of one conversation: no two at once, in order, numbers and tokens rising."""
    for earlier, later in pairwise(turns):
        assert earlier.left <= later.entered, f"overlap: {earlier} and {later}"
        assert earlier.number < later.number, f"out of order: {earlier} and {later}"
        assert earlier.token < later.token, f"token did not grow: {earlier} and {later}"


def until(what: Callable[[], bool], within: float = 10.0) -> float:
    """Wait until something is true, and return how many seconds it took."""
    began = time.monotonic()
    while not what():
        assert time.monotonic() < began + within, f"not true within {within} s"
        time.sleep(0.005)
    return time.monotonic() - began
