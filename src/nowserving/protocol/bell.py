"""A bell that one waiter listens to and anybody may ring, from any thread or event loop."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from nowserving._host.background import later
from nowserving._host.loops import running_loop

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from nowserving.protocol.status import TicketStatus


class Bell:
    """Carries a wake-up, with the latest news if there is any, to the one who waits for it.

    A ring before the wait is kept, so nobody has to be listening yet. Waiting works inside an
    event loop (the task sleeps) and in a plain thread without one (the thread blocks), which is
    what lets the in-memory queue serve synchronous callers without a thread of its own.

    There is no lock in it, so a fork can't inherit a held one. ``ring`` writes *rung* before it
    reads *wake*; ``answer`` writes *wake* before it reads *rung*: whatever the interleaving, at
    least one of the two sees the other. Both may, so a wake-up can be doubled, never lost.

    Attributes:
        wake: Called at each ring, from the ringer's thread; set it to None to stop listening.
    """

    # Most bells are never rung, so these are not written into each.
    _rung = False
    _news: TicketStatus | None = None

    def __init__(self) -> None:
        self.wake: Callable[[], None] | None = None

    def ring(self, news: TicketStatus | None = None) -> None:
        """Wake the waiter, or let the next wait return at once.

        Args:
            news: Where the ticket stands now, if the ringer knows; the latest one counts.
        """
        if news is not None:
            self._news = news
        self._rung = True
        wake = self.wake
        if wake is not None:
            wake()

    def answer(self, callback: Callable[[], None] | None) -> None:
        """Call ``callback`` at each ring instead of waiting, from the ringer's thread.

        Args:
            callback: Takes no time and raises nothing; None to stop listening. It is called at
                once when the bell was rung before.
        """
        self.wake = callback
        if self._rung and callback is not None:
            callback()

    def take_news(self) -> TicketStatus | None:
        """Return the news of the last ring, once, and forget the ring."""
        # Each is taken in one step, "rung" first: a ring that comes in between leaves itself or
        # its news behind, and the next wait returns at once. No ring and no news is lost.
        mine = self.__dict__
        mine.pop("_rung", None)
        news: TicketStatus | None = mine.pop("_news", None)
        return news

    async def wait(self, timeout: float) -> TicketStatus | None:
        """Wait for a ring.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            The news that came with the ring; None when it brought none or time is over.
        """
        loop = running_loop()
        if loop is None:
            self._block(timeout)
        else:
            await self._sleep(loop, timeout)
        return self.take_news()

    def _block(self, timeout: float) -> None:
        # A lock that is released, and no Event: its `set` holds a lock of its own for a moment, in
        # which a finaliser of the same thread could come to ring this very bell.
        rung = threading.Lock()
        rung.acquire()

        def wake() -> None:
            with suppress(RuntimeError):  # rung twice
                rung.release()

        self.answer(wake)
        try:
            rung.acquire(timeout=min(timeout, threading.TIMEOUT_MAX))
        finally:
            self.answer(None)

    async def _sleep(self, loop: asyncio.AbstractEventLoop, timeout: float) -> None:
        woken = loop.create_future()

        def wake() -> None:
            if not woken.done():
                woken.set_result(None)

        def wake_from_anywhere() -> None:
            # Same loop: no detour over the self-pipe, which costs a system call each way.
            if running_loop() is loop:
                wake()
                return
            with suppress(RuntimeError):  # that loop is closed: its waiter is gone with it
                loop.call_soon_threadsafe(wake)

        timer = later(loop, timeout, wake)  # cancelled, it stays in the loop with its context
        self.answer(wake_from_anywhere)
        try:
            await woken
        finally:
            timer.cancel()
            self.answer(None)
