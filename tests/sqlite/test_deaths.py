"""A process that dies is seen at once, however it dies; one that stands still keeps its turn.

Nothing here lives for less than ten minutes: whatever goes on in time, goes on since it was seen.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from nowserving import LockBusy, LockTimeout, SQLiteLockStore
from nowserving.protocol.status import Admission
from nowserving.stores.sqlite.peers import Peers
from tests.support.crew import Worker, until
from tests.support.forks import Child
from tests.support.worker import TurnJob

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.places import SQLiteFile

LIFETIME = 600.0
SOON = 5.0  # seconds: room for a busy machine, and a hundredth of a lifetime
FOREVER = TurnJob(hold=3600.0, lifetime=LIFETIME, wait=60.0)

pytestmark = pytest.mark.filterwarnings(
    # Python 3.12 and newer warn of every fork of a process that has threads.
    "ignore:.*use of fork\\(\\) may lead to deadlocks:DeprecationWarning"
)


def in_line(store: SQLiteLockStore) -> int:
    lock = store.get_lock("c")
    return 0 if lock is None else len(lock.tickets)


def kill(worker: Worker) -> int:
    return worker.signal(signal.SIGKILL)


@pytest.mark.parametrize("waiters", [0, 20])
def test_the_next_live_one_is_served(file: SQLiteFile, path: Path, waiters: int) -> None:
    with contextlib.ExitStack() as stack:
        store = stack.enter_context(SQLiteLockStore(path))
        start = stack.enter_context
        dead = [start(Worker(file.url(), FOREVER))]
        dead[0].wait_for("entered")
        dead += [start(Worker(file.url(), FOREVER)) for _ in range(waiters // 10)]
        dead += [start(Worker(file.url(), *[FOREVER] * (waiters - waiters // 10)))]
        until(lambda: in_line(store) == 1 + waiters)
        alive = start(Worker(file.url(), TurnJob(lifetime=LIFETIME, wait=60.0)))
        until(lambda: in_line(store) == 2 + waiters)
        killed = [kill(worker) for worker in dead][-1]
        (entered,) = alive.wait_for("entered", within=SOON)
        assert entered["number"] == 1 + waiters
        alive.finish()
    assert (entered["at"] - killed) / 1e9 < SOON


async def test_whoever_comes_later_does_not_meet_the_dead(
    file: SQLiteFile, store: SQLiteLockStore
) -> None:
    with Worker(file.url(), FOREVER) as holder:
        await asyncio.to_thread(holder.wait_for, "entered")
        with pytest.raises(LockBusy):
            async with store.lock("c", when_busy="reject"):
                pass
        await asyncio.to_thread(kill, holder)
        deadline = time.monotonic() + SOON
        entered = False
        while not entered:  # the kernel takes a moment
            assert time.monotonic() < deadline
            with contextlib.suppress(LockBusy):
                async with store.lock("c", when_busy="reject") as lock:
                    entered = lock.predecessor == "expired"


async def test_a_dead_turns_message_may_come_again(
    file: SQLiteFile, store: SQLiteLockStore
) -> None:
    turn = TurnJob(hold=3600.0, lifetime=LIFETIME, options={"message_id": "m"})
    with Worker(file.url(), turn) as holder:
        await asyncio.to_thread(holder.wait_for, "entered")
        await asyncio.to_thread(kill, holder)
    async with store.lock("c", message_id="m", timeout=SOON) as lock:
        assert lock.predecessor == "expired"


async def test_one_that_stands_still_keeps_its_turn(
    file: SQLiteFile, store: SQLiteLockStore
) -> None:
    with Worker(file.url(), TurnJob(hold=2.0, lifetime=LIFETIME)) as holder:
        await asyncio.to_thread(holder.wait_for, "entered")
        holder.signal(signal.SIGSTOP)
        with pytest.raises(LockTimeout):
            async with store.lock("c", timeout=0.5):
                pass
        holder.signal(signal.SIGCONT)
        await asyncio.to_thread(holder.finish)
        (left,) = holder.find("left")
        assert not left["lost"]


def test_a_forked_child_does_not_keep_its_parent_alive(path: Path) -> None:
    kept = []

    def hold_fork_and_die() -> int:
        kept.append(SQLiteLockStore(path).lock("c", LIFETIME))  # else it is given back
        kept[0].__enter__()
        return Child(live_on).pid

    def live_on() -> None:
        with SQLiteLockStore(path) as own, own.lock("of the child", LIFETIME):
            time.sleep(3600.0)

    with SQLiteLockStore(path) as store:
        parent = Child(hold_fork_and_die)
        child = parent.result()
        assert isinstance(child, int)
        try:
            with store.lock("c", timeout=SOON) as lock:
                assert lock.predecessor == "expired"
        finally:
            os.kill(child, signal.SIGKILL)


async def test_what_it_has_issued_survives_it(path: Path, store: SQLiteLockStore) -> None:
    def issue() -> str:
        return str(SQLiteLockStore(path).issue_ticket("c", LIFETIME))

    ticket = await asyncio.to_thread(Child(issue).result)
    assert isinstance(ticket, str)
    async with store.lock("c", ticket=ticket, timeout=SOON):
        pass


async def test_two_stores_of_one_process_take_each_other_for_alive(
    path: Path, store: SQLiteLockStore
) -> None:
    other = SQLiteLockStore(path)
    async with store.lock("c", LIFETIME) as lock:
        waiter = asyncio.create_task(enter(other))
        await asyncio.sleep(0.3)  # some looks
        async with SQLiteLockStore(path) as third:  # opening and closing drops no lock
            with pytest.raises(LockTimeout):
                async with third.lock("c", timeout=0.2):
                    pass
        assert not waiter.done()
        assert not lock.lost
    await waiter
    await other.aclose()


async def enter(store: SQLiteLockStore) -> None:
    async with store.lock("c", LIFETIME):
        pass


async def test_nothing_of_the_dead_is_left(
    file: SQLiteFile, path: Path, store: SQLiteLockStore
) -> None:
    with Worker(file.url(), FOREVER) as holder:
        await asyncio.to_thread(holder.wait_for, "entered")
        async with store.lock("another"):
            pass
        peers = path.with_name("locks.db-peers")
        assert len({each.stem for each in peers.iterdir()}) == 2
        await asyncio.to_thread(kill, holder)
        await enter(store)
        assert len({each.stem for each in peers.iterdir()}) == 1


def test_one_that_leaves_is_never_taken_for_dead(tmp_path: Path) -> None:
    """Whoever looks has read the folder before, and locks the file after."""
    staying, leaving = Peers(str(tmp_path), "staying"), Peers(str(tmp_path), "leaving")
    staying.join()
    leaving.join()
    assert staying.find_dead() == []
    leaving.leave()
    assert not staying._is_dead("leaving")
    # The same of one whose file was deleted, and which has made another one.
    leaving.join()
    assert staying.find_dead() == []
    next(tmp_path.glob("leaving.*")).unlink()
    leaving.join()
    assert not staying._is_dead("leaving")
    assert not staying._is_dead("leaving")
    os.close(leaving._own or 0)  # as its death does
    assert staying.find_dead() == ["leaving"]
    staying.leave()


async def test_a_store_that_closes_leaves_no_ticket_that_could_not_be_given_back(
    path: Path, store: SQLiteLockStore
) -> None:
    closing = SQLiteLockStore(path)
    queue = closing._runtime.queue
    await queue.take(queue.handle("c"), Admission(LIFETIME))  # as if its leave had failed
    await closing.aclose()
    async with store.lock("c", timeout=SOON) as lock:
        assert lock.predecessor == "expired"
