"""The floor of a hand-off: a message from a publisher to a subscriber in another process.

It is paced like the hand-offs that it is compared with: both processes sleep in between, since a
machine that was just awake answers faster than one that was not.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

from redis.asyncio import Redis

from benchmarks.floors.wire import BareWire
from benchmarks.server import HOST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.crew import Gate
    from benchmarks.server import Address

_CHANNEL = "floor"
_DRAIN = 0.05  # seconds


async def latencies(address: Address, pause: float, seconds: float, gate: Gate) -> list[float]:
    """Be the publisher (worker 0) or the subscriber (worker 1) over redis-py.

    Args:
        address: Where the Redis is.
        pause: Seconds between two messages.
        seconds: For how long.
        gate: Where both meet.

    Returns:
        As the subscriber, the seconds that each message took from before its PUBLISH was sent.
    """
    client = Redis(host=HOST, port=address.port, db=address.db)
    async with client:
        if gate.index == 0:
            await client.ping()
            until = gate.wait() + seconds
            while time.monotonic() < until:
                await asyncio.sleep(pause)
                await client.publish(_CHANNEL, repr(time.monotonic()))
            return []
        async with client.pubsub() as pubsub:
            await pubsub.subscribe(_CHANNEL)
            await pubsub.get_message(timeout=1.0)
            until = gate.wait() + seconds
            return [latency async for latency in _heard(pubsub, until)]


async def _heard(pubsub: Any, until: float) -> AsyncIterator[float]:  # noqa: ANN401 - untyped there
    while (left := until + _DRAIN - time.monotonic()) > 0:
        message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=left)
        if message is not None:
            yield time.monotonic() - float(message["data"])


async def bare_latencies(address: Address, pause: float, seconds: float, gate: Gate) -> list[float]:
    """Do the same over bare connections."""
    heard: list[float] = []

    def on_push(reply: Any) -> None:  # noqa: ANN401 - whatever Redis says
        heard.append(time.monotonic() - float(reply[2]))

    wire = await BareWire.dialled(address, on_push)
    with contextlib.closing(wire):
        if gate.index == 0:
            until = gate.wait() + seconds
            while time.monotonic() < until:
                await asyncio.sleep(pause)
                await wire.ask("PUBLISH", _CHANNEL, repr(time.monotonic()))
            return []
        await wire.ask("SUBSCRIBE", _CHANNEL)
        until = gate.wait() + seconds
        await asyncio.sleep(until + _DRAIN - time.monotonic())
        return heard
