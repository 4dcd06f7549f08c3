"""Python programs that may hang: each runs in a process of its own, and never past a limit."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.crew import ROOT, environment

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

LIMIT = 10.0
"""Seconds after which a program counts as hung."""

_SAID = 5000  # characters of a log, at most
_MARK = "the program's own end "
_PRELUDE = f"""
import sys, time

def last_line():
    print({_MARK!r}, time.monotonic(), flush=True)
"""


@dataclass(frozen=True)
class Ended:
    """How a program ended.

    Attributes:
        status: Its exit status.
        out: What it printed, without the line of ``last_line()``.
        err: What it complained of.
        to_exit: Seconds from ``last_line()`` to the end of its process.
    """

    status: int
    out: str
    err: str
    to_exit: float

    def quietly(self) -> Ended:
        """Check that it ended well and said nothing on stderr."""
        assert self.status == 0, self.err
        assert not self.err, self.err
        return self


def run(
    program: str | Path, *arguments: object, within: float = LIMIT, warnings: str = "error"
) -> Ended:
    """Run a program to its end.

    Args:
        program: Its text, which may call ``last_line()`` behind its last statement; or its file.
        *arguments: What it finds in ``sys.argv``.
        within: Seconds it may take.
        warnings: What Python does with warnings: ``"error"`` or ``"ignore"``.

    Raises:
        AssertionError: If it takes longer; with the stacks of all its threads.
    """
    source = ["-c", _PRELUDE + textwrap.dedent(program)] if isinstance(program, str) else [program]
    with subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-W", warnings, *source, *map(str, arguments)],
        env=environment(),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=within)
            ended_at = time.monotonic()
        except subprocess.TimeoutExpired:
            raise AssertionError(_stacks(process, within)) from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # its children, too
    said, _, moment = out.partition(_MARK)
    to_exit = ended_at - float(moment) if moment else 0.0
    return Ended(process.returncode, said, err, to_exit)


def _stacks(process: subprocess.Popen[str], within: float) -> str:
    process.send_signal(signal.SIGABRT)  # faulthandler writes them to stderr
    try:
        out, err = process.communicate(timeout=2.0)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
    return f"still running after {within} s; it said:\n{out[-1000:]}\n{err[-6000:]}"


class Running:
    """A server that is started when its ``with`` is entered, and killed when that is left.

    Args:
        *command: Arguments for Python.
        folder: Where it runs; by default where we do.
        **variables: Environment variables.
    """

    def __init__(self, *command: str, folder: Path | None = None, **variables: str) -> None:
        self._command = command
        self._folder = folder
        self._variables = variables
        self._process: subprocess.Popen[bytes] | None = None
        handle, name = tempfile.mkstemp(prefix="nowserving-test-")
        os.close(handle)
        self._log = Path(name)

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, *self._command],
                env={**environment(), **self._variables},
                cwd=self._folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self.until_ready()
        except BaseException:
            self._kill()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._kill()

    def until_ready(self) -> None:
        """Wait until it is worth talking to."""

    @property
    def log(self) -> str:
        """What it has said, the end of that."""
        return self._log.read_text(errors="replace")[-_SAID:]

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process."""
        assert self._process is not None, "it was not started"
        return self._process

    def check(self) -> None:
        """Raise if it has ended, with its last words."""
        assert self.process.poll() is None, self.log

    def stop(self, within: float) -> float:
        """Send it a SIGTERM, and return how many seconds it took to end."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"not ended within {within} s: {self.log}") from None
        return time.monotonic() - began

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # its children, too
        self.process.wait()
        self._log.unlink()
