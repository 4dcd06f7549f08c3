"""A log of real messages where there is one, else made-up ones; and a bot that handles them."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nowserving import LockBusy, LockInterrupted, LockSuperseded
from nowserving.verify.plan import hold_times
from nowserving.verify.trace import read_trace
from nowserving.verify.traffic import make_traffic

if TYPE_CHECKING:
    from nowserving import LockStore
    from nowserving.verify.trace import Message

_TRACE = Path("shared/data/irc_ubuntu.csv")  # beside the project, see docs/benchmarks.md


def messages(count: int) -> list[Message]:
    """Return some messages, sorted by time."""
    for folder in Path(__file__).resolve().parents:
        if (folder / _TRACE).exists():
            return read_trace(folder / _TRACE, count)
    return make_traffic(count)


async def handle(
    store: LockStore,
    log: list[Message],
    *,
    seconds: float,
    hold: float,
    options: dict[str, Any] | None = None,
) -> None:
    """Handle messages as a bot does.

    Args:
        store: Where turns are taken.
        log: The messages.
        seconds: Within which all of them come.
        hold: Mean seconds of a turn.
        options: How turns are asked for.
    """
    first, span = log[0].seconds, (log[-1].seconds - log[0].seconds) or 1.0
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def one(index: int, message: Message, works: float) -> None:
        due = began + (message.seconds - first) / span * seconds
        await asyncio.sleep(due - loop.time())
        with contextlib.suppress(LockSuperseded, LockBusy, LockInterrupted):
            async with store.lock(
                message.conversation_id, message_id=f"m{index}", **(options or {})
            ):
                await asyncio.sleep(works)

    holds = hold_times(log, hold)
    await asyncio.gather(*(one(i, m, h) for i, (m, h) in enumerate(zip(log, holds, strict=True))))
