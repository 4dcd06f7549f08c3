"""Context variables: what a turn sets off runs in its own context, and nothing outlives it."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from nowserving import LockStore
from nowserving.errors import LockTimeout, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

    from nowserving.held import HeldLock

pytestmark = pytest.mark.timeout(30)

REQUEST: contextvars.ContextVar[str] = contextvars.ContextVar("request", default="nobody's")
SESSION: contextvars.ContextVar[object] = contextvars.ContextVar("session")
NAMES = [f"c{number}" for number in range(4)]

Seen = list[tuple[str, str]]
"""Of what conversation something told, and in whose context."""


@pytest.fixture
async def store(url: str) -> AsyncIterator[LockStore]:
    async with LockStore.create(url) as store:
        yield store


def in_a_context_of_its_own(coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    return contextvars.copy_context().run(asyncio.get_running_loop().create_task, coroutine)


async def all_at_once(request: Callable[[str], Coroutine[Any, Any, None]]) -> None:
    """Do a request for each name, in contexts that hold the name."""

    async def do(name: str) -> None:
        REQUEST.set(name)
        await request(name)

    await asyncio.gather(*(in_a_context_of_its_own(do(name)) for name in NAMES))


def fail_renewals(store: LockStore) -> None:
    """Have them fail as they do while the store can't be reached."""
    queue: Any = store._runtime.queue

    async def fail(handles: list[Any]) -> list[StoreUnavailable]:
        return [StoreUnavailable("The store can't be reached.") for _ in handles]

    queue.renew = fail


# on_expiring


@pytest.mark.parametrize("asynchronous", [False, True], ids=["a function", "a coroutine function"])
async def test_on_expiring(store: LockStore, *, asynchronous: bool) -> None:
    seen: Seen = []

    def tell(lock: HeldLock) -> None:
        seen.append((lock.conversation_id, REQUEST.get()))

    async def tell_later(lock: HeldLock) -> None:
        await asyncio.sleep(0)
        tell(lock)

    told: Callable[[HeldLock], Awaitable[None] | None] = tell_later if asynchronous else tell

    async def request(name: str) -> None:
        async with store.lock(name, 0.6, 0.1, auto_renew=True, on_expiring=told):
            await asyncio.sleep(0.55)

    fail_renewals(store)
    await all_at_once(request)
    assert sorted(seen) == [(name, name) for name in NAMES]


def test_on_expiring_of_threads(each: LockStore) -> None:
    seen: Seen = []

    def request(name: str) -> None:
        REQUEST.set(name)
        tell: Callable[[HeldLock], None] = lambda lock: seen.append(  # noqa: E731 - typed
            (lock.conversation_id, REQUEST.get())
        )
        # With a max_hold, a turn in memory has somebody to mind its time.
        with each.lock(name, 0.6, 0.1, auto_renew=True, on_expiring=tell, max_hold=5.0):
            time.sleep(0.55)

    fail_renewals(each)
    threads = [threading.Thread(target=request, args=(name,)) for name in NAMES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == [(name, name) for name in NAMES]


# What is logged


class Collector(logging.Handler):
    """Notes in whose context a record was made, as filters that add a request's id do."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Seen = []

    def emit(self, record: logging.LogRecord) -> None:
        assert isinstance(record.args, tuple)
        self.seen.append((str(record.args[0]), REQUEST.get()))


@pytest.fixture
def logged() -> Any:
    logger, collector = logging.getLogger("nowserving.lease"), Collector()
    before = logger.level, logger.propagate
    logger.addHandler(collector)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    yield collector.seen
    logger.removeHandler(collector)
    logger.level, logger.propagate = before


@pytest.mark.parametrize("how", ["expired", "released"])
async def test_the_warning_of_a_loss(store: LockStore, logged: Seen, how: str) -> None:
    async def request(name: str) -> None:
        lifetime = 0.3 if how == "expired" else 5.0
        async with store.lock(name, lifetime, 0.1) as lock:
            await asyncio.wait_for(lock.lost_event.wait(), 2.0)

    async def release() -> None:
        await asyncio.sleep(0.2)
        for name in NAMES:
            store.delete_lock(name)

    operator = asyncio.create_task(release()) if how == "released" else None
    await all_at_once(request)
    if operator is not None:
        await operator
    assert sorted(logged) == [(name, name) for name in NAMES]


async def test_the_records_of_waiting(store: LockStore, logged: Seen) -> None:
    async def request(name: str) -> None:
        try:
            async with store.lock(name, 5.0, 0.1, timeout=0.5):
                await asyncio.sleep(1.0)
        except LockTimeout:
            pass

    await asyncio.gather(all_at_once(request), all_at_once(request))
    assert {name for name, _ in logged} == set(NAMES)
    assert [(name, whose) for name, whose in logged if name != whose] == []


# What stays


class Session:
    """Something big that a request has in its context."""


async def turn(store: LockStore, name: str) -> None:
    async with store.lock(name):
        await asyncio.sleep(0.01)


async def renewed(store: LockStore, name: str) -> None:
    async with store.lock(name, 0.3, 0.05, auto_renew=True):
        await asyncio.sleep(0.15)


async def given_up(store: LockStore, name: str) -> None:
    try:
        async with store.lock(name, timeout=0.05, on_expiring=print):
            await asyncio.sleep(0.1)
    except LockTimeout:
        pass


async def ticket(store: LockStore, name: str) -> None:
    async with store.lock(name, ticket=await store.take_ticket(name)):
        pass


async def thread(store: LockStore, name: str) -> None:
    def work() -> None:
        with store.lock(name):
            store.is_someone_waiting(name)
        store.finish_serving(name, store.issue_ticket(name))

    await asyncio.to_thread(work)


async def thread_renewed(store: LockStore, name: str) -> None:
    def work() -> None:
        with store.lock(name, 0.3, 0.05, auto_renew=True, max_hold=1.0):
            time.sleep(0.15)

    await asyncio.to_thread(work)


REQUESTS = [turn, renewed, given_up, ticket, thread, thread_renewed]


@pytest.mark.parametrize("first", REQUESTS, ids=[request.__name__ for request in REQUESTS])
async def test_no_context_is_kept(store: LockStore, first: Any) -> None:
    """The first request, for which connections and timers are made, no more than the others."""
    sessions: list[tuple[str, weakref.ref[Session]]] = []

    async def serve(request: Any, name: str) -> None:
        session = Session()
        sessions.append((f"{request.__name__} of {name}", weakref.ref(session)))
        SESSION.set(session)
        await request(store, name)

    await in_a_context_of_its_own(serve(first, "first"))
    goes_on = asyncio.create_task(stay(store))
    serving = [
        in_a_context_of_its_own(serve(request, name)) for request in REQUESTS for name in NAMES[:2]
    ]
    await asyncio.gather(*serving)
    serving.clear()

    await asyncio.sleep(0.5)  # what goes on in the background comes to its end
    gc.collect()
    assert [name for name, session in sessions if session() is not None] == []
    goes_on.cancel()
    await asyncio.wait([goes_on])


async def stay(store: LockStore) -> None:
    """Keep the store busy: its heartbeat, its watch."""
    async with store.lock("another", 0.3, 0.05, auto_renew=True):
        await asyncio.sleep(60)
