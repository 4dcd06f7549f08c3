"""Whatever stands under a conversation's key that is not ours: a clear error, data untouched."""

from __future__ import annotations

import contextlib
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from nowserving import CorruptLock, LockError, LockStore, TicketLock
from nowserving.protocol.queue import status_of
from nowserving.protocol.status import Admission

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import redis

    from tests.support.redis_server import RedisServer

NAME = "foreign c"
KEY = "lock:{foreign c}"
SAID = re.escape(KEY)
COUNTERS: dict[Any, Any] = {
    "next": "1",
    "serving": "0",
    "token": "7",
    "kept_until": "4000000000000000",
}

FOREIGN: dict[str, Callable[[redis.Redis], Any]] = {
    "string": lambda client: client.set(KEY, '{"conversation_id": "c", "tickets": []}'),
    "binary string": lambda client: client.set(KEY, b"\xff\x00\xfe"),
    "list": lambda client: client.rpush(KEY, "a", "b"),
    "set": lambda client: client.sadd(KEY, "a", "b"),
    "hash without our fields": lambda client: client.hset(KEY, mapping={"a": "b"}),
    "hash with our next only": lambda client: client.hset(KEY, mapping={"next": "3"}),
    "garbage for next": lambda client: client.hset(KEY, mapping={**COUNTERS, "next": "many"}),
    "next is not a number": lambda client: client.hset(KEY, mapping={**COUNTERS, "next": "nan"}),
    "next is negative": lambda client: client.hset(KEY, mapping={**COUNTERS, "next": "-3"}),
    "next is a fraction": lambda client: client.hset(KEY, mapping={**COUNTERS, "next": "1.5"}),
    "serving ahead of next": lambda client: client.hset(KEY, mapping={**COUNTERS, "serving": "4"}),
    "garbage for serving": lambda client: client.hset(KEY, mapping={**COUNTERS, "serving": "\xff"}),
    "garbage for token": lambda client: client.hset(KEY, mapping={**COUNTERS, "token": "{}"}),
    "a token that is no time": lambda client: client.hset(
        KEY, mapping={**COUNTERS, "token": str(2**53 - 1)}
    ),
    "a token of the next century": lambda client: client.hset(
        KEY, mapping={**COUNTERS, "token": "4102444800000000"}
    ),
    "a time that is no counter": lambda client: client.hset(
        KEY, mapping={**COUNTERS, "kept_until": "99999999999999999"}
    ),
    "garbage for kept_until": lambda client: client.hset(
        KEY, mapping={**COUNTERS, "kept_until": ""}
    ),
    "garbage for a ticket": lambda client: client.hset(KEY, mapping={**COUNTERS, "0": "Ticket(0)"}),
    "binary for a ticket": lambda client: client.hset(KEY, mapping={**COUNTERS, "0": b"\xff\xfe"}),
}

METHODS: dict[str, Callable[[LockStore], object]] = {
    "get_lock": lambda store: store.get_lock(NAME),
    "get_or_create_lock": lambda store: store.get_or_create_lock(NAME),
    "save_lock": lambda store: store.save_lock(TicketLock(NAME)),
    "delete_lock": lambda store: store.delete_lock(NAME),
    "update_lock": lambda store: store.update_lock(NAME),
    "is_someone_waiting": lambda store: store.is_someone_waiting(NAME),
    "finish_serving": lambda store: store.finish_serving(NAME, 0),
    "cleanup": lambda store: store.cleanup(NAME, 0),
}


@pytest.fixture
async def untouched(server: RedisServer, request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """Put foreign data under the key, and check in the end that it is still the same."""
    with contextlib.closing(server.client()) as client:
        FOREIGN[request.param](client)
        before = server.cli("DUMP", KEY)
        yield
        assert server.cli("DUMP", KEY) == before
        assert client.pttl(KEY) == -1


@pytest.mark.parametrize("untouched", FOREIGN, indirect=True)
@pytest.mark.usefixtures("untouched")
async def test_async_ways_in_tell_of_it(store: LockStore) -> None:
    with pytest.raises(CorruptLock) as found:
        async with store.lock(NAME):
            pass
    assert found.value.key == KEY
    assert KEY in str(found.value)
    with pytest.raises(CorruptLock, match=SAID):
        await store.take_ticket(NAME)
    with pytest.raises(CorruptLock, match=SAID):
        async with store.lock(NAME, ticket=0):
            pass


@pytest.mark.parametrize("untouched", FOREIGN, indirect=True)
@pytest.mark.usefixtures("untouched")
def test_synchronous_ways_in_tell_of_it(store: LockStore) -> None:
    for renewed in (False, True):
        with pytest.raises(CorruptLock, match=SAID), store.lock(NAME, auto_renew=renewed):
            pass
    with pytest.raises(LockError, match=SAID):  # the reference wraps every error
        store.issue_ticket(NAME)
    silent = {name for name, method in METHODS.items() if not told(method, store)}
    assert not silent


@pytest.mark.parametrize("field", ["next", "serving", "token", "kept_until", "1"])
async def test_a_leave_of_a_damaged_record_writes_nothing(
    server: RedisServer, store: LockStore, field: str
) -> None:
    queue, admission = store._runtime.queue, Admission(lifetime=60.0)
    holder, waiter = queue.handle("damaged"), queue.handle("damaged")
    await queue.take(holder, admission)
    await queue.take(waiter, admission)
    server.cli("HSET", "lock:{damaged}", field, "{}")
    before = server.cli("DUMP", "lock:{damaged}")
    with pytest.raises(CorruptLock, match="damaged"):
        await queue.leave(holder, "done")
    assert server.cli("DUMP", "lock:{damaged}") == before


async def test_keys_that_no_conversation_has_are_not_listed(
    server: RedisServer, store: LockStore
) -> None:
    names = ["a", "ä}{", "\ud800", "{}"]
    for name in names:
        async with store.lock(name):
            pass
    foreign = [b"lock:{\xff}", b"lock:{}", b"lock:{a\xc3}"]
    with contextlib.closing(server.client()) as client:
        for key in foreign:
            client.hset(key, "f", "1")
        found = [name async for name in store._runtime.queue.conversations()]
        client.flushdb()  # what comes next can't read such names
    assert sorted(found) == sorted(names)


YEAR = 365 * 24 * 3600 * 1_000_000


@pytest.mark.parametrize("waits", [False, True])
async def test_a_damaged_token_is_not_handed_on(
    server: RedisServer, store: LockStore, *, waits: bool
) -> None:
    queue, admission = store._runtime.queue, Admission(lifetime=60.0)
    holder, waiter = queue.handle("damaged"), queue.handle("damaged")
    token = (await queue.take(holder, admission)).token
    if waits:
        await queue.take(waiter, admission)
    server.cli("HSET", "lock:{damaged}", "token", token + 11 * YEAR)
    before = server.cli("DUMP", "lock:{damaged}")
    for verb in (status_of(queue, holder), queue.poll("damaged", [holder]), queue.line("damaged")):
        with pytest.raises(CorruptLock, match="token is years ahead"):
            await verb
    if waits:
        with pytest.raises(CorruptLock, match="token is years ahead"):
            await queue.leave(holder, "done")
    assert server.cli("DUMP", "lock:{damaged}") == before
    async with store.lock("another") as lock:
        assert token < lock.fencing_token < token + YEAR


async def test_tokens_go_on_from_one_of_a_clock_that_was_ahead(
    server: RedisServer, store: LockStore
) -> None:
    async with store.lock("c") as lock:
        ahead = lock.fencing_token + 9 * YEAR
    server.cli("HSET", "lock:{c}", "token", ahead)
    for expected in (1, 2):
        async with store.lock("c") as lock:
            assert lock.fencing_token == ahead + expected
    async with store.lock("another") as lock:
        assert lock.fencing_token == ahead + 3
    # What was seen counts as the clock does, which may have been set back meanwhile.
    server.cli("HSET", "lock:{c}", "token", ahead + 9 * YEAR)
    async with store.lock("c") as lock:
        assert lock.fencing_token == ahead + 9 * YEAR + 1


TOO_LONG = 1e19
"""Seconds that no store would ask for; but other versions and damaged records may."""


async def test_a_take_that_would_live_too_long_writes_nothing(
    server: RedisServer, store: LockStore
) -> None:
    queue, admission = store._runtime.queue, Admission(lifetime=TOO_LONG)
    for message_id in (None, "m"):  # a quick step, and the whole verb
        with pytest.raises(CorruptLock, match="too long"):
            await queue.take(queue.handle("long"), replace(admission, message_id=message_id))
        assert server.cli("EXISTS", "lock:{long}") == 0
    holder = queue.handle("long")
    await queue.take(holder, Admission(lifetime=60.0))
    before = server.cli("DUMP", "lock:{long}")
    for message_id in (None, "m"):
        with pytest.raises(CorruptLock, match="too long"):
            await queue.take(queue.handle("long"), replace(admission, message_id=message_id))
        assert server.cli("DUMP", "lock:{long}") == before
    (answer,) = await queue.renew([(holder, TOO_LONG)])
    assert isinstance(answer, CorruptLock)
    assert server.cli("DUMP", "lock:{long}") == before
    assert (await queue.leave(holder, "done")).left


async def test_a_hand_off_to_a_ticket_that_would_live_too_long_writes_nothing(
    server: RedisServer, store: LockStore
) -> None:
    queue, admission = store._runtime.queue, Admission(lifetime=60.0)
    holder, waiter = queue.handle("long"), queue.handle("long")
    await queue.take(holder, admission)
    await queue.take(waiter, admission)
    expires, _, rest = str(server.cli("HGET", "lock:{long}", "1")).split(" ", 2)
    server.cli("HSET", "lock:{long}", "1", f"{expires} {'9' * 20} {rest}")
    before = server.cli("DUMP", "lock:{long}")
    with pytest.raises(CorruptLock, match="too long"):
        await queue.leave(holder, "done")
    assert server.cli("DUMP", "lock:{long}") == before


def told(method: Callable[[LockStore], object], store: LockStore) -> bool:
    try:
        method(store)
    except CorruptLock as error:
        return KEY in str(error)
    return False
