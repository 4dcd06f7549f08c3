"""The opt-in suite over real Rasa servers; ``scripts/test-rasa`` makes the environment for it."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import pytest

from tests.rasa.bursts import Site
from tests.rasa.figures import Row, table
from tests.rasa.servers import train
from tests.rasa.yardstick import Yardstick
from tests.support.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Without Rasa there is nothing to test here. It is looked for, not imported: that takes seconds.
collect_ignore_glob = [] if importlib.util.find_spec("rasa") else ["test_*.py"]

_rows: list[Row] = []


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bot, trained."""
    return train(tmp_path_factory.mktemp("model"))


@pytest.fixture
def site(tmp_path: Path, model: Path, redis_server: RedisServer) -> Site:
    """Where a test may start servers."""
    redis_server.cli("FLUSHALL")
    return Site(tmp_path, model, redis_server)


@pytest.fixture(scope="session")
def yardstick(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Iterator[Yardstick]:
    """The server that no lock store can beat, over a Redis of its own."""
    with RedisServer() as redis_server:
        site = Site(tmp_path_factory.mktemp("yardstick"), model, redis_server)
        with site.servers({"type": "stopwatch.OneProcess"}) as servers:
            yardstick = Yardstick(site, servers)
            yield yardstick
            _rows[:0] = yardstick.rows.values()


@pytest.fixture
def rows() -> list[Row]:
    """The rows of the table that is printed at the end."""
    return _rows


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was measured."""
    if _rows:
        terminalreporter.section("Rasa's lock stores and ours, on real servers")
        terminalreporter.write(table(_rows))
