"""A lock that one task enters for the body of another, as ``asyncio.wait_for`` did up to 3.11."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from nowserving import LockInterrupted, LockLost, LockStore
from nowserving.testing.harness import log_records

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

    from nowserving._turns.turn import Turn
    from nowserving.errors import LockError
    from nowserving.held import HeldLock

pytestmark = pytest.mark.timeout(20)


@pytest.fixture
async def store(url: str) -> AsyncIterator[LockStore]:
    async with LockStore.create(url) as store:
        yield store


WAYS: dict[str, Callable[[Turn], Awaitable[HeldLock]]] = {
    "wait_for": lambda turn: asyncio.wait_for(turn.__aenter__(), 5.0),
    "a task": lambda turn: asyncio.ensure_future(turn.__aenter__()),
}


async def lose(store: LockStore) -> None:
    await asyncio.to_thread(store.delete_lock, "c")


async def interrupt(store: LockStore) -> None:
    async with store.lock("c", when_busy="interrupt"):
        pass


STOPS: dict[str, tuple[Callable[[LockStore], Any], dict[str, Any], type[LockError]]] = {
    'on_lost="cancel"': (lose, {"on_lost": "cancel"}, LockLost),
    "an interruption": (interrupt, {}, LockInterrupted),
}


async def body(turn: Turn, way: str, ends: list[str], *, uses_it: bool, hold: float) -> None:
    """Hold a lock that another task enters, and note how the work ended."""
    lock = await WAYS[way](turn)
    error: BaseException | None = None
    if uses_it:
        assert not lock.lost
    try:
        await asyncio.sleep(hold)
        ends.append("lost" if lock.lost else "well")
    except asyncio.CancelledError as cancelled:
        ends.append("cancelled")
        error = cancelled
    await turn.__aexit__(None if error is None else type(error), error, None)


async def held_and_stopped(work: asyncio.Task[None], stop: Coroutine[Any, Any, None]) -> None:
    """Stop the work once it holds the lock; whoever stops it gets the next turn."""
    await asyncio.sleep(0.2)
    stopping = asyncio.create_task(stop)
    await asyncio.wait([work], timeout=2.0)
    work.cancel()
    await asyncio.wait([stopping, work], timeout=2.0)
    assert stopping.done()


@pytest.mark.parametrize("how", STOPS)
@pytest.mark.parametrize("way", WAYS)
async def test_its_body_is_stopped(store: LockStore, way: str, how: str) -> None:
    """The body's task is known from the first time that it looks at its lock."""
    stop, options, error = STOPS[how]
    turn = store.lock("c", **options)
    ends: list[str] = []
    began = time.monotonic()
    work = asyncio.create_task(body(turn, way, ends, uses_it=True, hold=5.0))
    await held_and_stopped(work, stop(store))
    assert ends == ["cancelled"]
    assert time.monotonic() - began < 1.5, "it was not stopped before the test did so"
    assert isinstance(work.exception(), error)


ENTERS_IN_THE_BODYS_TASK_SINCE = (3, 12)
IN_A_TASK_OF_ITS_OWN = [
    way for way in WAYS if way != "wait_for" or sys.version_info < ENTERS_IN_THE_BODYS_TASK_SINCE
]


@pytest.mark.parametrize("how", STOPS)
@pytest.mark.parametrize("way", IN_A_TASK_OF_ITS_OWN)
async def test_its_body_cannot_be_known(store: LockStore, way: str, how: str) -> None:
    """It never looked: it is told so when it does, and whoever reads the log at once."""
    stop, options, error = STOPS[how]
    turn = store.lock("c", **options)
    ends: list[str] = []
    with log_records(logging.WARNING) as records:
        work = asyncio.create_task(body(turn, way, ends, uses_it=False, hold=0.6))
        await held_and_stopped(work, stop(store))
    assert ends == ["lost"]
    # However the turn ends: the body has ended by itself.
    assert work.exception() is None or isinstance(work.exception(), error)
    assert len(records) == 1, [record.getMessage() for record in records]


@pytest.mark.parametrize("way", WAYS)
async def test_it_is_left_in_order(store: LockStore, way: str) -> None:
    """The task that entered it has ended: nobody takes the turn for abandoned."""
    turns = [store.lock("c", 0.5, auto_renew=True) for _ in range(3)]
    ends: list[str] = []
    works = [body(turn, way, ends, uses_it=False, hold=0.8) for turn in turns]
    await asyncio.wait_for(asyncio.gather(*works), 10.0)
    assert ends == ["well"] * 3
    assert await asyncio.to_thread(store.get_lock, "c") is None
