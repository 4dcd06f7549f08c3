"""The shipped conformance suite over every store that we have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nowserving.testing import StoreConformance
from tests.conformance.stores import STORES

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Unpack

    from nowserving import LockStore
    from nowserving._config.options import Defaults
    from tests.support.redis_server import RedisServer


class TestStores(StoreConformance):
    _make: Callable[..., LockStore]

    @pytest.fixture(params=STORES, autouse=True)
    def _over(self, request: pytest.FixtureRequest, redis_server: RedisServer) -> None:
        self._make = STORES[request.param](redis_server)

    def make_store(self, **defaults: Unpack[Defaults]) -> LockStore:
        return self._make(**defaults)
