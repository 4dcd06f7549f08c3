"""Something between us and Redis says more than Redis did: nobody gets somebody else's answer."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from nowserving import LockStore, LockTimeout, StoreUnavailable
from tests.support.crew import assert_exact
from tests.support.tasks import Turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.support.proxy import Proxy
    from tests.support.redis_server import RedisServer


def text(*parts: str) -> bytes:
    return b"".join(b"$%d\r\n%b\r\n" % (len(part), part.encode()) for part in parts)


def texts(*parts: str) -> bytes:
    return b"*%d\r\n%b" % (len(parts), text(*parts))


SERVED = "S 0 0 30000000 30000000 1800000000000000 none"
FRAMES = {
    "what was said before": None,
    "a simple text": b"+OK\r\n",
    "a number": b":1\r\n",
    "nothing": b"$-1\r\n",
    "no list": b"*-1\r\n",
    "an empty list": b"*0\r\n",
    "a text": text(SERVED),
    "no number": texts(SERVED),
    "another number": texts(SERVED, "1"),
    "two replies": texts(SERVED, SERVED, "1"),
    "no text in it": b"*2\r\n:1\r\n" + text("1"),
    "no protocol": b"?\r\n",
}


@pytest.fixture
async def behind(proxy: Proxy) -> AsyncIterator[LockStore]:
    """A store behind the proxy that has connected already."""
    async with LockStore.create(proxy.url(socket_timeout=2)) as store:
        async with store.lock("warm-up", 1.0):
            pass
        yield store


def sharing_with(name: str, store: LockStore) -> str:
    """Return another conversation whose calls go over the same connection."""
    queue: Any = store._runtime.queue
    half = hash(queue.key(name)) & 1
    return next(f"d{i}" for i in range(100) if hash(queue.key(f"d{i}")) & 1 == half)


async def until(what: Callable[[], bool]) -> None:
    over = time.monotonic() + 3.0
    while not what():
        assert time.monotonic() < over
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("name", FRAMES)
async def test_a_frame_before_the_reply_to_a_take(
    server: RedisServer, proxy: Proxy, behind: LockStore, name: str
) -> None:
    async with LockStore.create(server.url()) as direct, direct.lock("c"):
        # What is answered last over the same connection is the take of another conversation.
        async with behind.lock(sharing_with("c", behind)):
            connections = proxy.connections
            proxy.inject("take", FRAMES[name])
            with pytest.raises(LockTimeout):
                async with behind.lock("c", timeout=0.5):
                    pytest.fail("somebody else holds it")
        assert proxy.connections > connections
    turns = Turns(behind)
    turns.start(5, hold=0.001)
    await turns.finish()
    assert not turns.errors
    assert_exact(turns.done)


async def test_frames_among_many_turns(proxy: Proxy, behind: LockStore) -> None:
    turns = Turns(behind)
    turns.start(60, hold=0.002)
    for frame in (*FRAMES.values(), *FRAMES.values()):
        proxy.inject("leave", frame)
        await asyncio.sleep(0.01)
    await turns.finish()
    assert not turns.errors
    assert_exact(turns.done)
    assert len(turns.done) == 60


async def test_an_error_that_is_not_ours_costs_one_call(proxy: Proxy, behind: LockStore) -> None:
    connections = proxy.connections
    proxy.inject("take", b"-ERR made up\r\n")
    with pytest.raises(StoreUnavailable, match="made up"):
        async with behind.lock("c"):
            pass
    await until(lambda: proxy.connections > connections)
    turns = Turns(behind)
    turns.start(5)
    await turns.finish()
    assert not turns.errors


@pytest.mark.parametrize("name", [name for name, frame in FRAMES.items() if frame is not None])
async def test_a_frame_that_nobody_waits_for(
    proxy: Proxy, behind: LockStore, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    connections = proxy.connections
    proxy.say(FRAMES[name] or b"", to_subscriptions=False)
    await asyncio.sleep(0.1)
    async with behind.lock("c", timeout=2.0) as lock:
        assert not lock.lost
    assert proxy.connections > connections
    told = [record.getMessage() for record in caplog.records]
    assert len([each for each in told if "does not serve" in each]) <= 1


PUSHES: dict[str, Callable[[str, str], bytes]] = {
    "a simple text": lambda *_: b"+OK\r\n",
    "a number": lambda *_: b":1\r\n",
    "an empty list": lambda *_: b"*0\r\n",
    "no message": lambda channel, _: texts("notice", channel),
    "to another channel": lambda _, owner: texts("message", "lock:inbox:x", f"{owner} {SERVED}"),
    "a number in it": lambda channel, _: b"*3\r\n" + text("message", channel) + b":1\r\n",
    "of no kind": lambda channel, owner: texts("message", channel, f"{owner} Z"),
    "half a status": lambda channel, owner: texts("message", channel, f"{owner} S 0 now"),
}


@pytest.mark.parametrize("name", PUSHES)
async def test_a_push_that_makes_no_sense(
    server: RedisServer, proxy: Proxy, behind: LockStore, name: str
) -> None:
    async def enter() -> None:
        async with behind.lock("c", wait_time_in_seconds=30.0):
            pass

    inbox = behind._runtime.queue.connections.here().inbox  # type: ignore[union-attr]
    async with LockStore.create(server.url()) as direct:
        async with direct.lock("c"):
            subscriptions = proxy.subscriptions
            waiting = asyncio.create_task(enter())
            await until(lambda: bool(inbox._bells.handles))
            frame = PUSHES[name](inbox._channel, *inbox._bells.handles)
            await asyncio.sleep(0.1)
            proxy.say(frame, to_subscriptions=True)
            await until(lambda: proxy.subscriptions > subscriptions)
            await asyncio.sleep(0.1)
            assert not waiting.done()
        # Told by a push over the new subscription: nobody polls for so long.
        await asyncio.wait_for(waiting, 5.0)
