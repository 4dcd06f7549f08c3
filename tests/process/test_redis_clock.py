"""The clock of Redis is set back, or forward, by an hour.

Nobody can set it here, so the moments in the record are moved the other way: what a script reads is
the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import time
from typing import TYPE_CHECKING, Any

from tests.support.crew import Worker, until
from tests.support.worker import TurnJob

if TYPE_CHECKING:
    from nowserving import LockStore
    from tests.process.conftest import Measured
    from tests.support.redis_server import RedisServer

HOUR = 3600 * 1_000_000
LIFETIME = 1.5
ROOM = 1.0
KEY = "lock:{c}"
_MOMENT = re.compile(r"\b1[78]\d{14}\b")  # in microseconds, in these years
_IN_MS = re.compile(r"\b1[78]\d{11}\b")


def set_clock(server: RedisServer, by: int) -> None:
    """Let Redis see all moments in the record as if its clock had been set by so much."""
    with contextlib.closing(server.client(db=1)) as client:
        fields: Any = client.hgetall(KEY)
        for name, text in fields.items():
            if name in {"token", "version"}:
                continue  # these only grow
            moved = _MOMENT.sub(lambda found: str(int(found.group()) - by), text)
            moved = _IN_MS.sub(lambda found: str(int(found.group()) - by // 1000), moved)
            client.hset(KEY, name, moved)
        client.persist(KEY)
        client.pexpire(KEY, 3_700_000)


async def test_set_back_a_killed_holders_ticket_keeps_its_lifetime(
    server: RedisServer, store: LockStore, measured: Measured
) -> None:
    def die() -> None:
        job = TurnJob(hold=60.0, lifetime=LIFETIME)
        with Worker(server.url(), job) as worker:
            worker.wait_for("entered")
            worker.signal(signal.SIGKILL)

    await asyncio.to_thread(die)
    set_clock(server, -HOUR)
    began = time.monotonic()
    async with store.lock("c", timeout=10):
        took = time.monotonic() - began
    measured("seconds", took)
    assert took < LIFETIME + ROOM


async def test_set_back_under_a_line_that_lives(server: RedisServer, store: LockStore) -> None:
    """Holder and waiter, renewed and not, go on; nobody is lost."""
    for renewed in (False, True):
        async with store.lock("c", 30, auto_renew=renewed) as lock:

            async def wait(renewed: bool = renewed) -> int:  # noqa: FBT001 - bound here
                async with store.lock("c", 30, 0.2, auto_renew=renewed) as mine:
                    return mine.ticket

            waiter = asyncio.create_task(wait())
            await asyncio.to_thread(until, lambda: len(tickets(store)) == 2)
            set_clock(server, -HOUR)
            await asyncio.sleep(0.5)
            assert not lock.lost
            assert all(30 - 5 < expires - time.time() <= 31 for expires in tickets(store))
        assert await waiter == lock.ticket + 1


def tickets(store: LockStore) -> list[float]:
    lock = store.get_lock("c")
    return [] if lock is None else [ticket.expires for ticket in lock.tickets]


async def test_set_forward_the_holder_learns_at_the_next_poll(
    server: RedisServer, store: LockStore
) -> None:
    async with store.lock("c", 30, 0.2) as lock:
        await asyncio.sleep(0.3)
        assert not lock.lost
        set_clock(server, HOUR)
        await asyncio.wait_for(lock.lost_event.wait(), 0.2 + ROOM)
        assert lock.lost
