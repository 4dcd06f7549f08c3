"""The history of every store that keeps one: what is in it, in which order, and how much of it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from typing import TYPE_CHECKING, Any

import pytest

from nowserving import ConfigurationError, HistoryEvent, LockError, LockStore, LockSuperseded
from nowserving.testing.names import NAMES
from tests.conformance.stores import STORES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.support.redis_server import RedisServer

KEEPING = [name for name in STORES if name != "snapshot"]
SOON = 5.0
_names = itertools.count()


@pytest.fixture(params=KEEPING)
def make(request: pytest.FixtureRequest, redis_server: RedisServer) -> Callable[..., LockStore]:
    # A prefix of its own, since others use the same Redis.
    own = {"key_prefix": f"h{next(_names)}-{time.time_ns()}"} if request.param == "redis" else {}
    made = STORES[request.param](redis_server)
    return lambda **given: made(**own, **given)


@pytest.fixture
async def store(make: Callable[..., LockStore]) -> AsyncIterator[LockStore]:
    async with make(history=100) as store:
        yield store


async def written(store: LockStore, conversation_id: str | None, count: int) -> list[HistoryEvent]:
    """Return the events of a conversation, once there are so many."""
    end, found = time.monotonic() + SOON, list[HistoryEvent]()
    while time.monotonic() < end:
        found = await store.events(conversation_id)
        if len(found) >= count:
            return found
        await asyncio.sleep(0.02)
    raise AssertionError([event.kind for event in found])


async def take_turns(store: LockStore, conversation_id: str, count: int) -> None:
    for _ in range(count):
        async with store.lock(conversation_id):
            pass


async def test_a_turn_is_told_from_its_beginning_to_its_end(store: LockStore) -> None:
    began = time.time()
    async with store.lock("anna", message_id="m-1", label="trace 7") as lock:
        await asyncio.sleep(0.05)
    events = await written(store, "anna", 3)
    assert [event.kind for event in events] == ["asked", "served", "left"]
    asked, served, left = events
    assert {event.turn for event in events} == {asked.turn}
    assert {(e.message_id, e.label, e.conversation_id) for e in events} == {
        ("m-1", "trace 7", "anna")
    }
    assert (served.number, served.token) == (lock.ticket, lock.fencing_token)
    assert left.outcome == "done"
    assert left.held == pytest.approx(0.05, abs=0.04)
    assert asked.host
    assert asked.pid
    for event in events:
        assert began - 0.1 < event.at < time.time() + 0.1


async def test_who_waits_is_told_with_its_wait(store: LockStore) -> None:
    async with store.lock("anna"):
        waiter = asyncio.create_task(take_turns(store, "anna", 1))
        await asyncio.sleep(0.1)
    await waiter
    events = await written(store, "anna", 7)
    (waiting,) = [event for event in events if event.kind == "waiting"]
    (served,) = [e for e in events if e.kind == "served" and e.turn == waiting.turn]
    assert waiting.ahead == 1
    assert served.waited == pytest.approx(0.1, abs=0.08)
    assert served.predecessor == "done"


async def test_who_is_superseded_is_told_so(store: LockStore) -> None:
    async def be_superseded() -> None:
        with contextlib.suppress(LockSuperseded):
            await take_turns(store, "anna", 1)

    async with store.lock("anna"):
        waiters = [asyncio.create_task(be_superseded())]
        await asyncio.sleep(0.05)
        waiters.append(asyncio.create_task(newest(store)))
        await asyncio.sleep(0.05)
    await asyncio.gather(*waiters)
    events = await written(store, "anna", 10)
    assert [event.kind for event in events].count("superseded") == 1


async def newest(store: LockStore) -> None:
    async with store.lock("anna", when_busy="latest"):
        pass


@pytest.mark.parametrize("name", NAMES)
async def test_conversations_are_never_mixed_whatever_they_are_called(
    store: LockStore, name: str
) -> None:
    for each in (name, f"{name}}}", f"history:{name}", f"{{{name}}}"):
        await take_turns(store, each, 1)
    everything = await written(store, None, 12)
    for each in (name, f"{name}}}", f"history:{name}", f"{{{name}}}"):
        events = await written(store, each, 3)
        assert {event.conversation_id for event in events} == {each}
        assert len(events) == 3
        assert [event for event in everything if event.conversation_id == each] == events


async def test_the_history_is_no_conversation(store: LockStore) -> None:
    await take_turns(store, "anna", 1)
    await written(store, "anna", 3)
    assert [name async for name in store.conversations()] == ["anna"]


async def test_only_the_last_events_are_kept(make: Callable[..., LockStore]) -> None:
    async with make(history=5, history_total=8) as store:
        await take_turns(store, "anna", 4)
        end, last = time.monotonic() + SOON, list[HistoryEvent]()
        while (not last or (last[-1].kind, last[-1].number) != ("left", 3)) and (
            time.monotonic() < end
        ):
            last = await written(store, "anna", 5)
        await take_turns(store, "berta", 1)
        await written(store, "berta", 3)
        everything = await store.events()
        assert [event.kind for event in last] == ["served", "left", "asked", "served", "left"]
        assert await store.events("anna") == last
        assert [event.conversation_id for event in everything] == 5 * ["anna"] + 3 * ["berta"]


async def test_events_end_with_their_ttl(make: Callable[..., LockStore]) -> None:
    async with make(history=5, history_ttl=2) as store:
        await take_turns(store, "anna", 1)
        await written(store, "anna", 3)
        await asyncio.sleep(2.5)
        await take_turns(store, "berta", 1)
        await written(store, "berta", 3)
        assert await store.events("anna") == []
        await asyncio.sleep(2.5)
        await take_turns(store, "berta", 1)  # those before it are too old, though it goes on
        end, events = time.monotonic() + SOON, await store.events("berta")
        while len({event.turn for event in events}) != 1 or events[-1].number != 1:
            assert time.monotonic() < end, events
            await asyncio.sleep(0.05)
            events = await store.events("berta")


async def test_nothing_is_lost_when_the_store_is_closed(make: Callable[..., LockStore]) -> None:
    async with make(history=1000) as store:
        for name in ("anna", "berta"):
            await take_turns(store, name, 50)
        if not store.guarantees.cross_process:  # in memory it goes with the store
            assert len(await store.events()) == 300
            return
    async with make() as reader:
        for name in ("anna", "berta"):
            events = await reader.events(name)
            assert [event.kind for event in events] == 50 * ["asked", "served", "left"]
            assert len({event.turn for event in events}) == 50


async def test_what_is_asked_for_is_returned_oldest_first(store: LockStore) -> None:
    await take_turns(store, "anna", 3)
    events = await written(store, "anna", 9)
    assert await store.events("anna", limit=2) == events[-2:]
    assert await store.events("anna", since=events[4].at) == events[4:]
    assert await store.events("anna", since=time.time() + 60) == []
    assert await store.events("nobody") == []


async def test_who_follows_is_told_what_comes(store: LockStore) -> None:
    await take_turns(store, "anna", 1)
    await written(store, "anna", 3)
    told: list[HistoryEvent] = []

    async def follow(since: float | None) -> None:
        async for event in store.follow("anna", since=since):
            told.append(event)
            if len(told) == 3:
                return

    following = asyncio.create_task(follow(None))
    await asyncio.sleep(0.3)
    assert not told
    await take_turns(store, "berta", 1)
    await take_turns(store, "anna", 1)
    await asyncio.wait_for(following, SOON)
    assert [event.kind for event in told] == ["asked", "served", "left"]
    del told[:]
    await asyncio.wait_for(follow(0), SOON)
    assert [event.kind for event in told] == ["asked", "served", "left"]


async def test_who_follows_may_be_cancelled(store: LockStore) -> None:
    async def follow() -> None:
        async for _ in store.follow():
            raise AssertionError

    following = asyncio.create_task(follow())
    await asyncio.sleep(0.2)
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following


async def test_without_a_history_nothing_is_kept(make: Callable[..., LockStore]) -> None:
    async with make() as store:
        await take_turns(store, "anna", 1)
        assert await store.events("anna") == []
        assert await store.events() == []


def test_threads_are_told_as_well(make: Callable[..., LockStore]) -> None:
    with make(history=10) as store:
        with store.lock("anna"):
            pass
        time.sleep(0.5)
        kinds = [event.kind for event in store.blocking.events("anna")]
        assert kinds == ["asked", "served", "left"]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"history": -1}, "history"),
        ({"history": 10_001}, "at most 10000"),
        ({"history": 5, "history_total": 1_000_001}, "at most 1000000"),
        ({"history": 5, "history_ttl": 0}, "history_ttl"),
        ({"history_ttl": 5.0}, "give history= as well"),
    ],
)
def test_a_history_that_can_not_be_is_refused(
    make: Callable[..., LockStore], given: dict[str, Any], why: str
) -> None:
    with pytest.raises(ConfigurationError, match=why):
        make(**given)


async def test_wrong_arguments_are_refused(store: LockStore) -> None:
    wrong: list[dict[str, Any]] = [{"limit": 0}, {"since": -1.0}, {"conversation_id": ""}]
    for each in wrong:
        with pytest.raises(ValueError, match=next(iter(each))):
            await store.events(**each)
    for each in ({"limit": "5"}, {"since": "yesterday"}, {"conversation_id": 7}):
        with pytest.raises(TypeError, match=next(iter(each))):
            await store.events(**each)


async def test_a_custom_store_says_that_it_keeps_none(redis_server: RedisServer) -> None:
    store = STORES["snapshot"](redis_server)()
    with pytest.raises(LockError, match="needs a store that can keep a history"):
        await store.events()
