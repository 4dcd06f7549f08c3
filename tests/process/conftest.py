"""What the process tests share: a Redis of one's own, and what must hold after every scenario."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from nowserving import LockStore
from tests.support.places import Place, SQLiteFile
from tests.support.proxy import Proxy
from tests.support.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path


class Measured(Protocol):
    """Note a figure; the summary of the run shows it."""

    def __call__(self, what: str, figure: float) -> None: ...


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Measured:
    def note(what: str, figure: float) -> None:
        # A property of the test's report: tests may run in several processes.
        request.node.user_properties.append(("measured", f"{what} {figure:.4g}"))

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    figures = [
        f"{report.nodeid.rpartition('::')[2]}: {figure}"
        for report in terminalreporter.getreports("passed")
        for name, figure in report.user_properties
        if name == "measured"
    ]
    if figures:
        terminalreporter.section("measured")
        for figure in figures:
            terminalreporter.line(figure)


@pytest.fixture
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A fresh Redis; afterwards every key must be on its way out and KEYS never used.

    Where a test says so (``EVERYWHERE``), a file in its place.
    """
    if getattr(request, "param", "redis") == "sqlite":
        yield SQLiteFile(tmp_path / "locks.db")
        return
    with RedisServer() as redis:
        yield redis
        if redis.running:
            redis.resume()
            assert_every_key_expires(redis)
            assert "cmdstat_keys" not in redis.cli("INFO", "commandstats")


@pytest.fixture
def proxy(server: RedisServer) -> Iterator[Proxy]:
    """A network before the fresh Redis that loses and delays what it is told to."""
    with Proxy(server.port) as proxy:
        yield proxy


def assert_every_key_expires(redis: RedisServer) -> None:
    with contextlib.closing(redis.client()) as client:
        ttls: dict[Any, Any] = {key: client.pttl(key) for key in client.scan_iter(count=1000)}
    eternal = [key for key, ttl in ttls.items() if ttl == -1 and "{foreign" not in key]
    assert not eternal, f"keys without a TTL: {eternal}"


@pytest.fixture
async def store(server: Place) -> AsyncIterator[LockStore]:
    """A store over the fresh lines that waits two seconds for an answer."""
    async with LockStore.create(server.url(socket_timeout=2)) as store:
        yield store
