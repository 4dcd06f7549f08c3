"""The history over a cluster and behind sentinels: each stream is where its key belongs."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from nowserving import LockStore

if TYPE_CHECKING:
    from tests.support.cluster import ClusterSetup
    from tests.support.sentinel import SentinelSetup

NAMES = [f"c{index}" for index in range(12)]  # spread over all nodes


@pytest.mark.parametrize("setup", ["cluster_setup", "sentinel_setup"])
async def test_what_is_written_is_read(setup: str, request: pytest.FixtureRequest) -> None:
    servers: ClusterSetup | SentinelSetup = request.getfixturevalue(setup)
    url = servers.url(history=50, key_prefix=f"h{uuid.uuid4().hex}")
    async with LockStore.create(url) as store:
        for name in NAMES:
            async with store.lock(name):
                pass
    async with LockStore.create(url) as store:
        everything = await store.events()
        assert len(everything) == 3 * len(NAMES)
        for name in NAMES:
            events = await store.events(name)
            assert [event.kind for event in events] == ["asked", "served", "left"]
            assert [event for event in everything if event.conversation_id == name] == events
