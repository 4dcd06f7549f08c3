"""A holder that has absorbed, in another process: killed, and losing what Redis knows."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from nowserving import LockAbsorbed, LockLost, LockStore
from tests.support.crew import environment
from tests.support.places import EVERYWHERE

if TYPE_CHECKING:
    from tests.support.places import Place
    from tests.support.redis_server import RedisServer

_HOLDER = """
import asyncio, sys
from nowserving import LockStore

async def main():
    async with LockStore.create(sys.argv[1]) as store:
        async with store.lock("c", 1.0, auto_renew=True) as lock:
            print("holds", flush=True)
            while len(lock.absorbed) < 2:
                await lock.news()
                await lock.absorb()
            print("absorbed", flush=True)
            await asyncio.to_thread(sys.stdin.readline)

asyncio.run(main())
"""


async def _turn(store: LockStore, message: str) -> str:
    try:
        async with store.lock("c", 20.0, 0.2, message_id=message):
            return "served"
    except LockAbsorbed:
        return "absorbed"


@EVERYWHERE
@pytest.mark.parametrize("killed", [True, False])
def test_messages_that_a_process_has_absorbed(server: Place, *, killed: bool) -> None:
    async def play(holder: subprocess.Popen[str]) -> list[str]:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert await asyncio.to_thread(holder.stdout.readline) == "holds\n"
        async with LockStore.create(server.url()) as store:
            waiters = [asyncio.ensure_future(_turn(store, each)) for each in "ab"]
            assert await asyncio.to_thread(holder.stdout.readline) == "absorbed\n"
            assert not any(waiter.done() for waiter in waiters)
            if killed:
                holder.kill()
            else:
                holder.stdin.write("\n")
                holder.stdin.flush()
            return await asyncio.wait_for(asyncio.gather(*waiters), 10.0)

    command = [sys.executable, "-c", _HOLDER, server.url()]
    with subprocess.Popen(
        command,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        try:
            ends = asyncio.run(play(holder))
        finally:
            holder.kill()
    assert ends == (["served"] * 2 if killed else ["absorbed"] * 2)


def test_what_was_absorbed_by_a_line_that_is_lost(server: RedisServer) -> None:
    async def play() -> None:
        async with LockStore.create(server.url()) as store:
            async with store.lock("c", 20.0, 0.1) as lock:
                waiter = asyncio.ensure_future(_turn(store, "a"))
                await asyncio.wait_for(lock.news(), 5.0)
                assert len(await lock.absorb()) == 1
                server.cli("FLUSHDB")
                with pytest.raises(LockLost):
                    await lock.absorb()
            with pytest.raises(Exception, match="Could not acquire"):  # its sender is told
                await asyncio.wait_for(waiter, 5.0)

    asyncio.run(play())
