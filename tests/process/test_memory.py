"""What a conversation takes of Redis's memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nowserving.protocol.status import Admission

if TYPE_CHECKING:
    from nowserving import LockStore
    from tests.support.redis_server import RedisServer

PACKED = {"listpack", "ziplist"}  # by the server's version


@pytest.mark.parametrize("renewed", [False, True])
async def test_a_record_stays_packed_however_many_tickets_were_drawn(
    server: RedisServer, store: LockStore, *, renewed: bool
) -> None:
    """Redis keeps a hash packed while no value in it is longer than 64 bytes."""
    queue, admission = store._runtime.queue, Admission(lifetime=600.0, renewed=renewed)
    own, _, _ = queue.handle("c").owner.partition("~")
    # As they are drawn on the tenth event loop of a process, after ten million others.
    handles = [queue.handle("c", f"{own}~9.1000000{index}") for index in range(3)]
    with server.client() as client:
        for handle in handles:
            await queue.take(handle, admission)
        for handle in handles:
            assert client.object("encoding", "lock:{c}") in PACKED
            await queue.leave(handle, "interrupted")
        assert client.object("encoding", "lock:{c}") in PACKED
