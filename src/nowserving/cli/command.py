"""A command that is ready to run: forked before anything else, and held back until its turn.

It is forked while the process has one thread and no store, where forking is harmless; so a hand-off
costs no start of an interpreter, and the command inherits whatever ``nowserving run`` inherited.
On Linux the kernel kills it when its parent dies, in whatever way: it never works on behind the
back of a lock that nobody renews any more. (A set-user-ID program is out of the kernel's reach
there; elsewhere than on Linux there is nothing of the kind.)
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from nowserving.cli.terminal import safe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NOT_EXECUTABLE, NOT_FOUND = 126, 127
"""Exit statuses of a command that can't be started, as shells have them."""

_STATUS_OF_SIGNAL = 128
_PR_SET_PDEATHSIG = 1
_IGNORED_BY_PYTHON = ("SIGPIPE", "SIGXFSZ")  # other programs expect their default


class Command:
    """A command that waits for its turn.

    Made in the main thread of a process without other threads; the signals in ``mask`` are blocked
    by then, for a signal must not come between fork and exec.

    Args:
        arguments: The command and its arguments.
        mask: The signals that were blocked before, and are to be for the command.
        own_group: Whether it gets a process group of its own. It should where no terminal is: then
            a signal reaches all that it has started. Where one is, the command belongs to the
            group that has the terminal.

    Attributes:
        pid: The process.
        own_group: As given.
        killed_by: The signal that has killed it; 0 if none has.
    """

    def __init__(
        self, arguments: Sequence[str], mask: set[signal.Signals], *, own_group: bool
    ) -> None:
        self.own_group = own_group
        self.killed_by = 0
        self._ended = False
        ready, self._go = os.pipe()
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._go)
            _become(arguments, ready, parent, mask, own_group=own_group)
        os.close(ready)
        if own_group:
            with contextlib.suppress(OSError):  # it has done so itself
                os.setpgid(self.pid, self.pid)

    def start(self, variables: Mapping[str, str]) -> None:
        """Let it run.

        Args:
            variables: Environment variables beside those of this process.
        """
        with contextlib.suppress(BrokenPipeError):  # it was killed: its status tells
            os.write(self._go, json.dumps(dict(variables)).encode())
        os.close(self._go)
        self._go = -1

    async def wait(self) -> int:
        """Wait until it has ended.

        Returns:
            Its exit status; that of a signal is 128 and its number.
        """
        loop = asyncio.get_running_loop()
        if not hasattr(os, "waitid"):  # macOS has it since Python 3.13
            return await loop.run_in_executor(None, self._reap)
        # Until it is reaped, in the thread that also sends signals, nobody else has its number.
        options = os.WEXITED | os.WNOWAIT
        await loop.run_in_executor(None, os.waitid, os.P_PID, self.pid, options)
        return self._reap()

    def send(self, signum: int) -> None:
        """Send it a signal; with a process group of its own, to all of that."""
        if self._ended:
            return
        with contextlib.suppress(ProcessLookupError):
            if self.own_group:
                os.killpg(self.pid, signum)
            else:
                os.kill(self.pid, signum)

    def discard(self) -> None:
        """End it if it has not been started."""
        if self._go >= 0:
            os.close(self._go)
            self._go = -1
            os.kill(self.pid, signal.SIGKILL)
            self._reap()

    def _reap(self) -> int:
        _, status = os.waitpid(self.pid, 0)
        self._ended = True
        code = os.waitstatus_to_exitcode(status)
        self.killed_by = max(0, -code)
        return code if code >= 0 else _STATUS_OF_SIGNAL - code


def _become(
    arguments: Sequence[str],
    ready: int,
    parent: int,
    mask: set[signal.Signals],
    *,
    own_group: bool,
) -> NoReturn:
    """Wait in the forked process for the turn, and become the command."""
    try:
        if own_group:
            os.setpgid(0, 0)
        _die_with(parent)
        told = b""
        while read := os.read(ready, 65_536):
            told += read
        if not told:  # the turn never came, or the parent died
            os._exit(0)
        os.environ.update(json.loads(told))
        # What comes from now on is the command's, and what has come since the turn began.
        for each in signal.Signals:
            if callable(signal.getsignal(each)) or each.name in _IGNORED_BY_PYTHON:
                signal.signal(each, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.execvp(arguments[0], list(arguments))  # noqa: S606 - what this command is for
    except OSError as error:
        found = not isinstance(error, (FileNotFoundError, NotADirectoryError))
        complain(arguments[0], error.strerror or str(error))
        os._exit(NOT_EXECUTABLE if found else NOT_FOUND)
    finally:
        os._exit(NOT_EXECUTABLE)


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it has died before it was asked for
            os._exit(0)


def complain(command: str, why: str) -> None:
    """Say on standard error that a command can't be started."""
    said = f"nowserving run: {safe(command)}: {why}\n"
    os.write(2, said.encode(errors="backslashreplace"))
