"""How long ``store.survey`` takes, and what it costs a turn beside it.

``python -m benchmarks.survey`` fills a store of each kind with conversations in use, surveys it a
few times, and meanwhile takes turns: in another process, or in the same one where the lines are in
memory. ``--url`` measures any other store, which should be empty: what was filled in expires.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import multiprocessing
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.own_redis import own_redis
from nowserving import LockStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from multiprocessing.connection import Connection

_LIFETIME = 600.0
"""Seconds that what is filled in lives."""

_AT_ONCE = 500
_SURVEYS = 5
_ALONE = 1.5
"""Seconds for which turns are taken with nothing beside them."""


class Turns(NamedTuple):
    """How long turns took.

    Attributes:
        median: Seconds.
        slow: Seconds that one of 100 took, or more.
        slowest: Seconds.
    """

    median: float
    slow: float
    slowest: float

    @classmethod
    def of(cls, seconds: list[float]) -> Turns:
        """Sum them up."""
        centiles = statistics.quantiles(seconds, n=100)
        return cls(statistics.median(seconds), centiles[98], max(seconds))

    def __str__(self) -> str:
        figures = (self.median, self.slow, self.slowest)
        return "median {:.3f} ms, 99 % within {:.3f} ms, slowest {:.2f} ms".format(
            *(1000 * seconds for seconds in figures)
        )


async def _fill(store: LockStore, conversations: int) -> None:
    """Have somebody in so many conversations: mostly one, in each hundredth six."""
    names = (f"user-{number}" for number in range(conversations))
    tickets = (name for place, name in enumerate(names) for _ in range(1 if place % 100 else 6))
    while some := list(itertools.islice(tickets, _AT_ONCE)):
        await asyncio.gather(*(store.take_ticket(name, lock_lifetime=_LIFETIME) for name in some))


async def _take_turns(store: LockStore, seconds: list[float]) -> None:
    for number in itertools.count():
        began = time.perf_counter()
        async with store.lock(f"beside-{number % 16}"):
            pass
        seconds.append(time.perf_counter() - began)
        await asyncio.sleep(0.0005)


# Turns of another process


def _other_process(url: str, pipe: Connection) -> None:
    asyncio.run(_serve(url, pipe))


async def _serve(url: str, pipe: Connection) -> None:
    loop = asyncio.get_running_loop()
    async with LockStore.create(url) as store, _turns_of(store) as taken:
        pipe.send(None)
        while await loop.run_in_executor(None, pipe.recv):
            pipe.send(taken())


@contextlib.asynccontextmanager
async def _turns_of(store: LockStore) -> AsyncIterator[_Taken]:
    taken = _Taken()
    task = asyncio.ensure_future(_take_turns(store, taken.seconds))
    try:
        yield taken
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


class _Taken:
    """Tells of the turns since it was asked last."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self) -> Turns:
        turns = Turns.of(self.seconds)
        self.seconds.clear()
        return turns


@contextlib.contextmanager
def _beside(url: str) -> Iterator[_Asked]:
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_other_process, args=(url, theirs), daemon=True
    )
    process.start()
    ours.recv()
    try:
        yield _Asked(ours)
    finally:
        ours.send(False)  # noqa: FBT003 - the end
        process.join()


class _Asked:
    """Asks another process for its turns since it was asked last."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def __call__(self) -> Turns:
        self._pipe.send(True)  # noqa: FBT003 - go on
        turns: Turns = self._pipe.recv()
        return turns


# What is measured


async def _measure(url: str, conversations: int) -> None:
    print(f"\n{url.partition(':')[0]}, {conversations:,} conversations in use")  # noqa: T201
    async with LockStore.create(url) as store:
        await _fill(store, conversations)
        if not store.guarantees.cross_process:
            async with _turns_of(store) as taken:
                await _survey(store, taken)
            return
        with _beside(url) as asked:
            await _survey(store, asked)


async def _survey(store: LockStore, turns: _Taken | _Asked) -> None:
    await asyncio.sleep(0.2)
    turns()
    await asyncio.sleep(_ALONE)
    alone, took = turns(), []
    seen = await store.survey()
    for _ in range(_SURVEYS):
        began = time.perf_counter()
        seen = await store.survey()
        took.append(time.perf_counter() - began)
    beside = turns()
    print(  # noqa: T201 - what the command is for
        f"  a survey       median {statistics.median(took):.2f} s of {_SURVEYS}, "
        f"{min(took):.2f} to {max(took):.2f} s; saw {seen.conversations:,} in use, "
        f"{seen.waiting:,} waiting\n"
        f"  turns alone    {alone}\n  turns beside   {beside}"
    )


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--conversations", type=int, default=100_000)
    parser.add_argument("--only", choices=("memory", "sqlite", "redis"), help="one kind")
    parser.add_argument("--url", help="another store, as LockStore.create takes it")
    options = parser.parse_args()
    if options.url:
        asyncio.run(_measure(options.url, options.conversations))
        return
    with tempfile.TemporaryDirectory(prefix="nowserving-survey-") as folder, own_redis() as redis:
        urls = {
            "memory": "memory://",
            "sqlite": f"sqlite:///{Path(folder) / 'locks.db'}",
            "redis": redis,
        }
        for kind, url in urls.items():
            if options.only in {None, kind}:
                asyncio.run(_measure(url, options.conversations))


if __name__ == "__main__":
    main()
