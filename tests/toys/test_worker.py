"""What one caller asks for never costs another: the thread of the SQLite toy."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from nowserving import StoreUnavailable
from tests.toys.sqlite_store import SqliteLockStore

if TYPE_CHECKING:
    from pathlib import Path

TOO_LARGE = 2**70


def test_a_verb_that_fails_costs_nobody_else_his(tmp_path: Path) -> None:
    async def play() -> None:
        async with SqliteLockStore(str(tmp_path / "locks.db")) as store:
            queue = store._runtime.queue
            wrong = queue.finish("a", TOO_LARGE, "", keep=True)
            asked = [store.take_ticket("a"), wrong, store.take_ticket("a")]
            first, failed, second = await asyncio.gather(*asked, return_exceptions=True)
            assert (first, second) == (0, 1)
            assert isinstance(failed, StoreUnavailable)

    asyncio.run(play())


def test_a_file_that_can_not_be_opened_is_tried_again(tmp_path: Path) -> None:
    folder = tmp_path / "not yet"

    async def play() -> None:
        async with SqliteLockStore(str(folder / "locks.db")) as store:
            with pytest.raises(StoreUnavailable, match="unable to open"):
                await store.take_ticket("a")
            folder.mkdir()
            assert await store.take_ticket("a") == 0

    asyncio.run(play())
