"""Servers that are told to end while a line is longer than their patience: it is given back."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.crew import until
from tests.support.programs import Running
from tests.support.web import START_WITHIN, WebServer, uvicorn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nowserving import LockStore
    from tests.support.redis_server import RedisServer

PROGRAMS = Path(__file__).parent / "programs"
IN_LINE = 21  # one of them holds the lock
GRACE, EXTRA, ROOM = 1.0, 1.0, 1.5  # seconds: the server's own, those that we may take, for chance


def terminate(server: Running, outside: LockStore) -> None:
    """End it, and look at the line that it leaves."""
    until(lambda: in_line(outside) == IN_LINE)
    assert server.stop(within=10.0) < GRACE + EXTRA + ROOM
    left = in_line(outside)
    assert left == 0, f"{left} tickets were left behind; it said: {server.log}"
    began = time.monotonic()
    with outside.lock("c", timeout=1.5):
        assert time.monotonic() - began < 1.5


def in_line(store: LockStore) -> int:
    lock = store.get_lock("c")
    return 0 if lock is None else len(lock.tickets)


@contextlib.contextmanager
def clients(server: WebServer) -> Iterator[None]:
    """Have the line asked for by clients that wait for their answers."""

    def ask() -> None:
        with contextlib.suppress(OSError, AssertionError, ValueError):  # there will be none
            server.get("/hold/c")

    threads = [threading.Thread(target=ask) for _ in range(IN_LINE)]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("closes", ["yes", "no"])
def test_uvicorn(clean_redis: RedisServer, outside: LockStore, closes: str, workers: str) -> None:
    """Whether its app closes the store or leaves that to the end of the process."""
    server = uvicorn(
        PROGRAMS / "waiting_app.py",
        *("--timeout-graceful-shutdown", "1", "--workers", workers),
        STORE_URL=clean_redis.url(),
        CLOSES=closes,
    )
    with server, clients(server):
        terminate(server, outside)


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_sanic(clean_redis: RedisServer, outside: LockStore, start: str) -> None:
    program = str(PROGRAMS / "sanic_app.py")
    with WebServer(program, "{port}", clean_redis.url(), start, "2") as server:
        until(lambda: server.log.count("Worker ready") == 2, START_WITHIN)
        with clients(server):
            time.sleep(1.0)  # Sanic minds no SIGTERM before it has heard of its workers
            terminate(server, outside)


@pytest.mark.parametrize("who", ["tasks", "threads"])
@pytest.mark.parametrize("where", ["here", "os.fork", "fork", "spawn"])
def test_any_server(clean_redis: RedisServer, outside: LockStore, who: str, where: str) -> None:
    """As it was started, and whether it stands in line in tasks or in daemon threads."""
    program = str(PROGRAMS / "line_server.py")
    with Running(program, clean_redis.url(), who, where) as server:
        terminate(server, outside)
