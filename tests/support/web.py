"""A web server in a process of its own, and plain requests to it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tests.support.crew import environment, until
from tests.support.redis_server import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from typing_extensions import Self

START_WITHIN = 30.0
ANSWER_WITHIN = 10.0
_SAID = 5000  # characters


class WebServer:
    """A server that is started when its ``with`` is entered, and killed when it is left.

    Args:
        *command: Arguments for Python; ``{port}`` in one of them stands for the port.
        **variables: Environment variables.
    """

    def __init__(self, *command: str, **variables: str) -> None:
        with socket.create_server((HOST, 0)) as free:
            self.port: int = free.getsockname()[1]
        self._command = [word.format(port=self.port) for word in command]
        self._variables = variables
        self._process: subprocess.Popen[bytes] | None = None
        self._log = Path(tempfile.mkstemp(prefix="nowserving-test-web-")[1])

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, *self._command],
                env={**environment(), **self._variables},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            until(self._is_listening, START_WITHIN)
        except BaseException:
            self._kill()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._kill()

    @property
    def log(self) -> str:
        """What it has said, its end."""
        return self._log.read_text(errors="replace")[-_SAID:]

    def stop(self, within: float) -> float:
        """Send it a SIGTERM, and return how many seconds it took to end."""
        assert self._process is not None
        began = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(within)
        return time.monotonic() - began

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

    def _is_listening(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log
        with socket.socket() as probe:
            return probe.connect_ex((HOST, self.port)) == 0

    def _kill(self) -> None:
        assert self._process is not None
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._log.unlink()


def uvicorn(app: Path, *options: str, **variables: str) -> WebServer:
    """Return a uvicorn that serves the ``app`` of a file."""
    where = ["--app-dir", str(app.parent), f"{app.stem}:app", "--host", HOST, "--port", "{port}"]
    return WebServer("-m", "uvicorn", "--no-access-log", *where, *options, **variables)
