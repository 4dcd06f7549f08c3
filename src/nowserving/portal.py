"""The way in for synchronous callers: a private event loop in a thread of its own.

It also runs what must go on while a caller's loop is blocked or gone: the heartbeat, and leaves
that have to be repeated. One a store and process, started at first need.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from nowserving.errors import StoreClosed

if TYPE_CHECKING:
    import concurrent.futures
    from collections.abc import Callable, Coroutine

_T = TypeVar("_T")

CLOSED = "The lock store is closed; make a new one."


class _Call(Generic[_T]):
    """A coroutine that a thread waits for.

    Not a future of ``concurrent.futures``: a signal's handler that raises in the middle of one's
    Python code can leave its condition locked, and the portal would wait for that for ever. Here
    the two threads share nothing but a lock, each step of which is one step for a signal too.

    Attributes:
        ended: Released when there is nothing to wait for any more.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, _T]) -> None:
        self._coroutine = coroutine
        self._task: asyncio.Task[_T] | None = None
        self.ended = threading.Lock()
        self.ended.acquire()

    def start(self) -> None:
        """Begin; on the loop."""
        self._task = asyncio.get_running_loop().create_task(self._coroutine)
        self._task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[_T]) -> None:
        if not task.cancelled():
            task.exception()  # it has been seen, also when the thread does not wait any more
        self.ended.release()

    def cancel(self) -> None:
        """End it for a thread that does not wait any more; on the loop."""
        if self._task is not None:
            self._task.cancel()
        else:  # interrupted before it was posted
            self._coroutine.close()
            self.ended.release()

    def result(self) -> _T:
        """Return what came of it, or raise that."""
        if self._task is None or self._task.cancelled():
            raise StoreClosed(CLOSED)  # the portal ended under it
        return self._task.result()


class Portal:
    """A thread with an event loop; starts at once, dies with the process."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        # What is posted before the stop is run or cancelled by the loop's thread; behind it nobody
        # would look. Reentrant: a signal's handler may close the store in the middle of a call.
        self._mutex = threading.RLock()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="nowserving-portal", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        finally:
            self._wind_up()

    def _wind_up(self) -> None:
        # What asyncio.run does at its end: cancel what is left, close generators, close.
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine on the portal's loop and wait for its result in this thread."""
        if threading.current_thread() is self._thread:
            coroutine.close()
            msg = "a synchronous call on the lock store's own thread would wait for itself"
            raise RuntimeError(msg)
        call = _Call(coroutine)
        try:
            self.call(call.start)
            call.ended.acquire()
        except StoreClosed:
            coroutine.close()
            raise
        except BaseException:
            # Ctrl-C in the calling thread: the coroutine must not go on for nobody.
            with suppress(StoreClosed):
                self.call(call.cancel)
            call.ended.acquire(timeout=1.0)
            raise
        return call.result()

    def submit(self, coroutine: Coroutine[Any, Any, _T]) -> concurrent.futures.Future[_T]:
        """Start a coroutine on the portal's loop.

        Raises:
            StoreClosed: If the portal has been stopped.
        """
        with self._mutex:
            if not self._stopping:
                return asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        coroutine.close()
        raise StoreClosed(CLOSED)

    def call(self, callback: Callable[[], object]) -> None:
        """Call something soon on the portal's thread.

        Raises:
            StoreClosed: If the portal has been stopped.
        """
        with self._mutex:
            if self._stopping:
                raise StoreClosed(CLOSED)
            self.loop.call_soon_threadsafe(callback)

    def stop(self) -> None:
        """End the loop and its thread; what still runs there is cancelled. Idempotent."""
        with self._mutex:
            if not self._stopping:
                self._stopping = True
                self.loop.call_soon_threadsafe(self.loop.stop)
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=5.0)


def run_inline(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine that never suspends, right here, with or without a running loop.

    Raises:
        RuntimeError: If it does suspend, which a queue with ``suspends=False`` never does.
    """
    try:
        coroutine.send(None)
    except StopIteration as finished:
        result: _T = finished.value
        return result
    coroutine.close()
    msg = "a coroutine of a queue that declares suspends=False has suspended"
    raise RuntimeError(msg)
