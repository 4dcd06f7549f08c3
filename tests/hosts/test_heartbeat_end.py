"""A heartbeat that is about to beat when its store is closed beats no more, and says nothing."""

from __future__ import annotations

import pytest

from tests.support import programs

PROGRAM = """
import asyncio, contextlib, logging, random
from nowserving import LockError, LockStore

url, stores, way, lifetime = sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4])
logging.disable()  # on a busy machine such a short lease may end

def hold():
    return random.uniform(0.2, 0.4) * lifetime

def threads():
    with contextlib.suppress(LockError), LockStore.create(url) as store:
        with store.lock("c", lifetime, auto_renew=True):
            time.sleep(hold())

async def tasks():
    with contextlib.suppress(LockError):
        async with LockStore.create(url) as store, store.lock("c", lifetime, auto_renew=True):
            await asyncio.sleep(hold())

async def work():
    for _ in range(stores):
        await tasks()

if way == "tasks":
    asyncio.run(work())
else:
    for _ in range(stores):
        threads()
"""


@pytest.mark.parametrize("way", ["threads", "tasks"])
def test_a_store_is_closed_when_its_heart_beats(way: str) -> None:
    """In memory, where a close is quick: over Redis some hundred closes show nothing."""
    programs.run(PROGRAM, "memory://", 2000, way, 0.009, within=60.0).quietly()
