"""A person at a terminal: starts a command there, types keys, and reads what the screen shows."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from typing import TYPE_CHECKING

import pyte

from tests.support.crew import environment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from typing_extensions import Self

LIMIT = 15.0
"""Seconds after which what has not been seen counts as never coming."""

ENTER, ESCAPE, CTRL_C, CTRL_D, CTRL_Z = "\r", "\x1b", "\x03", "\x04", "\x1a"
UP, DOWN = "\x1b[A", "\x1b[B"


def nowserving(*arguments: str) -> list[str]:
    """Return the command line of ``nowserving``, as it would be typed."""
    return [sys.executable, "-m", "nowserving", *arguments]


def of_a_person() -> dict[str, str]:
    """Return an environment that does not know how wide the terminal of the tests is."""
    return {
        name: value for name, value in environment().items() if name not in {"COLUMNS", "LINES"}
    }


class Terminal:
    """A command in a terminal of its own; its session is killed when the ``with`` is left.

    Args:
        *command: The command and its arguments.
        rows: The height of the terminal.
        columns: Its width.
        **variables: Environment variables, beside those of a usual terminal.
    """

    def __init__(self, *command: str, rows: int = 40, columns: int = 120, **variables: str) -> None:
        self._command: Sequence[str] = command
        self._variables = variables
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._news = threading.Condition()
        self._raw = bytearray()
        self._main = -1
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._main, side = pty.openpty()
        _set_size(self._main, self._screen.lines, self._screen.columns)
        try:
            # setsid makes the terminal the controlling one, which Ctrl-C and job control need.
            self._process = subprocess.Popen(
                ["setsid", "--ctty", *self._command],
                stdin=side,
                stdout=side,
                stderr=side,
                env={**of_a_person(), "TERM": "xterm-256color", **self._variables},
            )
        finally:
            os.close(side)
        self._reader.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.signal(signal.SIGKILL)
        self.process.wait()
        self._reader.join(LIMIT)
        os.close(self._main)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The command's process, which leads its session."""
        assert self._process is not None, "it was not started"
        return self._process

    # What it shows

    @property
    def lines(self) -> list[str]:
        """The lines of the screen, without the blanks at their ends."""
        with self._news:
            return [line.rstrip() for line in self._screen.display]

    @property
    def text(self) -> str:
        """All that the screen shows."""
        return "\n".join(self.lines).rstrip()

    @property
    def raw(self) -> bytes:
        """Every byte that was written to the terminal so far."""
        with self._news:
            return bytes(self._raw)

    def until(self, text: str, within: float = LIMIT) -> str:
        """Wait until the screen shows a text, and return the screen.

        Raises:
            AssertionError: If it does not; with what it shows.
        """
        return self._until(lambda shown: text in shown, f"{text!r} never came", within)

    def until_count(self, text: str, count: int, within: float = LIMIT) -> str:
        """Wait until the screen shows a text so often, and return the screen."""
        complaint = f"{text!r} was not there {count} times"
        return self._until(lambda shown: shown.count(text) >= count, complaint, within)

    def until_gone(self, text: str, within: float = LIMIT) -> str:
        """Wait until the screen does not show a text any more, and return the screen."""
        return self._until(lambda shown: text not in shown, f"{text!r} stayed", within)

    # What is done to it

    def type(self, keys: str) -> None:
        """Type keys; Enter is ``ENTER``, not a line break."""
        os.write(self._main, keys.encode())

    def resize(self, rows: int, columns: int) -> None:
        """Change the size of the terminal, as if its window were dragged."""
        with self._news:
            self._screen.resize(rows, columns)
        _set_size(self._main, rows, columns)

    def signal(self, what: signal.Signals) -> None:
        """Send a signal to the command, and to all in its process group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, what)

    def wait(self, within: float = LIMIT) -> int:
        """Wait for the end of the command, and return its exit status as a shell tells it.

        Raises:
            AssertionError: If it goes on; with what the screen shows.
        """
        try:
            status = self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"not ended within {within} s; it shows:\n{self.text}") from None
        self._reader.join(1.0)  # what it wrote last; a child of it may keep the terminal open
        return status if status >= 0 else 128 - status

    def _until(self, seen: Callable[[str], bool], complaint: str, within: float) -> str:
        give_up = time.monotonic() + within
        while not seen(shown := self.text):
            with self._news:
                self._news.wait(0.05)
            if time.monotonic() > give_up or not self._reader.is_alive():
                if seen(shown := self.text):
                    break
                raise AssertionError(
                    f"{complaint} (exit status {self.process.poll()}); it shows:\n{shown}"
                )
        return shown

    def _read(self) -> None:
        while True:
            try:
                read = os.read(self._main, 65_536)
            except OSError as error:
                if error.errno != errno.EIO:  # which says that nobody has the other side open
                    raise
                read = b""
            with self._news:
                if read:
                    self._raw += read
                    self._stream.feed(read)
                self._news.notify_all()
            if not read:
                return


def _set_size(terminal: int, rows: int, columns: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
