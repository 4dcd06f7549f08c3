"""One connection to Redis: packs commands and parses replies, with hiredis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hiredis

from nowserving.stores._remote.protocol import RemoteProtocol

if TYPE_CHECKING:
    from collections.abc import Sequence

_INCOMPLETE = object()


class RespProtocol(RemoteProtocol):
    """A connection that sends commands; an error reply is a ``hiredis.ReplyError`` *value*."""

    def __init__(self) -> None:
        super().__init__()
        # Whatever bytes stand in Redis must come back: a foreign value breaks no connection.
        self._reader = hiredis.Reader(
            encoding="utf-8", errors="surrogateescape", notEnoughData=_INCOMPLETE
        )

    def send(self, commands: Sequence[tuple[Any, ...]]) -> None:
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
