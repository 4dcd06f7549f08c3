"""Waiting for so long at most, without ever losing a cancellation.

``asyncio.wait_for`` loses one, up to Python 3.11: where it comes in the very step in which what is
waited for has come as well, that is returned and the task goes on.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from nowserving._host.background import spawn

if TYPE_CHECKING:
    from collections.abc import Coroutine

_T = TypeVar("_T")


async def ends_within(coroutine: Coroutine[Any, Any, object], seconds: float | None) -> bool:
    """Wait for a coroutine, which runs in an empty context, and cancel it when the time is over.

    Args:
        coroutine: What to wait for. What it returns is dropped; what it raises is raised.
        seconds: For how long; None for as long as it takes.

    Returns:
        Whether it has ended in time.
    """
    task = await _ended(coroutine, seconds)
    if task is None:
        return False
    task.result()
    return True


async def result_within(coroutine: Coroutine[Any, Any, _T], seconds: float | None) -> _T:
    """Do the same, and return what it returns.

    Raises:
        asyncio.TimeoutError: If it takes longer.
    """
    task = await _ended(coroutine, seconds)
    if task is None:
        raise asyncio.TimeoutError
    return task.result()


async def _ended(
    coroutine: Coroutine[Any, Any, _T], seconds: float | None
) -> asyncio.Task[_T] | None:
    task = spawn(asyncio.get_running_loop(), coroutine)
    try:
        await asyncio.wait({task}, timeout=seconds)
        return task if task.done() else None
    finally:
        with suppress(RuntimeError):  # the loop is closed, and this the end of whoever waited on it
            task.cancel()
