"""A Redis of our own, for the time of a run: of the benchmarks, and of the tests."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_HOST = "127.0.0.1"
_START_WITHIN = 10.0  # seconds
_STOP_WITHIN = 5.0  # seconds
_LOOK_EVERY = 0.02  # seconds
_ATTEMPTS = 5

# The server lives exactly as long as the pipe at its standard input is open: when this process
# stops it, or ends in any way at all (SIGKILL included), `cat` sees the end and the server goes.
_WHILE_STDIN_IS_OPEN = 'exec 3<&0; (cat <&3; kill $$) >/dev/null & exec 3<&-; exec "$@" </dev/null'


class ServerError(RuntimeError):
    """The server could not be started; the message quotes its log."""


def redis_is_installed() -> bool:
    """Return whether there is a ``redis-server`` (or Valkey's) to start."""
    return _executable() is not None


@contextlib.contextmanager
def own_redis() -> Iterator[str]:
    """Start a Redis on a free port that keeps nothing on disk, and stop it in every case.

    Yields:
        Its URL, ``redis://127.0.0.1:<port>/0``.

    Raises:
        ServerError: If none is installed or it does not start.
    """
    executable = _executable()
    if executable is None:
        raise ServerError("There is no redis-server: install it.")
    with tempfile.TemporaryDirectory(prefix="nowserving-redis-") as folder:
        process, port = _start(executable, Path(folder))
        try:
            yield f"redis://{_HOST}:{port}/0"
        finally:
            _stop(process)


def _executable() -> str | None:
    return shutil.which("redis-server") or shutil.which("valkey-server")


def _start(executable: str, folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    for _ in range(_ATTEMPTS):  # someone else may take the free port before the server does
        port = _free_port()
        process = _launch(executable, folder, port)
        try:
            if _answers(process, port):
                return process, port
        except BaseException:
            _stop(process)
            raise
        _stop(process)
    log = folder / "redis.log"
    raise ServerError(
        f"{executable} did not start: {log.read_text(errors='replace')[-500:].strip()}"
    )


def _launch(executable: str, folder: Path, port: int) -> subprocess.Popen[bytes]:
    options = {
        "--bind": _HOST,
        "--port": str(port),
        "--dir": str(folder),
        "--save": "",
        "--appendonly": "no",
        "--daemonize": "no",
    }
    arguments = [text for option in options.items() for text in option]
    with (folder / "redis.log").open("wb") as log:
        return subprocess.Popen(  # noqa: S603 - what runs is ours, found on PATH
            ["/bin/sh", "-c", _WHILE_STDIN_IS_OPEN, "sh", executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for us; we stop the server when we are done
        )


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(_STOP_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the server answers a PING; False if it ended or stayed silent."""
    give_up = time.monotonic() + _START_WITHIN
    while process.poll() is None and time.monotonic() < give_up:
        with contextlib.suppress(OSError), socket.create_connection((_HOST, port), 1) as connection:
            connection.sendall(b"PING\r\n")
            if connection.recv(5) == b"+PONG":
                return process.poll() is None
        time.sleep(_LOOK_EVERY)
    return False
