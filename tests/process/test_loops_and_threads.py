"""One store in several event loops and threads, one after the other and at once."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from nowserving import InMemoryLockStore, LockStore, StoreClosed
from tests.support.crew import Stay, assert_exact
from tests.support.tasks import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.redis_server import RedisServer


@pytest.fixture
def shared(server: RedisServer) -> Iterator[LockStore]:
    with LockStore.create(server.url(socket_timeout=2)) as store:
        yield store


@pytest.fixture(params=["memory", "redis"])
def each(request: pytest.FixtureRequest) -> LockStore:
    if request.param == "memory":
        return InMemoryLockStore()
    found: LockStore = request.getfixturevalue("shared")
    return found


def in_a_loop(store: LockStore, count: int = 20) -> list[Stay]:
    async def work() -> list[Stay]:
        turns = Turns(store)
        turns.start(count, hold=0.001)
        await turns.finish()
        assert not turns.errors
        assert len(turns.done) == count
        return turns.done

    return asyncio.run(work())


def in_a_thread(store: LockStore, count: int = 20) -> list[Stay]:
    done = []
    for _ in range(count):
        asked = time.monotonic_ns()
        with store.lock("c") as lock:
            entered = time.monotonic_ns()
            time.sleep(0.001)
            left = time.monotonic_ns()
        done.append(Stay(entered, left, lock.ticket, lock.fencing_token, asked, 0))
    return done


def test_successive_loops(each: LockStore) -> None:
    done = [turn for _ in range(8) for turn in in_a_loop(each, 5)]
    assert_exact(done)
    assert each.get_lock("c") is None


def test_successive_loops_leave_no_connection_behind(
    server: RedisServer, shared: LockStore
) -> None:
    in_a_loop(shared)
    before = int(server.cli("INFO", "clients")["connected_clients"])
    for _ in range(8):
        in_a_loop(shared)
    time.sleep(0.05)  # Redis sees the hang-ups
    assert int(server.cli("INFO", "clients")["connected_clients"]) <= before


def test_a_store_that_has_had_many_loops_says_no_more_to_redis(
    server: RedisServer, shared: LockStore
) -> None:
    """A worker may call ``asyncio.run`` for each of its jobs, for months."""

    def cost() -> int:
        number = shared.issue_ticket("c")
        before = int(server.cli("INFO", "stats")["total_net_input_bytes"])
        shared.finish_serving("c", int(number))
        return int(server.cli("INFO", "stats")["total_net_input_bytes"]) - before

    async def draw() -> str:
        return str(shared._runtime.queue.handle("c").owner)

    shared.get_lock("c")
    in_the_beginning = cost()
    owners = [asyncio.run(draw()) for _ in range(100)]
    assert cost() <= in_the_beginning + 10  # a number may have got a digit more
    assert len(set(owners)) == 100


def test_a_ticket_that_another_loop_claimed_is_the_stores_own(
    server: RedisServer, shared: LockStore
) -> None:
    async def claim(finish: Callable[[str, int], None]) -> bool:
        async with shared.lock("c") as lock:
            await asyncio.to_thread(finish, "c", lock.ticket)
            line = await asyncio.to_thread(shared.get_lock, "c")
            return line is not None and bool(line.tickets)

    with LockStore.create(server.url()) as other:
        assert asyncio.run(claim(other.finish_serving))
    assert not asyncio.run(claim(shared.finish_serving))


def test_threads_with_and_without_loops_at_once(each: LockStore) -> None:
    with ThreadPoolExecutor(6) as pool:
        work = [in_a_loop, in_a_thread] * 3
        done = [
            turn for future in [pool.submit(do, each) for do in work] for turn in future.result()
        ]
    assert len(done) == 120
    assert_exact(sorted(done))


@pytest.fixture
def often() -> Iterator[None]:
    """Have threads take turns hundreds of times as often as usual: what is not atomic breaks."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("often")
def test_threads_that_each_run_one_loop_after_another(each: LockStore) -> None:
    """As ``asyncio.run`` or ``async_to_sync`` in the threads of a pool: loops come and go."""
    over = time.monotonic() + 2.0

    def work(name: str) -> int:
        async def job() -> None:
            async with each.lock(name):
                pass

        jobs = 0
        while time.monotonic() < over:
            asyncio.run(job())
            jobs += 1
        return jobs

    with ThreadPoolExecutor(16) as pool:
        jobs = [pool.submit(work, f"c{index}") for index in range(16)]
    assert all(future.result() for future in jobs)


@pytest.mark.usefixtures("often")
async def test_a_store_is_closed_while_loops_come_and_go(server: RedisServer) -> None:
    def work(store: LockStore) -> None:
        async def job() -> None:
            async with store.lock("c"):
                pass

        with contextlib.suppress(StoreClosed):
            while True:
                asyncio.run(job())

    with ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            store = LockStore.create(server.url())
            threads = [pool.submit(work, store) for _ in range(8)]
            await asyncio.sleep(0.1)
            await store.aclose()
            for thread in threads:
                await asyncio.wrap_future(thread)


async def test_a_waiter_asks_in_the_moment_in_which_its_store_closes() -> None:
    """It finds its ticket gone, since closing has given it back: that is no expiry."""
    store = InMemoryLockStore()
    renew = store._runtime.queue.renew
    closing: list[asyncio.Future[None]] = []

    async def asked_too_late(*args: Any) -> Any:
        if not closing:
            closing.append(asyncio.ensure_future(store.aclose(drain=0)))
            await asyncio.sleep(0.1)
        return await renew(*args)

    async with store.lock("c"):
        waiter = asyncio.ensure_future(_hold(store))
        await asyncio.sleep(0)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(store._runtime.queue, "renew", asked_too_late)
            with pytest.raises(StoreClosed):
                await waiter
        await closing[0]


async def _hold(store: LockStore) -> None:
    async with store.lock("c", timeout=0.05):
        pass


async def test_a_loop_that_closes_while_the_store_does(server: RedisServer) -> None:
    store = LockStore.create(server.url())
    loop = asyncio.new_event_loop()

    async def use() -> None:
        async with store.lock("c"):
            pass

    def close_first(callback: Callable[..., object], *args: object) -> object:
        loop.close()
        return type(loop).call_soon_threadsafe(loop, callback, *args)

    await asyncio.to_thread(loop.run_until_complete, use())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "call_soon_threadsafe", close_first)
        await store.aclose()
    gc.collect()  # what was left open would be told of here, and not in another test


def test_a_synchronous_method_inside_a_running_loop(each: LockStore) -> None:
    async def look() -> int:
        async with each.lock("c"):
            lock = each.get_lock("c")
            assert lock is not None
            with pytest.raises(RuntimeError, match="async with"), each.lock("d"):
                pass
            return len(lock.tickets)

    assert asyncio.run(look()) == 1


@pytest.mark.parametrize("renewed", [False, True])
def test_a_loop_closed_without_notice(each: LockStore, *, renewed: bool) -> None:
    """Not as ``asyncio.run`` ends: tasks stay pending and nothing is told of the end."""
    for _ in range(3):
        loop = asyncio.new_event_loop()
        turns = Turns(each)

        async def begin(turns: Turns) -> None:
            turns.start(3, hold=0.001, auto_renew=renewed)
            await turns.finish()

        loop.run_until_complete(begin(turns))
        loop.close()
        assert not turns.errors
    assert len(in_a_loop(each, 3)) == 3
    gc.collect()  # what was left open would be told of here, and not in another test


@pytest.mark.parametrize("waits", [False, True])
def test_a_coroutine_that_is_closed_gives_its_lock_back(shared: LockStore, *, waits: bool) -> None:
    """As happens to a task that is collected: nothing can be awaited any more."""

    async def hold() -> None:
        async with shared.lock("c"):
            await asyncio.sleep(3600)

    async def work() -> None:
        turns = Turns(shared)
        if waits:
            turns.start(hold=0.3)
            await turns.until_in_line(1)
        task = asyncio.create_task(hold())
        await turns.until_in_line(1 + waits)
        coroutine = task.get_coro()
        assert coroutine is not None
        coroutine.close()
        await turns.until_in_line(waits, within=1.0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await turns.finish()

    asyncio.run(work())


def test_turns_of_a_closed_loop_are_not_renewed_for_ever(shared: LockStore) -> None:
    lifetime = 0.6
    loop = asyncio.new_event_loop()

    async def hold() -> Turns:
        turns = Turns(shared)
        turns.start(3, hold=3600.0, lifetime=lifetime, auto_renew=True)
        await turns.until_in_line(3)
        return turns

    abandoned = loop.run_until_complete(hold())
    loop.close()
    began = time.monotonic()
    with shared.lock("c"):
        assert time.monotonic() - began < lifetime + 1.0
    for task in abandoned.tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]
    del abandoned, loop, task
    gc.collect()


def test_a_turn_that_nobody_has_any_more_is_no_obstacle(shared: LockStore) -> None:
    lifetime = 0.6
    thread = threading.Thread(target=shared.lock("c", lifetime, auto_renew=True).__enter__)
    thread.start()
    thread.join()
    began = time.monotonic()
    with shared.lock("c"):
        assert time.monotonic() - began < lifetime + 1.0


@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
def test_a_loop_that_rested_while_others_came_goes_on(
    server: RedisServer, shared: LockStore, kind: str
) -> None:
    """Of many loops that don't run most have lost their connections; nobody notices."""
    loops = [pytest.importorskip(kind).new_event_loop() for _ in range(5)]
    entered: list[int] = []

    async def wait() -> None:
        async with shared.lock("c", 30, 10):
            entered.append(1)

    async def begin() -> asyncio.Task[None]:
        task = asyncio.create_task(wait())
        async with other.lock("e"):  # a round trip, behind which the take has arrived as well
            await asyncio.sleep(0.1)
        return task

    async def turn(name: str) -> None:
        async with shared.lock(name):
            pass

    with LockStore.create(server.url()) as other:
        with other.lock("c"):
            waiting = loops[0].run_until_complete(begin())
            for _ in range(2):
                for loop in loops[1:]:
                    loop.run_until_complete(turn("d"))
        loops[0].run_until_complete(asyncio.wait_for(waiting, 5.0))
    assert entered
    for loop in loops:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
