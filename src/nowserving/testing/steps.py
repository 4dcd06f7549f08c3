"""Cancelling a task at a chosen ``await``: of all those that it comes to, one after the other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

How = Literal["before", "during", "with the answer"]
"""When the cancellation comes: before the task sleeps, while it does, or just as it would wake."""

WAYS: tuple[How, ...] = ("before", "during", "with the answer")


class Steps:
    """Awaits a coroutine and counts where it is suspended.

    Args:
        coroutine: What to run.
        at: The number of the suspension, counted from 1, at which ``strike`` is called.
        how: When exactly.

    Attributes:
        taken: How often the coroutine was suspended so far.
    """

    def __init__(
        self, coroutine: Coroutine[Any, Any, Any], at: int = 0, how: How = "during"
    ) -> None:
        self._coroutine = coroutine
        self._at = at
        self._how = how
        self.taken = 0

    def __await__(self) -> Generator[Any, Any, Any]:
        steps = self._coroutine.__await__()
        task = asyncio.current_task()
        assert task is not None
        resume: Callable[[], Any] = lambda: steps.send(None)  # noqa: E731 - it changes below
        while True:
            try:
                awaited = resume()
            except StopIteration as finished:
                return finished.value
            self.taken += 1
            if self.taken == self._at:
                self._cancel(task, awaited)
            try:
                yield awaited
            except BaseException as error:  # noqa: BLE001 - it goes where it belongs
                resume = _raising(steps, error)
            else:
                resume = lambda: steps.send(None)  # noqa: E731

    def _cancel(self, task: asyncio.Task[Any], awaited: Any) -> None:
        if self._how == "before":
            task.cancel()
        elif self._how == "during" or awaited is None:
            task.get_loop().call_soon(task.cancel)
        else:
            # Before the task's own callback: it wakes with the answer and a cancellation.
            awaited.add_done_callback(lambda _: task.cancel())


def _raising(steps: Generator[Any, Any, Any], error: BaseException) -> Callable[[], Any]:
    return lambda: steps.throw(error)
