"""A database of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nowserving import SQLiteLockStore
from tests.support.places import SQLiteFile

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("s") / "locks.db"  # short: sockets are beside it


@pytest.fixture
def file(path: Path) -> SQLiteFile:
    return SQLiteFile(path)


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SQLiteLockStore]:
    async with SQLiteLockStore(path, busy_timeout=5.0) as store:
        yield store
