"""Event loops and stores that nobody closes: what they had ends with them, and does not pile up."""

from __future__ import annotations

import asyncio
import textwrap
import time
from typing import TYPE_CHECKING

import pytest

from tests.support import programs

if TYPE_CHECKING:
    from nowserving import LockStore
    from tests.support.redis_server import RedisServer

PRELUDE = """
import asyncio, gc, os, threading
import redis
from nowserving import LockStore

url, port = sys.argv[1], int(sys.argv[2])
admin = redis.Redis(port=port)

def clients():
    return admin.info("clients")["connected_clients"] - 1

def descriptors():
    return len(os.listdir("/dev/fd"))

def threads():
    return threading.active_count()

def until(what):
    over = time.monotonic() + 2.0
    while not what():
        assert time.monotonic() < over, (clients(), descriptors(), threads())
        time.sleep(0.02)

async def take_a_turn(store):
    async with store.lock("c"):
        await asyncio.sleep(0)
"""

ONE_STORE = 5
"""The most connections of a store: an event loop has three or four, a renewing store a few more."""

JOBS = {
    "dropped": """
        def job():
            loop = asyncio.new_event_loop()
            loop.run_until_complete(take_a_turn(store))
    """,
    "closed": """
        def job():
            loop = asyncio.new_event_loop()
            loop.run_until_complete(take_a_turn(store))
            loop.close()
    """,
    "dropped in threads": """
        def job():
            def run():
                asyncio.new_event_loop().run_until_complete(take_a_turn(store))
            thread = threading.Thread(target=run)
            thread.start()
            thread.join()
    """,
}


@pytest.mark.parametrize("job", JOBS)
def test_a_loop_for_each_job(clean_redis: RedisServer, renewed_or_not: str, job: str) -> None:
    program = f"""
store = LockStore.create(url)
job()
gc.collect()
before = descriptors(), threads()
most = 0
for _ in range(60):
    job()
    most = max(most, clients())
assert most <= 12, f"{{most}} connections"
gc.collect()
until(lambda: clients() <= {ONE_STORE})
until(lambda: descriptors() <= before[0] + 4 and threads() <= before[1] + 1)
store.close()
last_line()
"""
    run(clean_redis, renewed_or_not, JOBS[job], program)


USES = {
    "in a thread": """
        def use(store):
            with store.lock("c"):
                pass
    """,
    "in a loop": """
        def use(store):
            asyncio.run(take_a_turn(store))
    """,
    "in a loop that goes on": """
        loop = asyncio.new_event_loop()
        def use(store):
            loop.run_until_complete(take_a_turn(store))
    """,
    "in both": """
        loop = asyncio.new_event_loop()
        def use(store):
            loop.run_until_complete(take_a_turn(store))
            with store.lock("c"):
                store.is_someone_waiting("c")
    """,
}


@pytest.mark.parametrize("use", USES)
def test_a_store_for_each_job(clean_redis: RedisServer, renewed_or_not: str, use: str) -> None:
    """As Rasa makes one whenever it is given another model."""
    program = f"""
use(LockStore.create(url))
gc.collect()
before = descriptors(), threads()
for _ in range(12):
    use(LockStore.create(url))
gc.collect()
if "loop" in globals():
    loop.run_until_complete(asyncio.sleep(0.2))
until(lambda: clients() <= {ONE_STORE})
until(lambda: descriptors() <= before[0] + {ONE_STORE} and threads() <= before[1] + 1)
if "loop" in globals():
    loop.close()
last_line()
"""
    run(clean_redis, renewed_or_not, USES[use], program)


TURNS = {
    "sync": """
        with LockStore.create(url).lock("c", 0.5, auto_renew=True) as lock:
            gc.collect()
            time.sleep(1.5)
            check(lock)
    """,
    "async": """
        async def main():
            async with LockStore.create(url).lock("c", 0.5, auto_renew=True) as lock:
                gc.collect()
                await asyncio.sleep(1.5)
                check(lock)
        asyncio.run(main())
    """,
}


@pytest.mark.parametrize("turn", TURNS)
def test_a_turn_outlives_the_name_of_its_store(
    clean_redis: RedisServer, url: str, turn: str
) -> None:
    check = """
other = LockStore.create(url)
def check(lock):
    assert not lock.lost
    assert url.startswith("memory") or other.is_someone_waiting("c")
"""
    end = """
assert other.get_lock("c") is None
other.close()
last_line()
"""
    run(clean_redis, url, check, TURNS[turn], end)


def run(server: RedisServer, url: str, *parts: str) -> None:
    program = "".join(map(textwrap.dedent, (PRELUDE, *parts)))
    ended = programs.run(program, url, server.port, warnings="ignore")
    assert ended.status == 0, ended.err
    assert "nowserving" not in ended.err  # asyncio may complain of loops that nobody has closed
    assert ended.to_exit < 2.0


@pytest.mark.parametrize("renewed", [False, True])
def test_a_closed_loop_gives_back_the_ticket_of_a_turn_that_somebody_still_has(
    each: LockStore, *, renewed: bool
) -> None:
    """No collector helps here; and a ticket that is renewed would be so for ever."""
    loop = asyncio.new_event_loop()
    turn = each.lock("c", 60.0, auto_renew=renewed)
    lock = loop.run_until_complete(turn.__aenter__())
    assert each.is_someone_waiting("c")
    loop.close()
    give_up = time.monotonic() + 10.0
    while each.is_someone_waiting("c"):
        assert time.monotonic() < give_up
        time.sleep(0.01)
    del turn, lock  # until now nobody has dropped them
