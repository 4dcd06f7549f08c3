"""Closing what is left of an event loop that runs no more: closed without notice, or dropped.

Its sockets would stay open until the garbage collector comes by, and its transports would complain.
What a task of such a loop has half made, that task itself lets go of when it is closed.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_T = TypeVar("_T")


def _nothing(_: object) -> None:
    pass


def abandon_task(task: asyncio.Task[_T], undo: Callable[[_T], object] = _nothing) -> None:
    """End a task of a loop that runs no more: its ``finally`` and ``except`` clauses run.

    Args:
        task: The task.
        undo: What to do with a result that nobody has fetched.
    """
    # What goes wrong in it is nobody's: uvloop's transports say that they are closed already.
    with last_steps(task.get_loop()), suppress(Exception):
        if not task.done():
            coroutine: Any = task.get_coro()
            coroutine.close()
        elif not task.cancelled() and task.exception() is None:
            undo(task.result())


@contextmanager
def last_steps(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Let transports of a loop that runs no more be closed.

    A transport closes its socket in a callback. A closed loop takes none, and a dropped one never
    comes to it. So these callbacks are called at once. What is asked for beside them, such as the
    next step of a task, is for nobody any more.

    Args:
        loop: The loop. One that closes its transports itself, as uvloop does, is left alone.
    """

    def call_soon(callback: Callable[..., object], *args: object, **_: object) -> asyncio.Handle:
        if isinstance(getattr(callback, "__self__", None), asyncio.BaseTransport):
            callback(*args)
        return asyncio.Handle(callback, args, loop)

    own = getattr(loop, "__dict__", {})
    usual = own.get("call_soon")
    with suppress(AttributeError):
        loop.call_soon = call_soon  # type: ignore[method-assign]
    try:
        with suppress(RuntimeError):  # "Event loop is closed", by what needs more than that
            yield
    finally:
        own.pop("call_soon", None)
        if usual is not None:
            own["call_soon"] = usual
