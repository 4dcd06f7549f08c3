"""Watches over the held turns of one event loop: what no push may have told, and time limits.

Pushes can be lost, so every ``wait_time_in_seconds`` one batched look covers all turns that are
held, and their interruption, release or loss is seen. Between looks it minds the moments that
nobody pushes: a lease that ends, ``max_hold``, a renewal that fails. A turn that begins and ends
between two ticks costs one entry in a set.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from nowserving.errors import LockError

if TYPE_CHECKING:
    from nowserving.queues.base import TicketQueue
    from nowserving.turn import Turn


class Watch:
    """The held turns of one event loop; to be used on that loop only.

    Args:
        queue: Where their tickets stand.
    """

    def __init__(self, queue: TicketQueue) -> None:
        self._queue = queue
        self._loop = asyncio.get_running_loop()
        self._turns: set[Turn] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, turn: Turn) -> None:
        """Watch a turn from now on."""
        self._turns.add(turn)
        if self._timer is None or turn.look_at < self._wakes_at:
            self._arm(turn.look_at)

    def discard(self, turn: Turn) -> None:
        """Stop watching a turn; the timer finds out by itself."""
        self._turns.discard(turn)

    def _arm(self, moment: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._wakes_at = moment
        self._timer = self._loop.call_later(max(moment - time.monotonic(), 0.0), self._wake)

    def _wake(self) -> None:
        self._timer = None
        now = time.monotonic()
        turns = list(self._turns)  # a copy: other threads take turns out
        due = [turn for turn in turns if turn.look_at <= now]
        if due:
            task = self._loop.create_task(self._look(due, now))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if turns:
            self._arm(min(turn.look_after(now) for turn in turns))

    async def _look(self, turns: list[Turn], now: float) -> None:
        for turn in turns:
            turn.mind_the_time(now)
        await asyncio.gather(*(self._look_at(turn) for turn in turns if turn in self._turns))

    async def _look_at(self, turn: Turn) -> None:
        asked = time.monotonic()
        try:
            standing = await self._queue.stand(turn.place)
        except LockError as error:
            turn.look_failed(error)
        else:
            turn.hear(standing, asked)
