"""The watch wakes for what can still change, and for nothing else."""

from __future__ import annotations

import asyncio
from unittest import mock

from nowserving import InMemoryLockStore
from nowserving._runtime.watch import Watch


async def test_a_lost_lock_is_not_minded_any_more() -> None:
    async with InMemoryLockStore() as store, store.lock("c", 0.05) as lock:
        await asyncio.sleep(0.15)
        assert lock.lost
        with mock.patch.object(Watch, "_wake", autospec=True, side_effect=Watch._wake) as wake:
            await asyncio.sleep(0.1)
        assert wake.call_count <= 1
