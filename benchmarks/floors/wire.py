"""A connection to Redis that does nothing but write, read and parse."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

import hiredis

from benchmarks.server import HOST

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.server import Address

_INCOMPLETE = object()


class BareWire(asyncio.Protocol):
    """Commands in, replies out, in order.

    Args:
        on_push: Called with each reply that no command of ours waits for.
    """

    def __init__(self, on_push: Callable[[Any], None] | None = None) -> None:
        self._on_push = on_push
        self._reader = hiredis.Reader(notEnoughData=_INCOMPLETE)
        self._awaited: deque[asyncio.Future[Any]] = deque()
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def dialled(
        cls, address: Address, on_push: Callable[[Any], None] | None = None
    ) -> BareWire:
        """Connect and choose the database."""
        loop = asyncio.get_running_loop()
        _, wire = await loop.create_connection(lambda: cls(on_push), HOST, address.port)
        await wire.ask("SELECT", address.db)
        return wire

    def ask(self, *command: str | float) -> asyncio.Future[Any]:
        """Send a command; await what is returned for its reply."""
        assert self._transport is not None, "not connected"  # noqa: S101 - for the type checker
        future = self._loop.create_future()
        self._awaited.append(future)
        self._transport.write(hiredis.pack_command(command))  # type: ignore[arg-type]
        return future

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type checker
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Hand over every complete reply."""
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not _INCOMPLETE:
            if self._awaited:
                self._awaited.popleft().set_result(reply)
            elif self._on_push is not None:
                self._on_push(reply)
