"""What has reached a Redis, in order, with the server's own times."""

from __future__ import annotations

import re
import socket
import threading
from typing import TYPE_CHECKING, NamedTuple

from tests.support.redis_server import HOST

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from tests.support.redis_server import RedisServer


class Arrival(NamedTuple):
    """One command.

    Attributes:
        at: When, in seconds, by the clock of ``time.time``.
        words: Its words.
    """

    at: float
    words: list[str]


class Monitor:
    """Listens by ``MONITOR``, in a thread of its own; use it as a context manager.

    Args:
        server: The server.
    """

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        self._lines: list[str] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._socket = socket.create_connection((HOST, self._server.port))
        self._file = self._socket.makefile("r", encoding="utf-8", newline="\r\n")
        self._socket.sendall(b"MONITOR\r\n")
        assert self._file.readline() == "+OK\r\n"
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._file.close()
        self._socket.close()

    def arrivals(self, *wanted: str) -> list[Arrival]:
        """Return the commands with all of these words among theirs."""
        found = []
        for line in list(self._lines):
            words = re.findall(r'"((?:[^"\\]|\\.)*)"', line)
            if all(word in words for word in wanted):
                found.append(Arrival(float(line[1:].split(" ")[0]), words))
        return found

    def _listen(self) -> None:
        for line in self._file:
            self._lines.append(line)
