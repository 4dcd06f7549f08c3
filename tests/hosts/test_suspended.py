"""A machine that was suspended: the monotonic clock stood still, every ticket has aged.

Nobody suspends the machine of the tests, so the clock that counts sleep is moved, and it alone.
"""

from __future__ import annotations

import sys

import pytest

from tests.support import programs

PROGRAM = """
import asyncio, time

slept, real = 0.0, time.clock_gettime
time.clock_gettime = lambda clock: real(clock) + (slept if clock == time.CLOCK_BOOTTIME else 0.0)

from nowserving import LockStore, LockLost

store = LockStore.create(sys.argv[1])
with store.lock("c", 60) as lock:
    assert not lock.lost
    slept += 61.0
    assert lock.lost, "it looks alive on waking"

async def main():
    async with store.lock("d", 60, 0.1) as lock:
        global slept
        slept += 61.0
        assert lock.lost

asyncio.run(main())
store.close()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="CLOCK_BOOTTIME is Linux's")
def test_a_lease_counts_the_sleep(url: str) -> None:
    ended = programs.run(PROGRAM, url, within=20.0, warnings="ignore")
    assert ended.status == 0, ended.err
