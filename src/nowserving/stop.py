"""The cancellation of a body that we asked for, and have to take back when it leaves."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nowserving.errors import LockError


class Stop:
    """Cancels the task of a body; its turn takes that back, as ``asyncio.timeout`` does.

    Args:
        task: The task.
        kind: The error with which the turn shall end for it.

    Attributes:
        kind: The same.
    """

    __slots__ = ("_before", "_task", "kind")

    def __init__(self, task: asyncio.Task[Any], kind: type[LockError]) -> None:
        self.kind = kind
        self._task = task
        self._before = task.cancelling() if hasattr(task, "cancelling") else 0
        task.cancel()

    async def take_back(self, error: BaseException | None) -> bool:
        """Undo the cancellation.

        Args:
            error: What leaves the body.

        Returns:
            Whether the body ended for our cancellation alone; a cancellation from outside that
            came as well goes on. (Python 3.10 can't tell the two apart.)
        """
        if not isinstance(error, asyncio.CancelledError):
            # The body ended before the cancellation reached it: it is still to be delivered, and
            # must hit neither the leave nor the code after the `async with`.
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0)
        task = self._task
        return not (hasattr(task, "uncancel") and task.uncancel() > self._before)
