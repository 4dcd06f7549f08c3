"""The way in for synchronous callers: a private event loop in a thread of its own.

It also runs what must go on while a caller's loop is blocked or gone: the heartbeat, and leaves
that have to be repeated. One a store and process, started at first need.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from nowserving.errors import StoreClosed

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_T = TypeVar("_T")

CLOSED = "The lock store is closed; make a new one."


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
        future = self.submit(coroutine)
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise StoreClosed(CLOSED) from None  # the portal ended under it
        except BaseException:
            # Ctrl-C in the calling thread: the coroutine must not go on for nobody. When it was
            # the coroutine itself that raised, this does nothing.
            if future.cancel():
                concurrent.futures.wait([future], timeout=1.0)
            raise

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
