"""Forked children: they let their parent's locks and sockets alone, and have locks of their own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from nowserving import InMemoryLockStore, LockStore, LockTimeout
from tests.support.crew import Stay, assert_exact
from tests.support.forks import Child, in_child
from tests.support.places import EVERYWHERE
from tests.support.tasks import Turns

if TYPE_CHECKING:
    from multiprocessing.queues import SimpleQueue

    from tests.support.places import Place

pytestmark = pytest.mark.filterwarnings(
    # Python 3.12 and newer warn of every fork of a process that has threads.
    "ignore:.*use of fork\\(\\) may lead to deadlocks:DeprecationWarning"
)

LIFETIME = 0.6


def stay_of(store: LockStore, hold: float = 0.002) -> Stay:
    asked = time.monotonic_ns()
    with store.lock("c") as lock:
        entered = time.monotonic_ns()
        time.sleep(hold)
        return Stay(entered, time.monotonic_ns(), lock.ticket, lock.fencing_token, asked, 0)


def use(store: LockStore) -> list[str]:
    """Use the store in all ways, while the parent holds "c"."""
    found = []

    async def asynchronously() -> None:
        async with store.lock("async", auto_renew=True) as lock:
            await asyncio.sleep(0)
            found.append(f"async {lock.lost}")
        with pytest.raises(LockTimeout):
            async with store.lock("c", timeout=0):
                pass

    asyncio.run(asynchronously())
    with store.lock("sync", auto_renew=True) as lock:
        found.append(f"sync {lock.lost}")
    with pytest.raises(LockTimeout), store.lock("c", timeout=0):
        pass
    asyncio.run(asynchronously())
    line = store.get_lock("c")
    assert line is not None
    found.append(f"{len(line.tickets)} in line")
    return found


USED = ["async False", "sync False", "async False", "1 in line"]


@EVERYWHERE
@pytest.mark.parametrize("renewed", [False, True])
async def test_a_fork_inside_an_async_body(store: LockStore, *, renewed: bool) -> None:
    lifetime = LIFETIME if renewed else 30.0
    turn = store.lock("c", lifetime, auto_renew=renewed)
    async with turn as lock:
        waiting = Turns(store)
        waiting.start(2)
        await waiting.until_in_line(3)

        def leave_the_copy() -> list[str]:
            leaving = turn.__aexit__(None, None, None)
            with pytest.raises(StopIteration):
                leaving.send(None)  # it neither waits nor tells anybody
            seen = store.get_lock("c")
            assert seen is not None
            return [f"{len(seen.tickets)} in line"]

        assert in_child(leave_the_copy) == ["3 in line"]
        await asyncio.sleep(2 * LIFETIME if renewed else 0.1)
        assert not lock.lost
        assert not waiting.done
    await waiting.finish()
    assert not waiting.errors
    assert [done.number for done in waiting.done] == [1, 2]


@EVERYWHERE
@pytest.mark.parametrize("renewed", [False, True])
async def test_a_child_of_an_async_holder_has_locks_of_its_own(
    store: LockStore, *, renewed: bool
) -> None:
    lifetime = LIFETIME if renewed else 30.0
    async with store.lock("c", lifetime, auto_renew=renewed) as lock:
        child = Child(lambda: use(store))
        assert await asyncio.to_thread(child.result) == USED
        await asyncio.sleep(2 * LIFETIME if renewed else 0.0)
        assert not lock.lost
        async with store.lock("parent"):  # its own connections are in order
            pass
    async with store.lock("c", timeout=1.0) as lock:
        assert lock.ticket > 0


@EVERYWHERE
@pytest.mark.parametrize("renewed", [False, True])
def test_a_fork_inside_a_synchronous_body(server: Place, *, renewed: bool) -> None:
    lifetime = LIFETIME if renewed else 30.0
    with LockStore.create(server.url(socket_timeout=2)) as store:
        with contextlib.ExitStack() as body:
            lock = body.enter_context(store.lock("c", lifetime, auto_renew=renewed))

            def leave_the_copy() -> list[str]:
                body.close()
                return use(store)

            assert in_child(leave_the_copy) == USED
            time.sleep(2 * LIFETIME if renewed else 0.0)
            assert not lock.lost
        with store.lock("c", timeout=1.0):
            pass


@EVERYWHERE
def test_a_child_that_closes_the_store_closes_its_own_side_only(server: Place) -> None:
    with LockStore.create(server.url()) as store, store.lock("c") as lock:
        in_child(store.close)

        def use_and_close() -> list[str]:
            found = use(store)
            store.close()
            return found

        assert in_child(use_and_close) == USED
        assert not lock.lost
        with store.lock("d"):
            pass


@EVERYWHERE
def test_a_childs_bare_number_touches_no_ticket_of_its_parent(server: Place) -> None:
    with LockStore.create(server.url()) as store, store.lock("c") as lock:

        def finish() -> int:
            store.finish_serving("c", lock.ticket)
            seen = store.get_lock("c")
            return len(seen.tickets) if seen else 0

        assert in_child(finish) == 1
        assert not lock.lost


@EVERYWHERE
def test_a_child_does_not_renew_what_it_inherited(server: Place) -> None:
    """The parent is gone, its child lives on: the parent's ticket ends with its lifetime."""
    with LockStore.create(server.url()) as store:

        def hold_fork_and_die() -> int:
            inner = LockStore.create(server.url())
            inner.lock("c", LIFETIME, auto_renew=True).__enter__()
            return Child(live_on).pid

        def live_on() -> None:
            with store.lock("d", LIFETIME, auto_renew=True):  # its own heartbeat beats
                time.sleep(3600)

        heir = in_child(hold_fork_and_die)
        try:
            began = time.monotonic()
            with store.lock("c", LIFETIME, auto_renew=True):
                assert time.monotonic() - began < LIFETIME + 1.0
            os.kill(heir, 0)  # it is still there
        finally:
            os.kill(heir, signal.SIGKILL)


@EVERYWHERE
def test_a_turn_made_before_the_fork_and_used_after_it(server: Place) -> None:
    with LockStore.create(server.url()) as store:
        with store.lock("warm-up"):
            pass
        turn = store.lock("c")

        def take_it() -> int:
            with turn as lock:
                return lock.ticket

        assert in_child(take_it) == 0
        assert store.get_lock("c") is None


@EVERYWHERE
def test_children_of_a_warm_parent_share_one_line(server: Place) -> None:
    """As a pre-forking server does: the store is made and used, then the workers are forked."""
    with LockStore.create(server.url()) as store:
        mine = [stay_of(store) for _ in range(3)]

        def work() -> list[Stay]:
            async def asynchronously() -> list[Stay]:
                turns = Turns(store)
                turns.start(10, hold=0.002)
                await turns.finish()
                return turns.done

            return [*asyncio.run(asynchronously()), *(stay_of(store) for _ in range(10))]

        children = [Child(work) for _ in range(3)]
        mine += [stay_of(store) for _ in range(10)]
        for child in children:
            result = child.result()
            assert isinstance(result, list)
            mine += result
    done = sorted(mine)
    assert [turn.number for turn in done] == list(range(73))
    assert_exact(done)


def _multiprocess(url: str, results: SimpleQueue[list[Stay]]) -> None:
    with LockStore.create(url) as store:
        results.put([stay_of(store) for _ in range(10)])


@EVERYWHERE
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing(server: Place, method: str) -> None:
    context: Any = multiprocessing.get_context(method)
    results: SimpleQueue[list[Stay]] = context.SimpleQueue()
    with LockStore.create(server.url()) as store:
        done = [stay_of(store)]
        children = [
            context.Process(target=_multiprocess, args=(server.url(), results)) for _ in range(3)
        ]
        for child in children:
            child.start()
        for _ in children:
            done += results.get()
        for child in children:
            child.join(10.0)
            assert child.exitcode == 0
        done.append(stay_of(store))
    done.sort()
    assert [turn.number for turn in done] == list(range(32))
    assert_exact(done)


def test_an_in_memory_store_in_a_fork_warns_once_and_works_alone() -> None:
    store = InMemoryLockStore()

    def use_it() -> list[str]:
        said: list[str] = []

        class Listener(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                said.append(record.getMessage())

        logging.getLogger("nowserving").addHandler(Listener())

        async def asynchronously() -> None:
            turns = Turns(store)
            turns.start(5, hold=0.001)
            await turns.finish()
            assert not turns.errors
            assert_exact(turns.done)

        asyncio.run(asynchronously())
        with store.lock("c", timeout=0), store.lock("d"):
            pass
        return said

    with store.lock("c") as lock:
        for _ in range(2):  # each child by itself
            said = in_child(use_it)
            assert len(said) == 1
            assert "fork" in said[0]
        assert not lock.lost
        line = store.get_lock("c")
        assert line is not None
        assert len(line.tickets) == 1
