"""The floor of a hand-off without a server: a datagram from one process to another.

It is paced as the one over Redis is (``publish.py``).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from typing import TYPE_CHECKING

from benchmarks.peers.files import folder

if TYPE_CHECKING:
    from benchmarks.crew import Gate
    from benchmarks.server import Address

_DRAIN = 0.05  # seconds
_MOST = 100  # bytes


async def latencies(address: Address, pause: float, seconds: float, gate: Gate) -> list[float]:
    """Be the sender (worker 0) or the receiver (worker 1).

    Args:
        address: Whose folder the socket is in.
        pause: Seconds between two datagrams.
        seconds: For how long.
        gate: Where both meet.

    Returns:
        As the receiver, the seconds from before each datagram was sent.
    """
    path = str(folder(address, "floor") / "datagrams")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as post:
        post.settimeout(0.0)
        if gate.index == 0:
            until = gate.wait() + seconds
            while time.monotonic() < until:
                await asyncio.sleep(pause)
                post.sendto(repr(time.monotonic()).encode(), path)
            return []
        with contextlib.suppress(FileNotFoundError):
            (folder(address, "floor") / "datagrams").unlink()
        post.bind(path)
        return await _received(post, gate.wait() + seconds + _DRAIN)


async def _received(post: socket.socket, until: float) -> list[float]:
    took: list[float] = []

    def receive() -> None:
        took.append(time.monotonic() - float(post.recv(_MOST)))

    loop = asyncio.get_running_loop()
    loop.add_reader(post, receive)
    await asyncio.sleep(until - time.monotonic())
    loop.remove_reader(post)
    return took
