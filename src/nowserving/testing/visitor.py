"""A visitor: a task that takes one turn, stays until it is told to go, and tells how it went."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from nowserving.protocol.status import NOT_ISSUED

if TYPE_CHECKING:
    from collections.abc import Callable

    from nowserving.held import HeldLock
    from nowserving.stores.base import LockStore

_SOON = 5.0


class Visitor:
    """Takes a turn in a task of its own.

    Args:
        store: The store.
        conversation_id: The conversation.
        lock_lifetime: Seconds.
        while_inside: Called once it holds the lock.
        wait_time_in_seconds: As for ``lock()``.
        **options: As for ``lock()``.

    Attributes:
        lock: What the turn yielded, None before that.
        task: The task.
    """

    def __init__(
        self,
        store: LockStore,
        conversation_id: str,
        lock_lifetime: float = 60.0,
        *,
        while_inside: Callable[[], object] | None = None,
        wait_time_in_seconds: float = 0.05,
        **options: Any,
    ) -> None:
        self._turn = store.lock(conversation_id, lock_lifetime, wait_time_in_seconds, **options)
        self._while_inside = while_inside
        self._entered = asyncio.Event()
        self._may_go = asyncio.Event()
        self._raises: BaseException | None = None
        self.lock: HeldLock | None = None
        self.task = asyncio.create_task(self._stay())
        # A failing test may leave it alone: its own error is no news then.
        self.task.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def _stay(self) -> None:
        async with self._turn as self.lock:
            self._entered.set()
            if self._while_inside is not None:
                self._while_inside()
            await self._may_go.wait()
            if self._raises is not None:
                raise self._raises

    @property
    def ended(self) -> bool:
        """Whether its task is done."""
        return self.task.done()

    @property
    def in_line(self) -> bool:
        """Whether its ticket was issued; the only look of the suite into a turn."""
        ticket = self._turn._ticket  # noqa: SLF001 - a line shows numbers, and they may come again
        return ticket is not None and ticket.handle.number != NOT_ISSUED

    @property
    def held(self) -> HeldLock:
        """What it holds."""
        assert self.lock is not None, "it was not served yet"
        return self.lock

    async def serves(self, within: float = _SOON) -> HeldLock:
        """Wait until it holds the lock."""
        entering = asyncio.ensure_future(self._entered.wait())
        await asyncio.wait({entering, self.task}, timeout=within, return_when="FIRST_COMPLETED")
        entering.cancel()
        if self._entered.is_set():
            return self.held
        if self.task.done():
            await self.task
        raise AssertionError(f"it was not served within {within:g} s")

    async def goes(self, raising: BaseException | None = None) -> None:
        """Have it leave, and see its error if it has one."""
        self._raises = raising
        self._may_go.set()
        error = await self.end()
        if error is not None and error is not raising:
            raise error

    async def end(self, within: float = _SOON) -> BaseException | None:
        """Wait for the end of its task, and return the error it ended with."""
        await asyncio.wait({self.task}, timeout=within)
        assert self.task.done(), f"it did not end within {within:g} s"
        if self.task.cancelled():
            return asyncio.CancelledError()
        return self.task.exception()

    async def cancel(self) -> None:
        """Cancel its task and wait for its end."""
        self.task.cancel()
        await self.end()
