"""Stores to look at from the outside: a file and a server."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.redis_server import RedisServer


@pytest.fixture(params=["sqlite", "redis"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store of one's own, as ``--store`` takes it."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path_factory.mktemp('s') / 'locks.db'}"
    server: RedisServer = request.getfixturevalue("redis_server")
    return server.url(key_prefix=uuid.uuid4().hex)


@pytest.fixture
def file_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store in a file, for what does not depend on the store."""
    return f"sqlite:///{tmp_path_factory.mktemp('s') / 'locks.db'}"
