"""Ctrl-C and SIGTERM: what was started is stopped first, then the command ends."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator
    from types import FrameType

T = TypeVar("T")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_STATUS_OF_SIGNAL = 128


class Stopped(BaseException):
    """A signal asked the command to end.

    Attributes:
        status: The exit status that says so.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.status = _STATUS_OF_SIGNAL + signum


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Let a signal raise :class:`Stopped` inside the block."""
    before = {signum: signal.signal(signum, _raise) for signum in _SIGNALS}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine; a signal cancels it and is raised once it has cleaned up.

    An exception out of a signal handler would hit whichever task runs at that moment, and that
    task alone.

    Raises:
        Stopped: If a signal came.
    """
    received: list[int] = []

    async def watched() -> T:
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(work)

        def stop(signum: int) -> None:
            received.append(signum)
            task.cancel()

        for signum in _SIGNALS:
            with contextlib.suppress(NotImplementedError):  # Windows: Stopped is raised directly
                loop.add_signal_handler(signum, stop, signum)
        return await task

    with stoppable():  # restores what the loop replaces
        try:
            return asyncio.run(watched())
        except asyncio.CancelledError:
            if received:
                raise Stopped(received[0]) from None
            raise


def run_to_exit(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine; a signal ends the command with its status, once that has cleaned up."""
    try:
        return run(work)
    except Stopped as stopped:
        raise SystemExit(stopped.status) from None


def _raise(signum: int, _frame: FrameType | None) -> NoReturn:
    raise Stopped(signum)
