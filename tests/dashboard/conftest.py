"""A browser for all tests of the dashboard, and a dashboard over each kind of store."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.support.browser import Browser, browser
from tests.support.dashboard import Dashboard

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.redis_server import RedisServer


class Shown(NamedTuple):
    """A store and its dashboard."""

    store: str
    dashboard: Dashboard


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A browser; starting one takes a while."""
    with browser() as made:
        yield made


@pytest.fixture(scope="module", params=["sqlite", "redis"])
def shown(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shown]:
    """A store of each kind that many processes share, and its dashboard, which may release."""
    yield from _shown(request, tmp_path_factory, request.param)


@pytest.fixture(scope="module")
def shown_file(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shown]:
    """The same over a file, for what does not depend on the store."""
    yield from _shown(request, tmp_path_factory, "sqlite")


def _shown(
    request: pytest.FixtureRequest, folders: pytest.TempPathFactory, kind: str
) -> Iterator[Shown]:
    if kind == "sqlite":
        path = folders.mktemp("s") / "locks.db"
        path.touch()  # an empty file is a database of which nothing was asked yet
        store = f"sqlite:///{path}"
    else:
        server: RedisServer = request.getfixturevalue("redis_server")
        store = server.url(key_prefix=uuid.uuid4().hex)
    with Dashboard(store, "--allow-release") as dashboard:
        yield Shown(store, dashboard)
