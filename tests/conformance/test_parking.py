"""What a line does with a ticket that is parked, in the very moment in which something else is."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any

import pytest

from nowserving.protocol.queue import status_of
from nowserving.protocol.status import ALIVE, Admission, IssuedTicket, State
from tests.conformance.stores import STORES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from nowserving import LockStore
    from nowserving.protocol.handle import TicketHandle
    from nowserving.protocol.queue import TicketQueue
    from nowserving.protocol.status import TicketStatus
    from tests.support.redis_server import RedisServer

SHORT, LONG = 0.2, 60.0


@pytest.fixture(params=["memory", "redis", "sqlite"])
async def store(
    request: pytest.FixtureRequest, redis_server: RedisServer
) -> AsyncIterator[LockStore]:
    store: LockStore = STORES[request.param](redis_server)()
    async with store:
        yield store


@pytest.fixture
async def queue(store: LockStore) -> TicketQueue[Any]:
    return store._runtime.queue


class Line:
    """A conversation in which a first ticket is held, and a second one was issued."""

    def __init__(self, queue: TicketQueue[Any]) -> None:
        self.queue = queue
        self.name = f"parked-{secrets.token_hex(6)}"

    async def begin(self) -> None:
        self.holder, _ = await self.take()
        issued = self.queue.handle(self.name, "secret")
        await self.queue.take(issued, Admission(LONG, claimed=False))
        self.ticket = IssuedTicket(1, "secret")

    async def take(self, **how: Any) -> tuple[TicketHandle, TicketStatus]:
        handle = self.queue.handle(self.name)
        return handle, await self.queue.take(handle, Admission(LONG, **how))

    async def park(self, handle: TicketHandle, lifetime: float = LONG) -> TicketStatus:
        return await self.queue.park(handle, self.ticket, lifetime)


@pytest.fixture
async def line(queue: TicketQueue[Any]) -> Line:
    line = Line(queue)
    await line.begin()
    return line


async def test_served_in_the_moment_of_parking_it_stays_at_the_head(line: Line) -> None:
    redeemer, status = await line.take(redeem=line.ticket)
    behind, _ = await line.take()
    assert status.state is State.WAITING
    await line.queue.leave(line.holder, "done")
    status = await line.park(redeemer)
    assert (status.state, status.ahead) == (State.SERVED, 0)
    again, status = await line.take(redeem=line.ticket)
    assert (status.state, status.predecessor) == (State.SERVED, "done")
    await line.queue.leave(again, "done")
    status = await status_of(line.queue, behind)
    assert status.state is State.SERVED


async def test_at_the_head_it_blocks_the_line_for_its_lifetime_only(line: Line) -> None:
    redeemer, _ = await line.take(redeem=line.ticket)
    behind, _ = await line.take()
    await line.queue.leave(line.holder, "done")
    await line.park(redeemer, SHORT)
    status = await status_of(line.queue, behind)
    assert status.state is State.WAITING
    assert 0 < status.blocked_for <= SHORT
    await asyncio.sleep(2 * SHORT)
    status = await status_of(line.queue, behind)
    assert (status.state, status.predecessor) == (State.SERVED, "expired")


async def test_said_again_it_finds_the_ticket_parked(line: Line) -> None:
    redeemer, _ = await line.take(redeem=line.ticket)
    for _ in range(3):
        status = await line.park(redeemer)
        assert (status.state, status.ahead) == (State.WAITING, 1)
    await line.take(redeem=line.ticket)
    status = await line.park(redeemer)  # somebody else's by now
    assert (status.state, status.detail) == (State.GONE, "")


async def test_whoever_has_parked_it_can_do_nothing_to_it_any_more(line: Line) -> None:
    redeemer, _ = await line.take(redeem=line.ticket)
    await line.park(redeemer)
    assert not (await line.queue.leave(redeemer, "done")).left
    (answer,) = await line.queue.renew([(redeemer, 2 * LONG)])
    assert getattr(answer, "state", None) is State.GONE
    _, status = await line.take(redeem=line.ticket)
    assert status.state in ALIVE


async def test_an_interrupted_ticket_stays_so(line: Line) -> None:
    redeemer, _ = await line.take(redeem=line.ticket)
    await line.queue.leave(line.holder, "done")
    await line.take(when_busy="interrupt")
    assert (await line.park(redeemer)).state is State.INTERRUPTED
    _, status = await line.take(redeem=line.ticket)
    assert status.state is State.INTERRUPTED


async def test_one_that_expired_is_not_parked(line: Line) -> None:
    redeemer = line.queue.handle(line.name)
    await line.queue.take(redeemer, Admission(SHORT, redeem=line.ticket))
    await asyncio.sleep(2 * SHORT)
    status = await line.park(redeemer)
    assert (status.state, status.detail) == (State.GONE, "expired")


async def test_a_ticket_is_given_back_once_and_only_if_nobody_has_redeemed_it(
    store: LockStore, line: Line
) -> None:
    redeemer, _ = await line.take(redeem=line.ticket)
    assert not await store.give_back(line.name, line.ticket)
    await line.park(redeemer)
    assert not await store.give_back(line.name, "1.guessed")
    assert await store.give_back(line.name, line.ticket)
    assert not await store.give_back(line.name, line.ticket)
