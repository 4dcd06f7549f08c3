"""What all tests may ask for."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.support.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator

# No time limit an example: on a busy machine any of them can take long.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


def pytest_configure() -> None:
    """See to it that Ctrl-C reaches the programs that tests start.

    Whatever a shell starts in the background ignores it, and so would they.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis for tests that only use it; those that stop or change one start their own."""
    with RedisServer() as server:
        yield server
