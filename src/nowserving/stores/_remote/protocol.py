"""One connection to a server: what is the same whatever is said over it.

It is a protocol of asyncio's, so a reply reaches its future in the very callback that read it,
without the tasks, timers and locks that a stream has in between.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from nowserving._host.background import detached, later
from nowserving.stores._remote.abandonment import last_steps

if TYPE_CHECKING:
    from collections.abc import Callable

_RESET_AT_ONCE = struct.pack("ii", 1, 0)
"""``SO_LINGER``: closing waits for nothing, and drops what was not delivered."""

_LAST_WORDS = 1.0
"""Seconds for which a closed connection may still send what was written."""

_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 5}
"""The kernel notices within a minute that the other end is gone without a word."""


class RemoteProtocol(asyncio.Protocol):
    """A connection that hands over each reply as it arrives.

    To be made on its loop. Whoever dials has it first, then somebody else takes it over. A subclass
    says how to send, and in ``data_received`` what a reply is: it calls ``_on_reply`` with each.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._early: list[Any] = []  # what was said before anybody asked
        self._on_reply: Callable[[Any], object] = self._early.append
        self._on_lost: Callable[[Exception | None], None] | None = None
        self._transport: asyncio.Transport | None = None
        self._broken: Exception | None = None  # why it is gone

    def take_over(
        self, on_reply: Callable[[Any], None], on_lost: Callable[[Exception | None], None]
    ) -> None:
        """Have this connection from now on.

        Args:
            on_reply: Called with each reply.
            on_lost: Called once when the connection is gone, with the reason if there is one; not
                called after :meth:`close`.

        Raises:
            ConnectionError: If it is broken already.
        """
        early, self._early = self._early, []
        for reply in early:
            on_reply(reply)
        if self._transport is None:
            raise self._broken or ConnectionError("the server closed the connection")
        self._on_reply, self._on_lost = on_reply, on_lost

    # What asyncio tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, and have it mind the other end."""
        self._transport = cast("asyncio.Transport", transport)
        # uvloop writes at the end of its step, unless that is more than it may buffer.
        self._transport.set_write_buffer_limits(high=0)
        used = transport.get_extra_info("socket")
        if used is not None and used.family in {socket.AF_INET, socket.AF_INET6}:
            used.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in _KEEPALIVE.items():
                if hasattr(socket, name):
                    used.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

    def eof_received(self) -> bool:
        """The server has hung up: close."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the owner, once."""
        on_lost, transport = self._on_lost, self._transport
        self._broken = self._broken or exc
        self._let_go()
        if transport is not None:
            transport.abort()  # if it is gone already, Python 3.10 wants to hear so over TLS
        if on_lost is not None:
            detached(on_lost, exc)  # it may be a write in somebody's context that has failed

    # Its end

    def abort(self, reason: Exception | None = None) -> None:
        """Cut the connection now; what was sent may or may not have arrived."""
        if self._transport is not None:
            _drop_unsent(self._transport)
        self.connection_lost(reason)

    def close(self) -> None:
        """Close for good: what was written is still sent, and nobody is told."""
        transport = self._transport
        self._let_go()
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
            if transport.get_write_buffer_size():  # else for ever, if the server reads no more
                later(self._loop, _LAST_WORDS, transport.abort)

    def hang_up(self) -> None:
        """End the conversation below the transport, which finds that out when its loop goes on."""
        transport = self._transport
        used = None if transport is None else transport.get_extra_info("socket")
        if used is not None:
            with suppress(OSError), socket.socket(fileno=os.dup(used.fileno())) as copy:
                copy.shutdown(socket.SHUT_RDWR)

    def abandon(self) -> None:
        """Close the socket of a loop that runs no more, and can't do that itself."""
        transport = self._transport
        self._let_go()
        if transport is not None:
            with last_steps(self._loop):
                transport.abort()

    def _let_go(self) -> None:
        # What was read with the last reply may hold more of them: they are nobody's.
        self._on_reply = _ignore
        self._on_lost = self._transport = None


def _ignore(_: object) -> None:
    pass


def _drop_unsent(transport: asyncio.BaseTransport) -> None:
    # Else the kernel goes on delivering what it was given, for minutes if need be, while we send
    # the same again over another connection. What the network itself holds, a tombstone refuses.
    used = transport.get_extra_info("socket")
    if used is not None and used.family in {socket.AF_INET, socket.AF_INET6}:
        with suppress(OSError, ValueError):  # it is closed already; uvloop says so with ValueError
            used.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_ONCE)
