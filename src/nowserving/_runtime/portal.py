"""The way in for synchronous callers: a private event loop in a thread of its own.

It also runs what must go on while a caller's loop is blocked or gone: the heartbeat, and leaves
that have to be repeated. One a store and process, started at first need.

There is no lock in it. Whatever is posted may come from a finaliser, which runs in the middle of
any step of its thread, of one of these here too: a lock could be held by that very step.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from nowserving._host.background import detached
from nowserving._runtime import exiting
from nowserving.errors import StoreClosed

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

logger = logging.getLogger("nowserving.portal")

_T = TypeVar("_T")

CLOSED = "The lock store is closed; make a new one."

_CHECK_EVERY = 0.5
"""Seconds after which a thread that waits for the portal checks whether there still is one."""

_STARTS_WITHIN = 10.0
"""Seconds that a thread may take to start, on the busiest machine."""

_MOST_ROUNDS = 10


class _Post(NamedTuple):
    """What the portal is asked to do: to ``run`` it, or to ``refuse`` it at its end."""

    run: Callable[[], object]
    refuse: Callable[[], object] | None


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
        self._context = contextvars.copy_context()  # the caller's: its logs are the caller's, too
        self._task: asyncio.Task[_T] | None = None
        self.ended = threading.Lock()
        self.ended.acquire()

    def start(self) -> None:
        """Begin; on the loop."""
        loop = asyncio.get_running_loop()
        self._task = self._context.run(loop.create_task, self._coroutine)
        self._task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[_T]) -> None:
        if not task.cancelled():
            task.exception()  # it has been seen, also when the thread does not wait any more
        self.ended.release()

    def cancel(self) -> None:
        """End it for a thread that does not wait any more; on the loop."""
        if self._task is not None:
            self._task.cancel()
        else:
            self.refuse()

    def refuse(self) -> None:
        """End it before it has begun; it never will."""
        self._coroutine.close()
        if self.ended.locked():
            self.ended.release()

    def give_up(self) -> None:
        """Nobody is there to begin it, or to go on with it."""
        if self._task is None:
            self._coroutine.close()

    def wait(self, portal: Portal) -> None:
        """Wait for its end, but not for a thread that is gone."""
        for _ in range(int(_STARTS_WITHIN / _CHECK_EVERY)):
            if self.ended.acquire(timeout=_CHECK_EVERY):
                return
            if portal.is_running():
                break
        while not self.ended.acquire(timeout=_CHECK_EVERY):
            if not portal.is_running():
                raise StoreClosed(CLOSED)

    def result(self) -> _T:
        """Return what came of it, or raise that."""
        if self._task is None or self._task.cancelled():
            raise StoreClosed(CLOSED)  # the portal ended under it
        return self._task.result()


class Portal:
    """A thread with an event loop; starts at the first call, dies with the process.

    Attributes:
        loop: The event loop, once the thread runs.
    """

    loop: asyncio.AbstractEventLoop

    def __init__(self) -> None:
        self._posts: deque[_Post] = deque()
        self._to_be_started = deque([True])  # whoever pops it starts the thread
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._ended = False

    # Its thread

    def _start(self) -> None:
        try:
            self._to_be_started.pop()
        except IndexError:
            return
        # Bound to nothing but this: a store that is dropped is collected, and ends its portal.
        thread = threading.Thread(target=self._run, name="nowserving-portal", daemon=True)
        try:
            detached(thread.start)
        except RuntimeError:  # the interpreter is about to end
            self._end()
        self._thread = thread

    def _run(self) -> None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        self.loop = loop  # from now on posts wake it; those made before are seen to first
        loop.call_soon(self._deliver)
        try:
            loop.run_forever()
        finally:
            self._wind_up(loop)

    def _deliver(self) -> None:
        while self._posts:
            post = self._posts.popleft()
            try:
                post.run()
            except Exception:
                logger.exception("A call on the lock store's own thread failed")

    def _wind_up(self, loop: asyncio.AbstractEventLoop) -> None:
        # What asyncio.run does at its end: cancel what is left, close generators, close. A timer
        # that is due meanwhile may start a task behind our back, and what is cancelled another:
        # so it is done again while there is something.
        for _ in range(_MOST_ROUNDS):
            tasks = asyncio.all_tasks(loop)
            for task in tasks:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
            if not asyncio.all_tasks(loop):
                break
        self._end()
        loop.close()

    def _end(self) -> None:
        # First the word, then the last check: a post that comes behind it meets the word.
        self._ended = True
        while self._posts:
            try:
                post = self._posts.popleft()
            except IndexError:  # its poster has taken it back
                return
            if post.refuse is not None:
                post.refuse()

    def is_running(self) -> bool:
        """Return whether there is a thread that will see to what was posted."""
        thread = self._thread
        return (
            thread is not None and thread.is_alive() and not self._ended and not exiting.is_over()
        )

    def is_current(self) -> bool:
        """Return whether this is its thread."""
        return threading.current_thread() is self._thread

    # From any thread

    def call(
        self, callback: Callable[[], object], refuse: Callable[[], object] | None = None
    ) -> None:
        """Call something soon on the portal's thread; takes no lock and waits for nothing.

        Args:
            callback: What to call.
            refuse: Called instead, on either thread, when the portal ends before.

        Raises:
            StoreClosed: If the portal has been stopped.
        """
        if self._stopping or exiting.is_over():
            raise StoreClosed(CLOSED)
        self._post(_Post(callback, refuse))

    def _post(self, post: _Post) -> None:
        self._posts.append(post)
        self._start()
        loop = getattr(self, "loop", None)
        if loop is not None:
            with suppress(RuntimeError):  # it is closed: `_ended` is set
                loop.call_soon_threadsafe(self._deliver, context=contextvars.Context())
        if self._ended:
            try:
                self._posts.remove(post)
            except ValueError:
                return  # the last check has found it
            raise StoreClosed(CLOSED)

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine on the portal's loop and wait for its result in this thread.

        Raises:
            StoreClosed: If the portal has been stopped, or is gone with its process.
            RuntimeError: On the portal's own thread, which would wait for itself.
        """
        if self.is_current():
            coroutine.close()
            msg = "a synchronous call on the lock store's own thread would wait for itself"
            raise RuntimeError(msg)
        call = _Call(coroutine)
        try:
            self.call(call.start, call.refuse)
            call.wait(self)
        except StoreClosed:
            call.give_up()
            raise
        except BaseException:
            # Ctrl-C in the calling thread: the coroutine must not go on for nobody.
            if not self._stopping:
                self._post(_Post(call.cancel, call.refuse))
            call.ended.acquire(timeout=1.0)
            raise
        return call.result()

    def stop(self) -> None:
        """End the loop and its thread; what still runs there is cancelled. Idempotent."""
        self.stop_soon()
        thread = self._thread
        if thread is not None and threading.current_thread() is not thread:
            thread.join(timeout=5.0)

    def stop_soon(self) -> None:
        """Do the same without waiting for it: for finalisers."""
        if self._stopping:
            return
        self._stopping = True
        if self._thread is None and self._to_be_started:
            self._to_be_started.clear()
            self._end()
        elif not self._ended:
            self._posts.append(_Post(self._halt, None))
            loop = getattr(self, "loop", None)
            if loop is not None and not loop.is_closed():
                loop.call_soon_threadsafe(self._deliver, context=contextvars.Context())

    def _halt(self) -> None:
        self.loop.stop()


def run_inline(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine that never suspends, right here, with or without a running loop.

    It may let others go first (``asyncio.sleep(0)``, which yields nothing); here nobody is.

    Raises:
        RuntimeError: If it does suspend, which a queue with ``needs_loop=False`` never does.
    """
    try:
        while coroutine.send(None) is None:
            pass
    except StopIteration as finished:
        result: _T = finished.value
        return result
    coroutine.close()
    msg = "a coroutine of a queue that declares needs_loop=False has suspended"
    raise RuntimeError(msg)
