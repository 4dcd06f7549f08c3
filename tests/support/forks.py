"""Code that runs in a forked child of the test process, and brings its result back."""

from __future__ import annotations

import os
import pickle
import select
import signal
import time
import traceback
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

# Where this process, a child itself, will write its result: its own children must let go of it,
# or it would not be seen to end before they do.
_answers: list[int] = []


class ChildError(AssertionError):
    """What went wrong in the child: its traceback."""


class Child:
    """A forked child that has begun to run a function.

    Nothing of the parent's runs in it afterwards: no pytest, no exit handlers, no flushing.

    Args:
        function: Runs in the child; its result has to pickle.
    """

    def __init__(self, function: Callable[[], object]) -> None:
        self._results, results = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            _run(function, results)
        os.close(results)

    def result(self, within: float = 20.0) -> object:
        """Wait for the function's result.

        Raises:
            ChildError: If it raised, died, or took too long.
        """
        give_up = time.monotonic() + within
        data = b""
        try:
            while True:
                left = give_up - time.monotonic()
                if left <= 0 or not select.select([self._results], [], [], left)[0]:
                    os.kill(self.pid, signal.SIGKILL)
                    raise ChildError(f"the child took longer than {within} s")
                chunk = os.read(self._results, 1 << 16)
                if not chunk:
                    break
                data += chunk
        finally:
            os.close(self._results)
            _, status = os.waitpid(self.pid, 0)
        if not data:
            raise ChildError(f"the child ended with status {status} without a word")
        ok, result = pickle.loads(data)  # noqa: S301 - from our own child
        if not ok:
            raise ChildError(f"in the child:\n{result}")
        found: object = result
        return found


def in_child(function: Callable[[], T], within: float = 20.0) -> T:
    """Run a function in a forked child and return its result."""
    result: T = Child(function).result(within)  # type: ignore[assignment]  # what it returned
    return result


def _run(function: Callable[[], object], results: int) -> None:
    status = 1
    for inherited in _answers:
        os.close(inherited)
    _answers[:] = [results]
    try:
        try:
            outcome = (True, function())
        except BaseException:  # noqa: BLE001 - told to the parent, whatever it is
            outcome = (False, traceback.format_exc())
        with os.fdopen(results, "wb") as pipe:
            pickle.dump(outcome, pipe)
        status = 0
    finally:
        os._exit(status)
