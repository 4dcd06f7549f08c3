"""``tests/support/rasa_surface.py`` beside Rasa itself, and the conformance suite of our stores."""

from __future__ import annotations

import subprocess
import sys
import warnings
from typing import TYPE_CHECKING

import pytest

from nowserving.testing import StoreConformance
from tests.integrations.test_rasa_surface import CHECKS, SURFACE
from tests.support.crew import environment

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from nowserving import LockStore
    from nowserving._config.options import Defaults
    from tests.support.redis_server import RedisServer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of Rasa's dependencies
    from nowserving.integrations.rasa import InMemoryLockStore, RedisLockStore


@pytest.mark.parametrize("check", CHECKS)
def test_beside_rasa(check: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(SURFACE), check],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


class TestInMemory(StoreConformance):
    takes_empty_names = True

    def make_store(self, **defaults: Unpack[Defaults]) -> LockStore:
        return InMemoryLockStore(**defaults)


class TestRedis(StoreConformance):
    takes_empty_names = True

    @pytest.fixture(autouse=True)
    def _over(self, redis_server: RedisServer) -> None:
        self._server = redis_server

    def make_store(self, **defaults: Unpack[Defaults]) -> LockStore:
        return RedisLockStore("127.0.0.1", self._server.port, **defaults)
