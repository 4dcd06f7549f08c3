"""Closing what a task left half made whose loop was closed without notice.

Such a task runs no more, and its sockets would stay open until the garbage collector comes by. The
frames that it is suspended in have them all: a socket that is being connected, a transport in the
middle of its TLS handshake, a connection in the middle of its own.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from redis.asyncio.connection import AbstractConnection

if TYPE_CHECKING:
    from collections.abc import Iterator


def abandon_task(task: asyncio.Task[Any]) -> None:
    """Close the sockets of a task of a closed loop, and of the tasks that it waits for."""
    coroutine: Any = task.get_coro()
    found = list(_of_frames(coroutine))
    if task.done() and not task.cancelled() and task.exception() is None:
        _abandon_connection(task.result())  # nobody has fetched it
    with suppress(AttributeError):  # else it says that it "was destroyed but it is pending"
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001
    for each in found:
        if isinstance(each, asyncio.Task) and each is not task:
            abandon_task(each)
        elif isinstance(each, asyncio.BaseTransport):
            abandon_transport(each)
    with suppress(RuntimeError):  # "Event loop is closed", from whatever it does at its end
        coroutine.close()
    for each in found:
        if isinstance(each, socket.socket):
            each.close()


def abandon_transport(transport: asyncio.BaseTransport) -> None:
    """Close the socket of a transport of a closed loop, which can't do that itself any more."""
    with suppress(RuntimeError):  # "Event loop is closed", after it was marked as closing
        transport.abort()  # type: ignore[attr-defined]
    # A TLS transport has its socket in the transport below it.
    below: Any = getattr(getattr(transport, "_ssl_protocol", None), "_transport", transport)
    used = getattr(below, "_sock", None)
    if used is not None:
        used.close()
        below._sock = None  # noqa: SLF001 - else it warns that it was not closed


def _of_frames(coroutine: Any) -> Iterator[object]:  # noqa: ANN401 - whatever is awaited
    """Find the tasks, transports and sockets in the frames that a coroutine is suspended in."""
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None)
        for value in list(frame.f_locals.values()) if frame is not None else ():
            _abandon_connection(value)
            if isinstance(value, (asyncio.Task, asyncio.BaseTransport, socket.socket)):
                yield value
        coroutine = getattr(coroutine, "cr_await", None)


def _abandon_connection(value: object) -> None:
    if isinstance(value, AbstractConnection):
        used: Any = value
        if used._writer is not None:  # noqa: SLF001
            # First of all: a stream's writer complains when it goes before its transport is closed.
            abandon_transport(used._writer.transport)  # noqa: SLF001
        used._reader = used._writer = None  # noqa: SLF001
