"""Why a ticket is gone, as every queue answers it: by push, by poll, by renewal and by leave."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from nowserving import TicketLock
from nowserving.protocol.queue import status_of
from nowserving.protocol.status import Admission, State
from tests.conformance.stores import STORES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from nowserving import LockStore
    from nowserving.protocol.handle import TicketHandle
    from nowserving.protocol.queue import TicketQueue
    from nowserving.protocol.status import TicketStatus
    from tests.support.redis_server import RedisServer

SHORT, LONG = 0.2, 60.0


@pytest.fixture(params=STORES)
async def queue(
    request: pytest.FixtureRequest, redis_server: RedisServer
) -> AsyncIterator[TicketQueue[Any]]:
    store: LockStore = STORES[request.param](redis_server)()
    async with store:
        yield store._runtime.queue


async def delete(queue: TicketQueue[Any], handle: TicketHandle) -> str:
    await queue.delete(handle.conversation_id)
    return "released"


async def save(queue: TicketQueue[Any], handle: TicketHandle) -> str:
    picture = TicketLock(handle.conversation_id)
    picture.seen_below = handle.number + 1
    await queue.save(picture)
    return "released"


async def finish(queue: TicketQueue[Any], handle: TicketHandle) -> str:
    await queue.finish(handle.conversation_id, handle.number, handle.owner, keep=False)
    return "released"


async def expire(queue: TicketQueue[Any], handle: TicketHandle) -> str:
    (status,) = await queue.renew([(handle, SHORT)])
    assert not isinstance(status, Exception)
    await asyncio.sleep(2 * SHORT)
    return "expired"


async def expire_and_be_passed(queue: TicketQueue[Any], handle: TicketHandle) -> str:
    why = await expire(queue, handle)
    await queue.line(handle.conversation_id)
    await queue.take(queue.handle(handle.conversation_id), Admission(lifetime=LONG))
    return why


async def renewed(queue: TicketQueue[Any], handle: TicketHandle) -> TicketStatus:
    (status,) = await queue.renew([(handle, LONG)])
    assert not isinstance(status, Exception)
    return status


async def asked(queue: TicketQueue[Any], handle: TicketHandle) -> TicketStatus:
    return await status_of(queue, handle)


async def polled(queue: TicketQueue[Any], handle: TicketHandle) -> TicketStatus:
    handle.clear_line_version()
    return (await queue.poll(handle.conversation_id, [handle])).news[handle.owner]


WAYS: list[Callable[[TicketQueue[Any], TicketHandle], Any]] = [renewed, asked, polled]


@pytest.mark.parametrize("end", [delete, save, finish, expire, expire_and_be_passed])
@pytest.mark.parametrize("ahead", [0, 1])
async def test_whoever_asks_is_told_why(
    queue: TicketQueue[Any],
    ahead: int,
    end: Callable[[TicketQueue[Any], TicketHandle], Any],
    request: pytest.FixtureRequest,
) -> None:
    """However it asks, and as often as it likes; its leave is told the same."""
    name = request.node.name
    try:
        for _ in range(ahead):
            await queue.take(queue.handle(name), Admission(lifetime=LONG))
        handle = queue.handle(name)
        status = await queue.take(handle, Admission(lifetime=LONG))
        assert status.state is (State.WAITING if ahead else State.SERVED)
        why = await end(queue, handle)
        for ask in 2 * WAYS:
            answer = await ask(queue, handle)
            assert (answer.state, answer.detail) == (State.GONE, why)
        departure = await queue.leave(handle, "done")
        assert (departure.left, departure.why) == (False, why)
    finally:
        await queue.delete(name)
