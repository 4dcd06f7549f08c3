"""Servers for faults: each test has its own, since it breaks them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from tests.support.executables import LONG, OTHERS
from tests.support.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator


# A fault has the same end whoever makes the server: the long run breaks the others as well.
_EXECUTABLES: dict[str, str | None] = {"redis": None, **(OTHERS if LONG else {})}


@pytest.fixture(params=_EXECUTABLES.values(), ids=list(_EXECUTABLES))
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    with RedisServer(executable=request.param) as server:
        yield server


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Told:
    caplog.set_level(logging.WARNING, "nowserving")
    return Told(caplog)


class Told:
    """What was logged as a warning or worse."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    def times(self, words: str) -> int:
        """Return how many records have these words."""
        return sum(words in record.getMessage() for record in self._caplog.records)
