"""What a Redis answers while it can't or won't serve: each begins and ends when a test wants it."""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

import redis

from tests.support.redis_server import HOST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tests.support.redis_server import RedisServer

_NOWHERE = 1  # a port on which nobody listens
_KEYS, _DELAY = 100, 20_000  # microseconds for each key: two seconds in all
_OFTEN = "loading-process-events-interval-bytes"
_SECRET = "by-now-there-is/one"  # noqa: S105 - the test's own


class Refusal(NamedTuple):
    """One of them.

    Attributes:
        during: Has the server refuse while it is entered.
        prepare: What that needs and takes a while, to be called before anybody waits.
        reason: What errors say, a regular expression. Whoever's last attempt got no answer at all
            says so instead.
        at_once: Whether waiting is of no use, so that callers are told at once.
        to_all: Whether connections are lost with it, so that waiters ask and are told, too.
    """

    during: Callable[[RedisServer], AbstractContextManager[None]]
    reason: str
    at_once: bool = False
    to_all: bool = False
    prepare: Callable[[RedisServer], None] = lambda _server: None


def _fill(server: RedisServer) -> None:
    with contextlib.closing(server.client(db=9)) as client:
        # A snapshot is loaded in pieces with answers between them; a log is not. Redis 6.2 answers
        # every two megabytes, a newer one as often as it is told to.
        size = 1100 if client.config_get(_OFTEN) else 1 << 20
        for index in range(_KEYS):
            client.set(f"filler:{index}", secrets.token_bytes(size))  # what can't be packed
        client.bgrewriteaof()
        while any(client.info("persistence")[f"aof_rewrite_{when}"] for when in _WHEN):
            time.sleep(0.01)


@contextlib.contextmanager
def _loading(server: RedisServer) -> Iterator[None]:
    often = (f"--{_OFTEN}", "1024") if server.cli("CONFIG", "GET", _OFTEN) else ()
    server.stop()
    server.start("--key-load-delay", str(_DELAY), *often, loaded=False)
    yield
    server.until_loaded()


_WHEN = ("in_progress", "scheduled")


@contextlib.contextmanager
def _replica(server: RedisServer) -> Iterator[None]:
    server.cli("REPLICAOF", HOST, _NOWHERE)
    yield
    server.cli("REPLICAOF", "NO", "ONE", db=0)


@contextlib.contextmanager
def _stale_replica(server: RedisServer) -> Iterator[None]:
    server.cli("CONFIG", "SET", "replica-serve-stale-data", "no")
    with _replica(server):
        yield


@contextlib.contextmanager
def _busy(server: RedisServer) -> Iterator[None]:
    server.cli("CONFIG", "SET", "lua-time-limit", "20")

    def keep_busy() -> None:
        with contextlib.suppress(redis.RedisError):
            server.cli("EVAL", "while true do end", 0, db=0)

    thread = threading.Thread(target=keep_busy)
    thread.start()
    try:
        while _answers(server):
            time.sleep(0.01)
        yield
    finally:
        server.cli("SCRIPT", "KILL", db=0)
        thread.join()


def _answers(server: RedisServer) -> bool:
    try:
        server.cli("PING", db=0)
    except redis.ResponseError:
        return False
    return True


@contextlib.contextmanager
def _full(server: RedisServer) -> Iterator[None]:
    with contextlib.closing(server.client()) as client:
        with contextlib.ExitStack() as stack:
            # First the places are taken, then the others lose theirs: they dial again at once.
            taken = [
                stack.enter_context(socket.create_connection((HOST, server.port))) for _ in range(4)
            ]
            stay = {f"{HOST}:{one.getsockname()[1]}" for one in taken}
            client.config_set("maxclients", 3)
            mine = str(client.client_id())
            for other in client.client_list():
                if other["addr"] not in stay and other["id"] != mine:
                    client.client_kill_filter(_id=other["id"])
            yield
        client.config_set("maxclients", 1000)


@contextlib.contextmanager
def _password(server: RedisServer) -> Iterator[None]:
    with contextlib.closing(server.client()) as client:
        client.config_set("requirepass", _SECRET)
        client.client_kill_filter(_type="pubsub")
        client.client_kill_filter(_type="normal", skipme=True)
        yield
        client.config_set("requirepass", "")


@contextlib.contextmanager
def _forbidden(server: RedisServer) -> Iterator[None]:
    server.cli("ACL", "SETUSER", "default", "-evalsha", "-eval")
    yield
    server.cli("ACL", "SETUSER", "default", "+evalsha", "+eval")


REFUSALS = {
    "LOADING": Refusal(_loading, "(?i)loading", prepare=_fill),
    "READONLY": Refusal(_replica, "READONLY"),
    "MASTERDOWN": Refusal(_stale_replica, "(?i)masterdown|link with master"),
    "BUSY": Refusal(_busy, "BUSY"),
    # It says so and hangs up, and redis-py may see that first.
    "too many clients": Refusal(_full, "(?i)max number of clients|connection (lost|closed|reset)"),
    "NOAUTH": Refusal(_password, "(?i)auth", at_once=True, to_all=True),
    "NOPERM": Refusal(_forbidden, "(?i)no permissions|noperm", at_once=True),
}
"""By what Redis says."""
