"""The shipped conformance suite over Redis in its other shapes, and on another event loop.

The verbs and the turns are the same everywhere, and all of it takes a minute a shape: so the usual
run has the themes in which a connection matters, and ``scripts/test-long`` has everything.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from nowserving import RedisLockStore
from nowserving.testing import StoreConformance
from nowserving.testing.cancellation_sweep import CancellationSweep
from nowserving.testing.closing import Closing
from nowserving.testing.interrupting import Interrupting
from nowserving.testing.latest import Latest
from nowserving.testing.leaving import Leaving
from nowserving.testing.order import LineOrder
from nowserving.testing.surveying import Surveying
from nowserving.testing.turns import Fencing
from tests.support.executables import LONG, OLDEST_REDIS, VALKEY
from tests.support.redis_server import HOST, RedisServer
from tests.support.sentinel import SERVICE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nowserving import LockStore
    from tests.support.cluster import ClusterSetup
    from tests.support.sentinel import SentinelSetup
    from tests.support.tls import Certificates


class _Essentials(LineOrder, Leaving, Latest, Fencing, Surveying):
    """Order, leaving, superseding and tokens; and a survey, which goes to every server."""


class _OfLoops(_Essentials, CancellationSweep, Closing, Interrupting):
    """What an event loop has a part in, besides."""


if TYPE_CHECKING:
    Suite = StoreConformance
    LoopSuite = StoreConformance
else:
    Suite = StoreConformance if LONG else _Essentials
    LoopSuite = StoreConformance if LONG else _OfLoops


class TestSentinel(Suite):
    @pytest.fixture(autouse=True)
    def _over(self, sentinel_setup: SentinelSetup) -> None:
        self._endpoints = sentinel_setup.endpoints

    def make_store(self, **defaults: Any) -> LockStore:
        return RedisLockStore(
            deployment_mode="sentinel",
            endpoints=self._endpoints,
            sentinel_service=SERVICE,
            **defaults,
        )


class TestCluster(Suite):
    @pytest.fixture(autouse=True)
    def _over(self, cluster_setup: ClusterSetup) -> None:
        self._endpoints = cluster_setup.endpoints

    def make_store(self, **defaults: Any) -> LockStore:
        return RedisLockStore(deployment_mode="cluster", endpoints=self._endpoints, **defaults)


class TestTls(Suite):
    @pytest.fixture(autouse=True)
    def _over(
        self,
        tls_server: tuple[RedisServer, int],
        certificates: Certificates,
        client_certificate: tuple[Path, Path],
    ) -> None:
        self._port = tls_server[1]
        self._tls: dict[str, Any] = {
            "ssl_ca_certs": str(certificates.authority),
            "ssl_certfile": str(client_certificate[0]),
            "ssl_keyfile": str(client_certificate[1]),
        }

    def make_store(self, **defaults: Any) -> LockStore:
        return RedisLockStore(HOST, self._port, use_ssl=True, **self._tls, **defaults)


class _OneServer(Suite):
    """Over one server of another make."""

    _port: int

    def make_store(self, **defaults: Any) -> LockStore:
        return RedisLockStore(HOST, self._port, **defaults)


class TestUvloop(_OneServer, LoopSuite):
    """Also the store's own loop, on which its threads run what they ask for."""

    @pytest.fixture(autouse=True)
    def _over(self, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self._port = redis_server.port
        uvloop = pytest.importorskip("uvloop")
        for module in (asyncio, asyncio.events):
            monkeypatch.setattr(module, "new_event_loop", uvloop.new_event_loop)

    def test_it_is_really_that_loop(self) -> None:
        async def kind() -> str:
            return type(asyncio.get_running_loop()).__module__

        assert asyncio.run(kind()) == "uvloop"


if VALKEY is not None:

    @pytest.fixture(scope="session")
    def valkey_server() -> Iterator[RedisServer]:
        with RedisServer(executable=VALKEY) as server:
            yield server

    class TestValkey(_OneServer):
        @pytest.fixture(autouse=True)
        def _over(self, valkey_server: RedisServer) -> None:
            self._port = valkey_server.port


if OLDEST_REDIS is not None:

    @pytest.fixture(scope="session")
    def oldest_server() -> Iterator[RedisServer]:
        with RedisServer(executable=OLDEST_REDIS) as server:
            assert server.cli("INFO", "server")["redis_version"].startswith("6.2.")
            yield server

    class TestOldestRedis(_OneServer):
        @pytest.fixture(autouse=True)
        def _over(self, oldest_server: RedisServer) -> None:
            self._port = oldest_server.port
