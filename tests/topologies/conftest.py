"""Real servers in every shape; each is started once, at its first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.cluster import ClusterSetup
from tests.support.sentinel import SentinelSetup
from tests.support.tls import Certificates, TlsServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.redis_server import RedisServer


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def tls_server(certificates: Certificates) -> Iterator[tuple[RedisServer, int]]:
    """A server that speaks TLS on a second port, and wants to see a client certificate there."""
    with TlsServer(certificates.identity(), clients=True) as server:
        yield server, server.tls_port


@pytest.fixture(scope="session")
def client_certificate(certificates: Certificates) -> tuple[Path, Path]:
    return certificates.issue("client")


@pytest.fixture(scope="session")
def sentinel_setup() -> Iterator[SentinelSetup]:
    with SentinelSetup() as setup:
        yield setup


@pytest.fixture(scope="session")
def cluster_setup() -> Iterator[ClusterSetup]:
    with ClusterSetup() as setup:
        yield setup
