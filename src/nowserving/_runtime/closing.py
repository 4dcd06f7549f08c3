"""The end of a store: whoever waits is told at once, whoever works may finish first."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, Protocol

from nowserving._host.background import spawn
from nowserving._host.clock import monotonic
from nowserving._runtime.leaving import leave_or_park
from nowserving.errors import LockError

if TYPE_CHECKING:
    from collections.abc import Callable

    from nowserving._runtime.leaving import Leaving
    from nowserving._runtime.ticket import LiveTicket
    from nowserving.protocol.queue import TicketQueue

_AFTERWARDS = 1.0
"""Seconds for what has to be given back once the drain is over."""


class Closed(Protocol):
    """What is closed (``runtime.py``)."""

    queue: TicketQueue[Any]
    leaving: Leaving
    closing: bool

    def forget_abandoned(self) -> None:
        """Give back the tickets that nobody is left to use."""
        ...

    def live(self) -> list[LiveTicket]:
        """Return the tickets whose turns go on."""
        ...


class Closing:
    """Empties a store, once."""

    def __init__(self) -> None:
        self._one_at_a_time = threading.Lock()
        self._done = False

    async def empty(self, store: Closed, drain: float) -> None:
        """Turn everybody out; of several callers, on whatever loops, none returns before that.

        Args:
            store: The store.
            drain: Seconds in which running turns may finish.
        """
        store.closing = True
        while not self._done:
            # Tried, never waited for. If whoever does it is cancelled, the next begins anew.
            if not self._one_at_a_time.acquire(blocking=False):
                await asyncio.sleep(0.005)
                continue
            try:
                await _turn_all_out(store, drain)
                self._done = True
            finally:
                self._one_at_a_time.release()


async def _turn_all_out(store: Closed, drain: float) -> None:
    store.forget_abandoned()
    for ticket in _waiters(store):
        ticket.handle.turn_out()
    await _until(monotonic() + drain, lambda: not store.live())
    end = monotonic() + _AFTERWARDS
    loop = asyncio.get_running_loop()
    leaves = {spawn(loop, _turn_out(store, ticket)) for ticket in store.live()}
    if leaves:
        _, late = await asyncio.wait(leaves, timeout=end - monotonic())
        for leave in late:
            leave.cancel()
    await _until(end, lambda: not _waiters(store) and not store.leaving)


def _waiters(store: Closed) -> list[LiveTicket]:
    return [ticket for ticket in store.live() if ticket.served is None]


async def _turn_out(store: Closed, ticket: LiveTicket) -> None:
    if ticket.is_holding():  # whoever still waits is told by an error, and never cancelled
        ticket.carry_out(ticket.lose("the store was closed"))
    try:
        await leave_or_park(store.queue, ticket.handle, "released", ticket.kept_place)
    except LockError:
        return  # it does not answer: the ticket is gone when it expires
    finally:
        ticket.leave_register()  # it is not over: its turn is yet to be told


async def _until(deadline: float, done: Callable[[], bool]) -> None:
    # What is awaited ends on other loops and threads, so an event would not do; and a few checks
    # while a store closes cost nothing.
    while not done() and monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
