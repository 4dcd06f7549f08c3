"""One reading for all who look, and none while nobody does."""

from __future__ import annotations

import asyncio
import contextlib
import json
from contextlib import ExitStack
from typing import Any

import pytest

from nowserving import InMemoryLockStore, StoreUnavailable
from nowserving.dashboard import create_app, overview
from nowserving.dashboard.feed import Answer, Feed
from nowserving.dashboard.overview import Overview
from nowserving.dashboard.source import Source
from nowserving.dashboard.streams import Streams

EVERY = 0.05


class Counted:
    """What is read, and how often it was."""

    def __init__(self, takes: float = 0.0) -> None:
        self.read = 0
        self.at_once = 0
        self._takes = takes

    async def __call__(self) -> Answer:
        self.read += 1
        self.at_once += 1
        assert self.at_once == 1
        await asyncio.sleep(self._takes)
        self.at_once -= 1
        return Answer(b"%d" % self.read, self._takes)


async def test_many_followers_cost_no_more_than_one() -> None:
    counted = Counted()
    feed = Feed(counted, EVERY)
    bells = [asyncio.Event() for _ in range(100)]
    with ExitStack() as following:
        for bell in bells:
            following.enter_context(feed.follow(bell))
        await asyncio.sleep(10 * EVERY)
    assert all(bell.is_set() for bell in bells)
    assert 2 <= counted.read <= 12


async def test_nothing_is_read_unless_somebody_follows() -> None:
    counted = Counted()
    feed = Feed(counted, EVERY)
    await asyncio.sleep(2 * EVERY)
    assert not counted.read
    for _ in range(2):  # whoever comes back is told anew
        bell = asyncio.Event()
        with feed.follow(bell):
            await asyncio.wait_for(bell.wait(), 5)
        read = counted.read
        await asyncio.sleep(3 * EVERY)
        assert counted.read == read
        assert feed.newest is None


async def test_a_reading_that_takes_long_is_followed_by_a_pause_as_long() -> None:
    counted = Counted(takes=0.2)
    with Feed(counted, 0.01).follow(asyncio.Event()):
        await asyncio.sleep(1.0)
    assert 1 <= counted.read <= 3


async def test_a_store_that_hangs_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "PATIENCE", 0.05)
    answer, asked = asyncio.Event(), 0

    async def survey() -> dict[str, Any]:
        nonlocal asked
        asked += 1
        await answer.wait()
        return {"waiting": 1, "held": 2, "oldest_wait": None}

    seen = Overview(survey)
    for _ in range(3):
        assert (await seen.read())["trouble"]["why"]
    assert asked == 1
    answer.set()
    assert (await seen.read())["survey"]["held"] == 2
    assert [sample.held for sample in seen.recent] == [None, None, None, 2]


async def test_trouble_is_told_with_when_it_began() -> None:
    async def survey() -> dict[str, Any]:
        raise StoreUnavailable("out for lunch")

    seen = Overview(survey)
    first = (await seen.read())["trouble"]
    await asyncio.sleep(0.02)
    assert (await seen.read())["trouble"] == first
    assert first["why"] == "out for lunch"


def parsed(event: bytes) -> tuple[str, Any]:
    name, _, data = event.decode().strip().partition("\ndata: ")
    return name.removeprefix("event: "), json.loads(data)


async def test_a_stream_tells_of_one_conversation_closely_if_asked() -> None:
    async with InMemoryLockStore() as store, store.lock("c", label="mine"):
        streams = Streams(Source(store))
        events = streams.events({"title": "t"}, "c")
        told = dict([parsed(await anext(events)) for _ in range(3)])
        await events.aclose()
        assert told["hello"]["title"] == "t"
        assert told["survey"]["survey"]["held"] == 1
        assert told["line"]["line"]["holder"]["label"] == "mine"
        assert not streams._lines  # nobody looks at it any more


@pytest.mark.parametrize("steps", range(6))
async def test_a_browser_that_goes_as_news_comes_is_let_go(steps: int) -> None:
    """Up to Python 3.11 ``asyncio.wait_for`` may lose a cancellation that comes with the news."""
    async with InMemoryLockStore() as store:
        streams = Streams(Source(store))

        async def listen() -> None:
            async with contextlib.aclosing(streams.events({}, None)) as events:
                async for event in events:
                    told.put_nowait(event)

        told: asyncio.Queue[bytes] = asyncio.Queue()
        stream = asyncio.ensure_future(listen())
        for _ in range(2):
            await told.get()
        await asyncio.sleep(0.01)
        (bell,) = streams._survey._bells
        bell.set()
        for _ in range(steps):
            await asyncio.sleep(0)
        stream.cancel()
        await asyncio.wait({stream}, timeout=1.0)
        gone = stream.cancelled()
        stream.cancel()
        assert gone
        assert not streams._survey.followers


async def test_only_the_longest_lines_are_sent() -> None:
    async with InMemoryLockStore() as store:
        for index in range(300):
            await store.take_ticket(f"c{index}")
        survey = await Source(store).survey()
    assert survey["conversations"] == 300
    assert len(survey["lines"]) == 200


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"allow_release": True}, "token"),
        ({"token_to_read": True}, "token"),
        ({"token": "short"}, "16"),
        ({"allowed_hosts": ["bot.example:80"]}, "bot.example:80"),
        ({"allowed_hosts": "bot.example"}, "list"),
        ({"store": "redis://"}, "LockStore"),
    ],
)
def test_what_can_not_be_is_refused(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises((TypeError, ValueError), match=named):
        create_app(**{"store": InMemoryLockStore(), **arguments})
