"""The shipped conformance suite over the toy: what it is made of is enough for a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nowserving.testing import StoreConformance
from tests.toys.socket_server import SocketServer
from tests.toys.socket_store import SocketLockStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Unpack

    from nowserving import LockStore
    from nowserving._config.options import Defaults


class TestSocket(StoreConformance):
    """Over a server that loses every fifth reply."""

    @pytest.fixture(autouse=True)
    def _over(self) -> Iterator[None]:
        with SocketServer(loses=5) as server:
            self._port = server.port
            yield

    def make_store(self, **defaults: Unpack[Defaults]) -> LockStore:
        return SocketLockStore(self._port, **defaults)
