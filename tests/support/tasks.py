"""Turns done by tasks of the test's own event loop, and how long that loop is held up."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, Any

from nowserving import LockError
from tests.support.crew import Stay

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self

    from nowserving import LockStore

_TICK = 0.005


class Turns:
    """Does turns and keeps a record of them.

    Attributes:
        done: The turns whose body ended, in the order of their ends.
        losses: The numbers of those that knew at the end of their body that they were lost.
        errors: What the others raised.
        inside: How many bodies run now.
    """

    def __init__(self, store: LockStore, conversation: str = "c") -> None:
        self._store = store
        self._conversation = conversation
        self.done: list[Stay] = []
        self.losses: list[int] = []
        self.errors: list[LockError] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.inside = 0

    def start(  # an own signature, so that a typing error is found where it is made
        self,
        count: int = 1,
        *,
        hold: float = 0.0,
        lifetime: float = 30.0,
        wait: float = 1.0,
        **options: Any,
    ) -> list[asyncio.Task[None]]:
        """Start so many turns as tasks, in order."""
        first = len(self.tasks)
        started = [
            asyncio.create_task(self._do(first + index, hold, lifetime, wait, options))
            for index in range(count)
        ]
        self.tasks += started
        return started

    async def finish(self, within: float = 20.0) -> None:
        """Wait for the end of all turns; anything but a ``LockError`` is raised."""
        await asyncio.wait_for(asyncio.gather(*self.tasks), within)

    async def until_in_line(self, count: int, within: float = 10.0) -> None:
        """Wait until so many tickets are in the line, the holder's included."""
        give_up = time.monotonic() + within
        while True:
            lock = await asyncio.to_thread(self._store.get_lock, self._conversation)
            found = 0 if lock is None else len(lock.tickets)
            if found == count:
                return
            assert time.monotonic() < give_up, f"{found} in line instead of {count}"
            await asyncio.sleep(0.01)

    async def until_inside(self, within: float = 10.0) -> None:
        """Wait until a body runs, which is when the answer to its take has arrived here."""
        give_up = time.monotonic() + within
        while not self.inside:
            assert time.monotonic() < give_up, "nobody is inside"
            await asyncio.sleep(0.001)

    async def _do(
        self, turn: int, hold: float, lifetime: float, wait: float, options: dict[str, Any]
    ) -> None:
        asked = time.monotonic_ns()
        try:
            async with self._store.lock(self._conversation, lifetime, wait, **options) as lock:
                entered = time.monotonic_ns()
                self.inside += 1
                try:
                    await asyncio.sleep(hold)
                finally:
                    self.inside -= 1
                    left = time.monotonic_ns()
                    stay = Stay(entered, left, lock.ticket, lock.fencing_token, asked, turn)
                    self.done.append(stay)
                    if lock.lost:
                        self.losses.append(lock.ticket)
        except LockError as error:
            self.errors.append(error)


async def until(condition: Callable[[], object], within: float = 10.0) -> None:
    """Wait until something is so; it is asked in a thread, so that it may ask a store."""
    give_up = time.monotonic() + within
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < give_up, f"it did not come to pass within {within:g} s"
        await asyncio.sleep(0.01)


async def take_turns(store: LockStore) -> None:
    """Have one turn wait for another, and be told by a push when it is over."""
    conversation = secrets.token_hex(4)
    order: list[str] = []

    async def turn(name: str) -> None:
        async with store.lock(conversation, wait_time_in_seconds=30):
            order.append(name)
            await asyncio.sleep(0.05)

    async with store:
        async with store.lock(conversation):
            pass
        await asyncio.sleep(0.1)  # the subscription stands
        began = time.monotonic()
        await asyncio.gather(*(turn(name) for name in "abc"))
        assert order == ["a", "b", "c"]
        assert time.monotonic() - began < 5.0, "nobody pushed"


class Lag:
    """Measures for how long the running event loop was held up at most, in seconds."""

    def __init__(self) -> None:
        self.worst = 0.0

    async def __aenter__(self) -> Self:
        self._ticker = asyncio.create_task(self._tick())
        await asyncio.sleep(0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.sleep(2 * _TICK)
        self._ticker.cancel()

    async def _tick(self) -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(_TICK)
            self.worst = max(self.worst, time.monotonic() - began - _TICK)
