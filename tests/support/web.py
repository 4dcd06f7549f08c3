"""A web server in a process of its own, and plain requests to it."""

from __future__ import annotations

import http.client
import json
import socket
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from tests.support.crew import until
from tests.support.programs import Running
from tests.support.redis_server import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START_WITHIN = 30.0
ANSWER_WITHIN = 10.0


class WebServer(Running):
    """A server that listens as soon as its ``with`` is entered.

    Args:
        *command: Arguments for Python; ``{port}`` in one of them stands for the port.
        folder: Where it runs; by default where we do.
        **variables: Environment variables.
    """

    def __init__(self, *command: str, folder: Path | None = None, **variables: str) -> None:
        with socket.create_server((HOST, 0)) as free:
            self.port: int = free.getsockname()[1]
        words = [word.replace("{port}", str(self.port)) for word in command]
        super().__init__(*words, folder=folder, **variables)

    def until_ready(self) -> None:
        """Wait until it listens."""
        until(self._is_listening, START_WITHIN)

    def _is_listening(self) -> bool:
        self.check()
        with socket.socket() as probe:
            return probe.connect_ex((HOST, self.port)) == 0

    def get(self, path: str) -> Any:
        """Return the JSON of an answer."""
        with self.open(path) as answer:
            return json.loads(answer.read())

    @contextmanager
    def open(self, path: str) -> Iterator[IO[bytes]]:
        """Send a request; hang up when the ``with`` is left, however much was read."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=ANSWER_WITHIN)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            assert response.status == http.HTTPStatus.OK, self.log
            yield response
        finally:
            connection.close()


def get(port: int, path: str) -> bytes:
    """Return what some server on this machine answers."""
    connection = http.client.HTTPConnection(HOST, port, timeout=ANSWER_WITHIN)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        text = response.read()
        assert response.status == http.HTTPStatus.OK, text
        return text
    finally:
        connection.close()


def uvicorn(app: Path, *options: str, folder: Path | None = None, **variables: str) -> WebServer:
    """Return a uvicorn that serves the ``app`` of a file."""
    where = ["--app-dir", str(app.parent), f"{app.stem}:app", "--host", HOST, "--port", "{port}"]
    return WebServer(
        "-m", "uvicorn", "--no-access-log", *where, *options, folder=folder, **variables
    )
