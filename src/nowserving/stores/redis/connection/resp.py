"""One connection to Redis: dialled by redis-py, then spoken over directly.

redis-py does what needs care and is not ours: addresses, TLS, authentication, the choice of the
database, the failover of a Sentinel. Once the connection stands, its transport is handed to this
protocol, and hiredis parses the replies. A reply then reaches its future in the very callback
that read it, without the tasks, timers and locks that a general client has to have in between.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import hiredis

from nowserving._host.background import detached, later
from nowserving.stores._remote.abandonment import abandon_transport

if TYPE_CHECKING:
    from collections.abc import Callable

_INCOMPLETE = object()

_RESET_AT_ONCE = struct.pack("ii", 1, 0)
"""``SO_LINGER``: closing waits for nothing, and drops what was not delivered."""

_LAST_WORDS = 1.0
"""Seconds for which a closed connection may still send what was written."""


class RespProtocol(asyncio.Protocol):
    """A live connection that sends packed commands and hands over each reply as it arrives.

    Args:
        connection: A ``redis.asyncio`` connection that stands; its transport is taken over.
        on_reply: Called with each reply; an error reply is a ``hiredis.ReplyError`` *value*.
        on_lost: Called once when the connection is gone, with the reason if there is one; not
            called after :meth:`close`.

    Raises:
        ConnectionError: If it has broken meanwhile.
    """

    def __init__(
        self,
        connection: Any,  # noqa: ANN401 - redis-py's
        on_reply: Callable[[Any], None],
        on_lost: Callable[[Exception | None], None],
    ) -> None:
        # Whatever bytes stand in Redis must come back: a foreign value must not break the wire.
        self._reader = hiredis.Reader(
            encoding="utf-8", errors="surrogateescape", notEnoughData=_INCOMPLETE
        )
        self._on_reply = on_reply
        self._on_lost: Callable[[Exception | None], None] | None = on_lost
        # The one module, with dial.py, that touches a private name of redis-py: the stream writer
        # it made, under the same name since 4.2. The connection is kept alive with it, since a
        # writer that is collected closes its transport.
        self._connection = connection
        self._transport: asyncio.Transport | None = connection._writer.transport  # noqa: SLF001
        self._transport.set_protocol(self)
        # uvloop writes at the end of its step, unless that is more than it may buffer.
        self._transport.set_write_buffer_limits(high=0)
        if self._transport.is_closing():
            self._let_go()
            raise ConnectionError("the connection broke right after its handshake")

    def send(self, commands: list[tuple[Any, ...]]) -> None:
        """Write commands; never waits. Their replies come in the same order."""
        if self._transport is None:
            return
        if len(commands) == 1:
            self._transport.write(hiredis.pack_command(commands[0]))
        else:
            self._transport.write(b"".join([hiredis.pack_command(command) for command in commands]))

    def data_received(self, data: bytes) -> None:
        """Parse what arrived and hand over every complete reply."""
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not _INCOMPLETE:
                self._on_reply(reply)
        except hiredis.ProtocolError as error:
            self.abort(error)

    def eof_received(self) -> bool:
        """The server has hung up: close."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the owner, once."""
        on_lost, self._on_lost = self._on_lost, None
        self._let_go()
        if on_lost is not None:
            detached(on_lost, exc)  # it may be a write in somebody's context that has failed

    def abort(self, reason: Exception | None = None) -> None:
        """Cut the connection now; what was sent may or may not have arrived."""
        transport = self._transport
        if transport is not None:
            _drop_unsent(transport)
            transport.abort()
        self.connection_lost(reason)

    def close(self) -> None:
        """Close for good: what was written is still sent, and nobody is told."""
        self._on_lost = None
        transport = self._transport
        if transport is None:
            return
        if (
            transport.get_extra_info("ssl_object") is not None
            and not transport.get_write_buffer_size()
        ):
            # A polite end of TLS waits for the other side, and the loop may end before.
            transport.abort()
        else:
            transport.close()
            if transport.get_write_buffer_size():  # else for ever, if Redis reads no more
                later(asyncio.get_running_loop(), _LAST_WORDS, transport.abort)
        self._let_go()

    def hang_up(self) -> None:
        """End the conversation below the transport, which finds that out when its loop goes on."""
        transport = self._transport
        used = None if transport is None else transport.get_extra_info("socket")
        if used is not None:
            with suppress(OSError), socket.socket(fileno=os.dup(used.fileno())) as copy:
                copy.shutdown(socket.SHUT_RDWR)

    def abandon(self) -> None:
        """Close the socket of a loop that is closed: it can't do that itself any more."""
        self._on_lost = None
        transport = self._transport
        if transport is not None:
            abandon_transport(transport)
        self._let_go()

    def _let_go(self) -> None:
        # redis-py warns of a connection that is collected while it has its streams.
        if self._connection is not None:
            self._connection._reader = self._connection._writer = None  # noqa: SLF001
        self._connection = self._transport = None


def _drop_unsent(transport: asyncio.BaseTransport) -> None:
    # Else the kernel goes on delivering what it was given, for minutes if need be, while we send
    # the same again over another connection. What the network itself holds, a tombstone refuses.
    used = transport.get_extra_info("socket")
    if used is not None and used.family in {socket.AF_INET, socket.AF_INET6}:
        with suppress(OSError):  # it is closed already
            used.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_ONCE)
