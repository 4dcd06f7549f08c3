"""Two protocol numbers on one Redis: the newer reads the older, the older touches nothing."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING, Any

import pytest

from nowserving import IncompatibleRecord, LockError, LockSuperseded, RedisLockStore, TicketLock
from nowserving.protocol.queue import status_of
from nowserving.protocol.status import Admission, IssuedTicket
from nowserving.stores.redis import queue
from nowserving.stores.redis.script import PROTOCOL, load_script
from tests.support import scripts
from tests.support.tasks import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    import redis

    from tests.support.redis_server import RedisServer

NAME = "two"
KEY = "lock:{two}"
NEWER = PROTOCOL + 1
FAR = 60.0
"""Seconds between the polls of a waiter that is to be woken by a push."""

VERBS: dict[str, Callable[[Any], Awaitable[object]]] = {
    "take": lambda q: q.take(q.handle(NAME), Admission(lifetime=9.0)),
    "redeem": lambda q: q.take(q.handle(NAME), Admission(9.0, redeem=IssuedTicket(0))),
    "park": lambda q: q.park(_numbered(q, 0), IssuedTicket(0), 9.0),
    "renew": lambda q: _raised(q.renew([(_numbered(q, 0), 9.0)])),
    "poll": lambda q: q.poll(NAME, [_numbered(q, 0), _numbered(q, 1)]),
    "leave": lambda q: q.leave(_numbered(q, 0), "done"),
    "leave_knowing": lambda q: q.leave(_knowing(_numbered(q, 0)), "done"),
    "absorb": lambda q: q.absorb(_numbered(q, 0), 1),
    "superseded": lambda q: q.superseded(_numbered(q, 0)),
    "release": lambda q: q.release(NAME, 0, "somebody", "enough"),
    "sweep": lambda q: q._call(NAME, "sweep"),
    "line": lambda q: q.line(NAME),
    "save": lambda q: q.save(TicketLock(NAME)),
    "delete": lambda q: q.delete(NAME),
    "finish": lambda q: q.finish(NAME, 0, "", keep=False),
}
OF_NO_RECORD = {"process", "keep", "kept", "record", "events"}
"""What has a key of its own."""


async def _raised(answers: Awaitable[list[object]]) -> None:
    """Raise what a verb answers that does not raise."""
    for answer in await answers:
        if isinstance(answer, Exception):
            raise answer


def _knowing(handle: Any) -> Any:
    handle.known_absorbed = ()
    return handle


def _numbered(q: Any, number: int) -> Any:
    handle = q.handle(NAME)
    handle.number = number
    return handle


@pytest.fixture
def client(server: RedisServer) -> Iterator[redis.Redis]:
    with contextlib.closing(server.client()) as client:
        yield client


def make(server: RedisServer) -> RedisLockStore:
    return RedisLockStore(host="127.0.0.1", port=server.port)


@pytest.fixture
async def ours(server: RedisServer) -> AsyncIterator[RedisLockStore]:
    async with make(server) as store:
        yield store


@pytest.fixture
async def newer(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[RedisLockStore]:
    with monkeypatch.context() as patched:
        patched.setattr(queue, "load_script", lambda: scripts.of_protocol(NEWER))
        store = make(server)
    async with store:
        yield store


async def test_who_waits_is_pushed_that_a_newer_one_has_the_line(
    ours: RedisLockStore, newer: RedisLockStore, client: redis.Redis
) -> None:
    async def wait() -> None:
        async with ours.lock(NAME, wait_time_in_seconds=FAR):
            pytest.fail("it is served")

    await ours.take_ticket(NAME)  # nobody's turn ends
    waiter = asyncio.create_task(wait())
    await until(lambda: client.hget(KEY, "next") == "2")
    # The newer one reads the record and makes it its own: its push has its number.
    latest = asyncio.create_task(turn_latest(newer, []))
    with pytest.raises(IncompatibleRecord):
        await asyncio.wait_for(waiter, FAR / 2)
    assert str(client.hget(KEY, "version"))[:-16] == str(NEWER)
    latest.cancel()
    await asyncio.gather(latest, return_exceptions=True)


async def test_an_older_record_is_read_and_pushes_wake_the_other_number(
    ours: RedisLockStore, newer: RedisLockStore, client: redis.Redis
) -> None:
    order: list[str] = []

    async def turn(name: str, store: RedisLockStore) -> None:
        async with store.lock(NAME, wait_time_in_seconds=FAR):
            order.append(name)

    async with ours.lock(NAME, wait_time_in_seconds=FAR):
        waiter = asyncio.create_task(turn("superseded", ours))
        await until(lambda: client.hget(KEY, "next") == "2")
        latest = asyncio.create_task(turn_latest(ours, order))
        with pytest.raises(LockSuperseded):
            await waiter
        assert str(client.hget(KEY, "version"))[:-16] == str(PROTOCOL)
        last = asyncio.create_task(turn("newer", newer))
        await until(lambda: client.hget(KEY, "next") == "4")
    await asyncio.wait_for(asyncio.gather(latest, last), FAR / 2)
    assert order == ["latest", "newer"]


async def turn_latest(store: RedisLockStore, order: list[str]) -> None:
    async with store.lock(NAME, when_busy="latest", wait_time_in_seconds=FAR):
        order.append("latest")


async def test_a_version_without_a_number_is_read(
    ours: RedisLockStore, client: redis.Redis
) -> None:
    async with ours.lock(NAME):
        client.hset(KEY, "version", "17")
        await ours.take_ticket(NAME)
        assert client.hget(KEY, "version") == "17"
        await asyncio.to_thread(ours.delete_lock, NAME)
        assert str(client.hget(KEY, "version"))[:-16] == str(PROTOCOL)


def test_each_verb_of_the_script_is_tried() -> None:
    verbs = re.findall(r"^function verbs\.(\w+)", load_script().source, re.MULTILINE)
    assert set(verbs) == VERBS.keys() | OF_NO_RECORD


@pytest.mark.parametrize("verb", VERBS)
async def test_no_verb_touches_a_newer_record(
    ours: RedisLockStore, server: RedisServer, client: redis.Redis, verb: str
) -> None:
    await ours.take_ticket(NAME)
    client.hset(KEY, "version", f"{NEWER}{17:016}")
    before, keys = server.cli("DUMP", KEY), sorted(client.scan_iter(f"*{KEY}*"))
    with pytest.raises(IncompatibleRecord) as told:
        await VERBS[verb](ours._runtime.queue)
    assert (told.value.key, told.value.found, told.value.supported) == (KEY, NEWER, PROTOCOL)
    assert str(NEWER) in str(told.value)
    assert server.cli("DUMP", KEY) == before
    assert sorted(client.scan_iter(f"*{KEY}*")) == keys


async def test_what_answers_with_errors_and_ways_in_tell_of_it(
    ours: RedisLockStore, server: RedisServer, client: redis.Redis
) -> None:
    number = await ours.take_ticket(NAME)
    client.hset(KEY, "version", f"{NEWER}{17:016}")
    before = server.cli("DUMP", KEY)
    q: Any = ours._runtime.queue
    handle = _numbered(q, int(number))
    for answer in [*await q.renew([(handle, 9.0)]), *await q.renew([(handle, 0)])]:
        assert isinstance(answer, IncompatibleRecord)
    with pytest.raises(IncompatibleRecord):
        await status_of(q, handle)
    for way in ({}, {"ticket": number}, {"message_id": "m"}, {"when_busy": "latest"}):
        with pytest.raises(IncompatibleRecord):
            async with ours.lock(NAME, **way):
                pass
    with pytest.raises(LockError, match="newer nowserving"):  # the reference wraps every error
        await asyncio.to_thread(ours.issue_ticket, NAME)
    assert [name async for name in q.conversations()] == [NAME]  # names only
    assert server.cli("DUMP", KEY) == before
