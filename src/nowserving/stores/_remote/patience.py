"""Waiting for so many seconds of a loop that runs: what is not Redis's fault does not count."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from nowserving._host.background import spawn
from nowserving.stores._remote.abandonment import abandon_task

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

_T = TypeVar("_T")

_SLICES = 8


async def patiently(
    coroutine: Coroutine[Any, Any, _T], seconds: float, undo: Callable[[_T], None]
) -> _T:
    """Wait for a coroutine, as ``asyncio.wait_for`` does, but not by the clock alone.

    A loop that was blocked for longer than the whole limit has read nothing meanwhile. So the time
    is waited in slices, and none counts for more than its length, however late its end is noticed.

    Args:
        coroutine: What to wait for; it runs in an empty context.
        seconds: For how long.
        undo: What to do with a result that comes when nobody waits for it any more.

    Raises:
        asyncio.TimeoutError: If it takes longer; it is cancelled then.
    """
    loop = asyncio.get_running_loop()
    task = spawn(loop, coroutine)
    left, length = seconds, seconds / _SLICES
    try:
        while left > 0 and not task.done():
            began = loop.time()
            await asyncio.wait({task}, timeout=min(left, length))
            left -= min(loop.time() - began, length)
        if task.done():
            return task.result()
    except asyncio.CancelledError:
        _give_up(task, undo)
        raise
    except GeneratorExit:  # the loop runs no more
        abandon_task(task, undo)
        raise
    _give_up(task, undo)
    raise asyncio.TimeoutError


def _give_up(task: asyncio.Task[_T], undo: Callable[[_T], None]) -> None:
    # It may end well all the same: just now, or because something in it minds no cancellation.
    def ended(task: asyncio.Task[_T]) -> None:
        if not task.cancelled() and task.exception() is None:
            undo(task.result())

    task.cancel()
    task.add_done_callback(ended)
