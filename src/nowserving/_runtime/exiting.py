"""The end of the process: tickets that are still there are given back, and nobody waits any more.

A worker that is told to stop (SIGTERM) often ends with messages in line: its server's graceful time
is over, its event loop is gone with tasks pending, its threads are daemons. Their tickets would
stay until they expire, and the next message would stand still for that long. So what is left is
given back at the very end, over a connection of its own, within a second.

``atexit`` is not enough: a process that ``multiprocessing`` or Celery's ``billiard`` has started
ends without it, and runs their finalisers instead.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import socket
import sys
import threading
import time
import weakref
from contextlib import suppress
from typing import Any, Protocol

_AT_MOST = 1.0
"""Seconds for all stores of the process together."""

_FINALISERS = ("multiprocessing.util", "billiard.util")


class Ending(Protocol):
    """Something that has tickets to give back when the process ends (``runtime.py``)."""

    def has_tickets(self) -> bool:
        """Return whether there is anything to do; from now on nothing new begins."""
        ...

    async def give_back_all(self) -> None:
        """Give every ticket back; on a loop that runs for this alone."""
        ...


_all: weakref.WeakSet[Ending] = weakref.WeakSet()
_begun = _over = False
_armed_in = -1


def is_over() -> bool:
    """Return whether the process is past the point up to which a thread may be waited for."""
    return _over or sys.is_finalizing()


def stop_daemon() -> None:
    """Stop this thread if it is one that the end of the process stops anyway.

    Once that has begun there is nothing to be told to it: an error would be printed, and read as
    one of the program's.
    """
    while _begun and threading.current_thread().daemon:
        time.sleep(_AT_MOST)


def at_exit(ending: Ending) -> None:
    """Have ``ending`` give its tickets back when the process ends, if it is still there then."""
    _all.add(ending)
    arm()


def arm() -> None:
    """Be called when this process ends, if it was forked since this was called last."""
    global _armed_in  # noqa: PLW0603 - a process has one end
    if _armed_in == os.getpid():
        return
    if _armed_in == -1:
        atexit.register(_end)  # a forked child inherits it
    _armed_in = os.getpid()
    for name in _FINALISERS:
        util: Any = sys.modules.get(name)
        if util is not None:
            util.Finalize(None, _end, exitpriority=0)


def _end() -> None:
    global _begun, _over  # noqa: PLW0603
    _begun = True
    endings = [ending for ending in list(_all) if ending.has_tickets()]
    if endings and not _over:
        with suppress(Exception):  # nothing more can be done, and nobody reads it
            _run_last(endings)
    _over = True


def _run_last(endings: list[Ending]) -> None:
    # A loop of its own, here: where the interpreter is about to end, no thread can be started.
    loop = _LastLoop()
    try:
        tasks = [loop.create_task(ending.give_back_all()) for ending in endings]
        loop.run_until_complete(asyncio.wait(tasks, timeout=_AT_MOST))
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


class _LastLoop(asyncio.SelectorEventLoop):
    """Looks names up by itself: an event loop's usual way is a thread."""

    async def getaddrinfo(self, *args: Any, **more: Any) -> Any:  # noqa: ANN401 - the socket module's
        return socket.getaddrinfo(*args, **more)
