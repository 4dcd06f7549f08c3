"""However long a line is, no verb holds Redis up: others use the same Redis."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from nowserving import LockStore, LockSuperseded
from nowserving.protocol.status import Admission, State
from tests.support.tasks import Turns

if TYPE_CHECKING:
    from nowserving.protocol.handle import TicketHandle
    from tests.process.conftest import Measured
    from tests.support.redis_server import RedisServer

MANY = 8000
ROOM = 60.0  # milliseconds; it takes 1 to 4 here, and took 84 when all was done in one step


async def crowd(store: LockStore, lifetime: float = 60.0) -> list[TicketHandle]:
    """Have many stand in the line of "c"."""
    queue = store._runtime.queue
    handles = [queue.handle("c") for _ in range(MANY)]
    admission = Admission(lifetime=lifetime)
    await asyncio.gather(*(queue.take(handle, admission) for handle in handles))
    return handles


class Slowest:
    """How long Redis was held up by one call at the most, in milliseconds."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        server.cli("CONFIG", "SET", "slowlog-log-slower-than", "500")
        server.cli("CONFIG", "SET", "slowlog-max-len", "10000")
        server.cli("SLOWLOG", "RESET")

    def milliseconds(self) -> float:
        entries = self._server.cli("SLOWLOG", "GET", "10000")
        return max((entry[2] / 1000 for entry in entries), default=0.0)


VERBS = ["latest", "limit", "leave by owner", "line", "save", "delete", "all have expired"]


@pytest.mark.parametrize("verb", VERBS)
async def test_a_verb(server: RedisServer, store: LockStore, measured: Measured, verb: str) -> None:
    queue = store._runtime.queue
    handles = await crowd(store, 4.0 if verb == "all have expired" else 60.0)
    picture = await asyncio.to_thread(store.get_lock, "c")
    assert picture is not None
    assert len(picture.tickets) == MANY
    another = queue.handle("c")
    if verb == "all have expired":
        await asyncio.sleep(4.1)
    slowest = Slowest(server)
    if verb == "latest":
        assert (await queue.take(another, Admission(60.0, when_busy="latest"))).number == MANY
    elif verb == "limit":
        refused = await queue.take(another, Admission(60.0, max_waiting=MANY - 1))
        assert refused.state is State.BUSY
    elif verb == "leave by owner":
        unknown: Any = handles[MANY // 2]
        unknown.number, unknown.take = -1, handles[0].take  # type: ignore[attr-defined]
        assert (await queue.leave(unknown, "abandoned")).left
    elif verb == "line":
        await asyncio.to_thread(store.get_lock, "c")
    elif verb == "save":
        await asyncio.to_thread(store.save_lock, picture)
    elif verb == "delete":
        await asyncio.to_thread(store.delete_lock, "c")
        assert await asyncio.to_thread(store.get_lock, "c") is None
    else:
        async with store.lock("c", timeout=5.0) as lock:
            assert lock.ticket >= MANY
    await asyncio.sleep(0.3)  # what is left over is swept
    measured("milliseconds", slowest.milliseconds())
    assert slowest.milliseconds() < ROOM


async def test_all_who_are_superseded_are_told_soon(
    server: RedisServer, measured: Measured
) -> None:
    async with LockStore.create(server.url()) as store:
        turns = Turns(store)
        async with store.lock("c"):
            turns.start(1000, wait=30.0)
            await turns.until_in_line(1001)
            began = time.monotonic()
            newest = turns.start(when_busy="latest")
            while len(turns.errors) < 1000:
                assert time.monotonic() - began < 10.0, len(turns.errors)
                await asyncio.sleep(0.01)
            measured("seconds", time.monotonic() - began)
        await asyncio.gather(*newest)
    assert {type(error) for error in turns.errors} == {LockSuperseded}


async def test_all_who_are_superseded_beside_the_absorbed_are_answered_for(
    server: RedisServer, store: LockStore
) -> None:
    """They are taken out one by one, in several calls."""
    queue = store._runtime.queue
    holder, absorbed = queue.handle("c"), queue.handle("c")
    for handle in (holder, absorbed):
        await queue.take(handle, Admission(60.0))
    assert [one.number for one in (await queue.absorb(holder, 1)).tickets] == [1]
    others = [queue.handle("c") for _ in range(700)]
    await asyncio.gather(*(queue.take(handle, Admission(60.0)) for handle in others))
    slowest = Slowest(server)
    newest = queue.handle("c")
    await queue.take(newest, Admission(60.0, when_busy="latest"))
    assert slowest.milliseconds() < ROOM
    superseded = await queue.superseded(newest)
    assert list(superseded) == [handle.number for handle in others]
    assert superseded.count == len(others)
    assert server.cli("HEXISTS", "lock:{c}", "a:next") == 0
    assert (await queue.leave(holder, "done")).someone_waiting


async def test_whoever_is_superseded_in_a_call_that_nobody_goes_on_with(
    server: RedisServer, store: LockStore
) -> None:
    """The process that sent the newer message has died; the next one answers for them."""
    queue: Any = store._runtime.queue
    holder, absorbed = queue.handle("c"), queue.handle("c")
    for handle in (holder, absorbed):
        await queue.take(handle, Admission(60.0))
    await queue.absorb(holder, 1)
    others = [queue.handle("c") for _ in range(700)]
    await asyncio.gather(*(queue.take(handle, Admission(60.0)) for handle in others))
    dead = ("take", queue.handle("c").owner, 60_000_000, "c", "l", -1, "-", "-", "0")
    call = queue.connections.here().session.call(queue.key("c"), dead)
    assert (await call.future).lstrip("+").startswith("?")
    newest = queue.handle("c")
    await queue.take(newest, Admission(60.0, when_busy="latest"))
    assert list(await queue.superseded(newest)) == [handle.number for handle in others]
    assert server.cli("HEXISTS", "lock:{c}", "a:next") == 0
