"""One heartbeat's renewals: all of them at once, and a failure costs none of the others."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from nowserving.errors import LockError
from nowserving.stores.redis.walking import SIGNS, finished

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nowserving.stores._remote.call import Call
    from nowserving.stores.redis.loop_connections import LoopConnections

Renewal = tuple[bytes, tuple[Any, ...]]
"""A record's key, and the verb with its arguments."""


async def renew_all(
    connections: LoopConnections, renewals: Sequence[Renewal], timeout: float
) -> list[str | BaseException]:
    """Say all renewals, and return each one's reply or error.

    Args:
        connections: Whom to ask.
        renewals: What to say.
        timeout: Seconds that each of them has.
    """
    calls = [
        connections.heartbeat.call(key, args, lazy=True, timeout=timeout) for key, args in renewals
    ]
    answers: list[str | BaseException] = await asyncio.gather(
        *(call.future for call in calls), return_exceptions=True
    )
    for i, answer in enumerate(answers):
        if isinstance(answer, str) and answer[0] in SIGNS:
            answers[i] = await _go_on(connections, calls[i], renewals[i][1])
    return answers


async def _go_on(
    connections: LoopConnections, call: Call, args: tuple[Any, ...]
) -> str | LockError:
    try:
        call = await finished(connections.heartbeat, call, args)
    except LockError as error:
        return error
    return str(connections.sweeper.read(call.key, call.future.result()))
