"""The end of a connection, without a Redis: what of it the other side still gets."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from nowserving.stores.redis.connection.resp import RespProtocol

if TYPE_CHECKING:
    from pathlib import Path

MUCH = "x" * (64 * 1024)  # more than the other end has room for: our kernel holds the rest


async def connected(path: str | None = None) -> tuple[RespProtocol, socket.socket]:
    """Return a connection, and its other end, which does not read."""
    listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    listener.bind(path or ("127.0.0.1", 0))
    listener.listen()

    loop = asyncio.get_running_loop()
    if path:
        _, protocol = await loop.create_unix_connection(RespProtocol, path)
    else:
        _, protocol = await loop.create_connection(RespProtocol, *listener.getsockname())
    protocol.take_over(on_reply=lambda _: None, on_lost=lambda _: None)
    peer, _ = listener.accept()
    listener.close()
    peer.settimeout(5.0)
    return protocol, peer


async def received(peer: socket.socket) -> int:
    """Read to the end of a connection, and raise if it was reset."""

    def read() -> int:
        with peer:
            return sum(map(len, iter(lambda: peer.recv(1 << 16), b"")))

    return await asyncio.to_thread(read)


async def test_what_the_kernel_holds_is_dropped_with_the_connection() -> None:
    protocol, peer = await connected()
    protocol.send([("SET", "key", MUCH)])
    protocol.abort()
    await asyncio.sleep(0.01)
    with pytest.raises(ConnectionResetError):
        await received(peer)


async def test_a_connection_that_is_closed_delivers_what_was_written() -> None:
    protocol, peer = await connected()
    protocol.send([("SET", "key", MUCH)])
    protocol.close()
    assert await received(peer) > len(MUCH)


async def test_a_unix_socket_is_aborted_as_well(tmp_path: Path) -> None:
    protocol, peer = await connected(str(tmp_path / "socket"))
    protocol.send([("PING",)])
    protocol.abort()
    protocol.abort()
    await asyncio.sleep(0.01)
    assert await received(peer) == len("*1\r\n$4\r\nPING\r\n")
