"""The cancellation of a body that we asked for, and have to take back when it leaves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from nowserving.errors import LockInterrupted

if TYPE_CHECKING:
    from nowserving.errors import LockError
    from nowserving.protocol.status import Outcome


class BodyCancellation:
    """Cancels the task of a body; its turn takes that back, as ``asyncio.timeout`` does.

    Args:
        task: The task.
        kind: The error with which the turn shall end for it.
        before: How many cancellations of the task were under way when the turn began. Those that
            came since, before ours or after it, are from outside and go on.

    Attributes:
        kind: The same.
    """

    __slots__ = ("_before", "_owes", "_task", "kind")

    def __init__(self, task: asyncio.Task[Any], kind: type[LockError], before: int) -> None:
        self.kind = kind
        self._task = task
        self._before = before
        self._owes = False
        task.cancel()

    def outcome_of(self, ended: Outcome) -> Outcome:
        """Return how the stay ended whose body was cancelled.

        Args:
            ended: How it would have ended otherwise.
        """
        return "interrupted" if self.kind is LockInterrupted else ended

    async def take_back(self, error: BaseException | None) -> bool:
        """Undo the cancellation.

        Args:
            error: What leaves the body.

        Returns:
            Whether the body ended for our cancellation alone. One from outside that came as well
            goes on. (Python 3.10 can't tell the two apart: there ours wins.)
        """
        collected = False
        if not isinstance(error, (asyncio.CancelledError, GeneratorExit)):
            # The body ended before the cancellation reached it: it is still to be delivered, and
            # must hit neither the leave nor the code after the `async with`.
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                collected = True
        task = self._task
        others = hasattr(task, "uncancel") and task.uncancel() > self._before
        self._owes = collected and others
        return not others

    def pay_back(self) -> None:
        """Ask again for a cancellation from outside that was collected together with ours.

        When the turn is over: the code after the ``async with`` is what it is meant for by now.
        """
        if self._owes and hasattr(self._task, "uncancel"):
            self._owes = False
            self._task.uncancel()
            self._task.cancel()
