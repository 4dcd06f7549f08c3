"""Who is in the way: what an error tells of the holder, asked for on the way of the error only."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from nowserving._host.clock import monotonic
from nowserving.errors import Holder, LockBusy, LockSuperseded, LockTimeout

if TYPE_CHECKING:
    from nowserving.protocol.queue import TicketQueue

_WITHIN = 0.05
"""Seconds for which an error waits for what there is to tell."""


async def tell_holder(queue: TicketQueue[Any], error: BaseException) -> None:
    """Note in an error who holds the lock, as far as the store says it in time.

    To be called once the ticket is given back, or was never issued: nobody waits behind this, and a
    cancellation may end it anywhere.

    Args:
        queue: Whom to ask.
        error: What is about to be raised; nothing is done to one that is not about a holder.
    """
    if not isinstance(error, (LockBusy, LockTimeout, LockSuperseded)):
        return
    ends = monotonic() + _WITHIN
    # Whatever goes wrong here, the error that was to be told is what the caller has to learn.
    with suppress(Exception):
        await _look_at_line(queue, error)
        holder, left = error.holder, ends - monotonic()
        if holder and left > 0:
            process = (await queue.processes([holder], left)).get(holder)
            if process is not None:
                holder.host, holder.pid = process.host, process.pid


async def _look_at_line(
    queue: TicketQueue[Any], error: LockBusy | LockTimeout | LockSuperseded
) -> None:
    served = await queue.holder(error.conversation_id or "", _WITHIN)
    if served is None:
        return
    known = error.holder
    if known is None:
        ago = served.served_for
        since = None if ago is None else time.time() - ago
        # The owner of a ticket that nobody has redeemed is its secret: whoever knows it may.
        owner = served.owner if served.claimed else ""
        error.holder = Holder(
            owner,
            label=served.label,
            since=since,
            message_id=served.message_id,
        )
    elif known == served.owner:  # the one that was in the way when the ticket was refused
        known.label, known.message_id = served.label, served.message_id
