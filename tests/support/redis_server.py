"""A real Redis that a test may stop, kill, freeze and start again, on one and the same port."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import redis

# How to start a server that never outlives us, and how to know that it answers, is told there.
from benchmarks import own_redis as servers

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

HOST = "127.0.0.1"

RESP2: dict[str, Any] = {} if redis.VERSION[0] < 5 else {"protocol": 2}
"""What makes redis-py speak the protocol whose replies tests read; 4.x speaks no other."""

_STOP_WITHIN = 5.0  # seconds
_ATTEMPTS = 5


class RedisServer:
    """One ``redis-server`` in a folder of its own; starts when its ``with`` is entered.

    It writes an append-only file, so that :meth:`restart` can keep the data, also after a kill.

    Args:
        *options: More arguments for ``redis-server``, such as ``"--maxmemory", "10mb"``.
        executable: The server's program; by default the one that ``nowserving verify`` starts.
    """

    def __init__(self, *options: str, executable: str | None = None) -> None:
        self._options = options
        self._executable = executable
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # Talking to it

    def url(self, db: int = 1, **params: object) -> str:
        """Return the URL of a lock store over this server."""
        query = f"?{urlencode(params)}" if params else ""
        return f"redis://{HOST}:{self.port}/{db}{query}"

    def client(self, db: int = 1) -> redis.Redis:
        """Return a plain client; text that is no UTF-8 comes with surrogate escapes."""
        return redis.Redis(
            host=HOST,
            port=self.port,
            db=db,
            decode_responses=True,
            encoding_errors="surrogateescape",
            socket_timeout=10.0,
        )

    def cli(self, *args: str | bytes | float, db: int = 1) -> Any:
        """Send one command over a connection of its own and return the reply."""
        with contextlib.closing(self.client(db)) as client:
            return client.execute_command(*args)  # type: ignore[no-untyped-call]

    @property
    def pid(self) -> int:
        """The server's process id."""
        assert self._process is not None, "the server is not running"
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is there, answering or not."""
        return self._process is not None and self._process.poll() is None

    # Doing things to it

    def start(self, *options: str, loaded: bool = True) -> None:
        """Start it and wait until it answers; on the same port as before, if there was one.

        Args:
            *options: More arguments for this once.
            loaded: Whether to wait until it has loaded its data, too.
        """
        assert not self.running
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="nowserving-test-redis-"))
        for _ in range(_ATTEMPTS):  # someone else may take a free port before the server does
            port = self.port or servers._free_port()
            self._process = self._launch(port, options)
            if not loaded or servers._answers(self._process, port):
                self.port = port
                if loaded:
                    self.until_loaded()
                return
            self.stop()
        log = (self._folder / "redis.log").read_text(errors="replace")
        raise RuntimeError(f"redis-server did not start:\n{log[-1000:]}")

    def stop(self) -> None:
        """Stop it in good order (SIGTERM), frozen or not; does nothing when it is not running."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it (SIGKILL)."""
        self._end(signal.SIGKILL)

    def restart(self, *, keep_data: bool, down: float = 0.0) -> None:
        """Stop it and start it again, with its data or without.

        Args:
            keep_data: Whether it comes back with what it held.
            down: Seconds to stay down.
        """
        self.stop()
        if not keep_data and self._folder is not None:
            shutil.rmtree(self._folder)
            self._folder.mkdir()
        time.sleep(down)
        self.start()

    def until_loaded(self) -> None:
        """Wait until it serves: after a restart with data it answers ``-LOADING`` for a while."""
        with contextlib.closing(self.client(db=0)) as client:
            while self.running:
                with contextlib.suppress(redis.ConnectionError):  # its BusyLoadingError is one
                    if not client.info("persistence")["loading"]:
                        return
                time.sleep(0.01)
        raise RuntimeError("redis-server ended while it loaded its data")

    def pause(self) -> None:
        """Freeze the process: connections stay open, nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen process go on."""
        os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """Stop it in every case and remove its folder."""
        self.kill()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _launch(self, port: int, options: tuple[str, ...]) -> subprocess.Popen[bytes]:
        executable = self._executable or servers._executable()
        assert executable is not None, "there is no redis-server: install it"
        assert self._folder is not None
        arguments = ["--bind", HOST, "--port", str(port), "--dir", str(self._folder)]
        arguments += ["--save", "", "--appendonly", "yes", "--appendfsync", "no"]
        arguments += ["--auto-aof-rewrite-percentage", "0", "--daemonize", "no"]
        arguments += [*self._options, *options]
        with (self._folder / "redis.log").open("ab") as log:
            return subprocess.Popen(
                ["/bin/sh", "-c", servers._WHILE_STDIN_IS_OPEN, "sh", executable, *arguments],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the tests; they stop the server then
            )

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, how)
                os.kill(process.pid, signal.SIGCONT)  # a frozen process minds no SIGTERM
        try:
            process.wait(_STOP_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin is not None:  # lets the helper process beside the server end
            process.stdin.close()
