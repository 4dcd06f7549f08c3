"""Random histories of absorbing: each message is handled once, or whoever sent it is told."""

from __future__ import annotations

import asyncio
import contextlib
import random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from nowserving import SQLiteLockStore
from nowserving.stores.memory import queue as memory_queue
from nowserving.stores.redis import queue as redis_queue
from nowserving.stores.sqlite import access
from tests.conformance.histories import History
from tests.conformance.stores import STORES
from tests.support import scripts
from tests.support.executables import LONG
from tests.support.tasks import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import redis

    from tests.support.redis_server import RedisServer

_BEGIN = 1_800_000_000
_HISTORIES = {
    "memory": 10_000,
    "sqlite": 10_000 if LONG else 400,
    "redis": 10_000 if LONG else 150,
    "redis, in small pieces": 10_000 if LONG else 100,
}


class _Clock:
    """A clock in memory."""

    def __init__(self) -> None:
        self.now = float(_BEGIN)

    def advance(self, seconds: float) -> None:
        self.now += seconds


class _RedisClock(_Clock):
    """The one that the script reads."""

    def __init__(self, client: redis.Redis) -> None:
        super().__init__()
        self._client = client
        self.advance(0.0)

    def advance(self, seconds: float) -> None:
        super().advance(seconds)
        scripts.set_clock(self._client, round(self.now * 1_000_000))

    def flush(self) -> None:
        """Have Redis lose everything but the time."""
        self._client.flushdb()
        self.advance(0.0)


@pytest.fixture(params=_HISTORIES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def clock(
    kind: str, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[_Clock]:
    if kind == "memory":
        clock = _Clock()
        monkeypatch.setattr(memory_queue, "monotonic", lambda: clock.now)
        yield clock
        return
    if kind == "sqlite":
        clock = _Clock()
        monkeypatch.setattr(access, "time", SimpleNamespace(time=lambda: clock.now))
        yield clock
        return
    script = scripts.in_small_pieces() if "pieces" in kind else None
    on_our_clock = scripts.on_our_clock(script)
    monkeypatch.setattr(redis_queue, "load_script", lambda: on_our_clock)
    with contextlib.closing(redis_server.client()) as client:
        yield _RedisClock(client)


def test_each_message_is_handled_once_or_its_sender_is_told(
    kind: str, clock: _Clock, redis_server: RedisServer
) -> None:
    flush: Callable[[], None] | None = getattr(clock, "flush", None)

    async def play() -> None:
        async with STORES[kind.partition(",")[0]](redis_server)() as store:
            for seed in range(_HISTORIES[kind]):
                rng = random.Random(seed)
                name = f"history-{seed}"
                history = History(store._runtime.queue, clock, name, rng, flush)
                try:
                    await history.play(rng.randint(3, 30))
                    await history.check()
                except AssertionError as failure:
                    msg = f"in the history with seed {seed}: {failure}"
                    raise AssertionError(msg) from failure

    asyncio.run(play())


@pytest.mark.parametrize("passes", range(4))
async def test_news_that_is_cancelled_as_it_comes_is_cancelled(passes: int, tmp_path: Path) -> None:
    """Up to Python 3.11 ``asyncio.wait_for`` forgets a cancellation that comes with the answer."""
    async with SQLiteLockStore(tmp_path / "locks.db") as store, store.lock("c") as lock:
        ticket: Any = lock._ticket
        news = asyncio.create_task(lock.news())
        await until(lambda: ticket._news is not None)
        ticket._news.set()  # though nobody waits: who came has left again
        for _ in range(passes):
            await asyncio.sleep(0)
        news.cancel()
        await asyncio.wait({news}, timeout=5.0)
        assert news.cancelled()
