"""A replica is promoted that had not received the last tickets, or that the last turn had ended."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, cast

import pytest

from nowserving import LockError, LockStore, RedisLockStore
from nowserving.protocol.status import NOT_ISSUED
from tests.support.crew import assert_exact
from tests.support.sentinel import SentinelSetup
from tests.support.tasks import Turns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.conftest import Told
    from tests.support.redis_server import RedisServer

AN_HOUR = 3600 * 1_000_000  # microseconds


@pytest.fixture
def setup() -> Iterator[SentinelSetup]:
    with SentinelSetup() as setup:
        yield setup


class Resource:
    """What the turns write to: it takes no write with an older token than it has seen."""

    def __init__(self) -> None:
        self.seen = 0
        self.refused: list[int] = []

    def write(self, token: int) -> None:
        if token < self.seen:
            self.refused.append(token)
        else:
            self.seen = token


def run_ahead(server: RedisServer, conversation: str) -> None:
    """Have a record's last token be that of a server whose clock is an hour ahead."""
    key = f"lock:{{{conversation}}}"
    server.cli("HSET", key, "token", int(server.cli("HGET", key, "token")) + AN_HOUR)


async def test_tickets_that_it_missed_are_lost_and_everybody_learns_it(
    setup: SentinelSetup, told: Told
) -> None:
    """The promoted one begins with a number that is held, and its clock is an hour behind."""
    resource = Resource()
    url = setup.url(socket_timeout=8, min_replicas=1)
    async with cast("RedisLockStore", LockStore.create(url)) as store:
        before = Turns(store)
        before.start(3)
        await before.finish()
        assert (store.unconfirmed, told.times("min_replicas")) == (0, 0)
        await asyncio.to_thread(setup.cut_replication)
        run_ahead(setup.primary, "c")

        async with store.lock("c", 60.0, 0.2) as late:
            waiters = Turns(store)
            waiters.start(2, wait=0.2, lifetime=60.0)
            waiters.start(2, wait=0.2, lifetime=60.0, auto_renew=True)
            await waiters.until_in_line(5)
            await until_answered(store)
            assert told.times("min_replicas=1 was not reached") == 1
            shortfalls = store.unconfirmed
            assert shortfalls >= 2  # the holder's take and the waiters', which share round trips

            await asyncio.to_thread(setup.lose_primary)
            promoted = time.monotonic()
            await asyncio.wait_for(late.lost_event.wait(), 10.0)
            await waiters.finish(10.0)
            assert time.monotonic() - promoted < 10.0
            assert late.lost
            assert not waiters.done, "a body ran without a ticket"
            assert [type(error) for error in waiters.errors] == [LockError] * 4

            after = await asyncio.create_task(write(store, resource))
            resource.write(late.fencing_token)
        assert after == late.ticket, "or it was not missed"
        assert resource.refused == [late.fencing_token]

        new = Turns(store)
        new.start(3, hold=0.01)
        await new.finish()
        assert not new.errors
        assert_exact([*before.done, *new.done])
        assert min(turn.token for turn in new.done) > resource.seen > late.fencing_token
        assert store.unconfirmed >= shortfalls + 2, "there is no replica any more"
    assert told.times("min_replicas=1 was not reached") == 1
    assert told.times("does not serve") == 1
    assert told.times("serves again, after") == 1
    assert told.times("was lost") == 1


async def until_answered(store: LockStore) -> None:
    """Wait until all have heard that they are in line; else they would ask anew for a place."""
    give_up = time.monotonic() + 10.0
    while any(lease.handle.number == NOT_ISSUED for lease in store._runtime.live()):
        assert time.monotonic() < give_up
        await asyncio.sleep(0.01)


async def write(store: LockStore, resource: Resource) -> int:
    async with store.lock("c") as lock:
        resource.write(lock.fencing_token)
        return lock.ticket


async def test_an_end_of_a_turn_that_it_missed_costs_one_lifetime_at_most(
    setup: SentinelSetup,
) -> None:
    """It still serves the turn that ended; nobody enters beside the next one, which goes on."""
    lifetime = 5.0
    async with LockStore.create(setup.url(socket_timeout=8)) as store:
        turns = Turns(store)
        turns.start(hold=1.0, wait=0.2, lifetime=lifetime)
        turns.start(hold=3.0, wait=0.2, lifetime=30.0, auto_renew=True)
        turns.start(3, hold=0.05, wait=0.2, lifetime=30.0)
        await turns.until_in_line(5)
        await asyncio.to_thread(setup.replicate)
        await asyncio.to_thread(setup.cut_replication)
        await asyncio.wait_for(turns.tasks[0], 5.0)
        await turns.until_in_line(4)
        await asyncio.to_thread(setup.lose_primary)
        promoted = time.monotonic()
        await turns.finish(30.0)
        assert time.monotonic() - promoted < lifetime + 10.0
        assert not turns.errors
        assert not turns.losses
        assert [turn.number for turn in turns.done] == [0, 1, 2, 3, 4]
        assert_exact(turns.done)
