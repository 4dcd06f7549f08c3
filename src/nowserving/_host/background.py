"""Timers and tasks that outlive whoever happened to be there when they were made.

What asyncio starts takes a copy of the current context (``contextvars``) along, and keeps it for as
long as it lives. A connection, its timers and its tasks serve a whole event loop: in the context of
the request that came first they would log under that request's name, and keep all that it has in
context variables alive. So they are given an empty context.
"""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_T = TypeVar("_T")


class BackgroundTask(asyncio.Task[_T]):
    """A task of ours: if its loop is closed in the middle of it, nobody is told.

    asyncio would say that it "was destroyed but it is pending", to users who have not made it.
    """

    def __del__(self) -> None:
        if self.done():  # an exception that nobody has fetched is told
            super().__del__()


def spawn(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
    """Run a coroutine as a task of a loop, in an empty context.

    Args:
        loop: The loop; to be called on its own thread.
        coroutine: What to run.
    """
    # Python 3.10 has no `Task(context=...)`.
    return contextvars.Context().run(BackgroundTask, coroutine, loop=loop)


def soon(
    loop: asyncio.AbstractEventLoop, callback: Callable[..., object], *args: object
) -> asyncio.Handle:
    """Call back in the loop's next step, in an empty context."""
    return loop.call_soon(callback, *args, context=contextvars.Context())


def later(
    loop: asyncio.AbstractEventLoop, delay: float, callback: Callable[..., object], *args: object
) -> asyncio.TimerHandle:
    """Call back in ``delay`` seconds, in an empty context."""
    return loop.call_later(delay, callback, *args, context=contextvars.Context())


def at(
    loop: asyncio.AbstractEventLoop, moment: float, callback: Callable[..., object], *args: object
) -> asyncio.TimerHandle:
    """Call back at a moment of the loop's own clock (seconds), in an empty context."""
    return loop.call_at(moment, callback, *args, context=contextvars.Context())


def detached(callback: Callable[..., _T], *args: object) -> _T:
    """Call at once, in an empty context: what it starts, and what it logs, is nobody's."""
    return contextvars.Context().run(callback, *args)
