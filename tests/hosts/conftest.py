"""What the tests in hosts share: each of them runs over every kind of store."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from nowserving import LockStore
from tests.support.places import SQLiteFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.redis_server import RedisServer


@pytest.fixture
def clean_redis(redis_server: RedisServer) -> RedisServer:
    """The shared Redis without the tickets of programs that were killed."""
    redis_server.cli("FLUSHALL")
    return redis_server


def _url(request: pytest.FixtureRequest, kind: str, **options: str) -> str:
    if kind == "memory":
        return f"memory://?{urlencode(options)}"
    if kind == "sqlite":
        folder: pytest.TempPathFactory = request.getfixturevalue("tmp_path_factory")
        return SQLiteFile(folder.mktemp("s") / "locks.db").url(busy_timeout=2, **options)
    server: RedisServer = request.getfixturevalue("clean_redis")
    return server.url(1, socket_timeout=2, **options)


@pytest.fixture(params=["memory", "redis", "sqlite"])
def url(request: pytest.FixtureRequest) -> str:
    """The URL of a store."""
    return _url(request, request.param)


@pytest.fixture(params=["memory, renewed", "redis", "redis, renewed", "sqlite", "sqlite, renewed"])
def renewed_or_not(request: pytest.FixtureRequest) -> str:
    """The URL of a store whose tickets are renewed, or not (which in memory needs no thread)."""
    kind, _, renewed = request.param.partition(", ")
    return _url(request, kind, auto_renew=str(bool(renewed)).lower())


@pytest.fixture
def each(url: str) -> Iterator[LockStore]:
    """A store of each kind in this process."""
    with LockStore.create(url) as store:
        yield store


@pytest.fixture
def outside(clean_redis: RedisServer) -> Iterator[LockStore]:
    """Another process's view of the shared Redis, and its place in the lines there."""
    with LockStore.create(clean_redis.url(socket_timeout=2)) as store:
        yield store
