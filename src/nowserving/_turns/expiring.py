"""``on_expiring``: called where and how it can hold up nobody else.

On the holder's own loop, in a task; for a synchronous holder in a thread, since what it does may
block, and the portal's thread renews all the others.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from typing import TYPE_CHECKING

from nowserving.held import HeldLock

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from nowserving._runtime.ticket import LiveTicket

logger = logging.getLogger("nowserving.runtime")


def tell_expiring(ticket: LiveTicket) -> None:
    """Call the ``on_expiring`` of a ticket's turn."""
    if ticket.home is not None:
        loop = asyncio.get_running_loop()
        task = ticket.in_its_context(loop.create_task, _tell(ticket))
        # Somebody has to have it: a loop knows its tasks but by weak references.
        ticket.host.tasks.add(task)
        task.add_done_callback(ticket.host.tasks.discard)
        task.add_done_callback(_told)
    else:
        call = threading.Thread(
            target=ticket.in_its_context,
            args=(_tell_in_thread, ticket),
            name="nowserving-on-expiring",
            daemon=True,
        )
        call.start()


def _told(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        logger.error("An on_expiring callback failed", exc_info=task.exception())


async def _tell(ticket: LiveTicket) -> None:
    callback = ticket.options.on_expiring
    if callback is not None:
        result = callback(HeldLock(ticket))
        if inspect.isawaitable(result):
            await result


def _tell_in_thread(ticket: LiveTicket) -> None:
    callback = ticket.options.on_expiring
    try:
        result = None if callback is None else callback(HeldLock(ticket))
        if inspect.isawaitable(result):
            asyncio.run(_until_awaited(result))
    except Exception:
        logger.exception("An on_expiring callback failed")


async def _until_awaited(result: Awaitable[None]) -> None:
    await result
