"""What observers are told where processes, servers and threads end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sqlite3
import threading
from typing import TYPE_CHECKING

import pytest

from nowserving import (
    CorruptLock,
    LockStore,
    Observer,
    SQLiteLockStore,
    StoreEvent,
    StoreUnavailable,
)
from nowserving.testing.harness import check_told
from nowserving.testing.turn_log import TurnLog
from tests.support.forks import in_child
from tests.support.places import EVERYWHERE
from tests.support.tasks import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nowserving import TicketEvent
    from tests.support.places import Place
    from tests.support.redis_server import RedisServer


class Outages(Observer):
    """Notes when the store is down and up."""

    def __init__(self) -> None:
        self.told: list[StoreEvent] = []

    def store_down(self, event: StoreEvent) -> None:
        self.told.append(event)

    def store_up(self, event: StoreEvent) -> None:
        self.told.append(event)


async def test_an_outage_of_redis_is_told_once_when_it_begins_and_when_it_ends(
    server: RedisServer,
) -> None:
    told, late = Outages(), Outages()
    async with LockStore.create(server.url(socket_timeout=0.5)) as store:
        store.observe(told)
        async with store.lock("c"):
            pass
        server.kill()
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                async with store.lock("c"):
                    pass
        store.observe(late)  # comes into it
        server.start()
        await until(lambda: len(told.told) == 2)
    down, up = told.told
    assert down.why
    assert down.lasted is None
    assert up.why == ""
    assert up.lasted is not None
    assert up.lasted > 0
    assert down.where == up.where == f"127.0.0.1:{server.port}/1"
    assert [event.lasted is None for event in late.told] == [True, False]


async def test_an_outage_of_a_file_is_told(tmp_path: Path) -> None:
    told = Outages()
    async with SQLiteLockStore(tmp_path / "locks.db", busy_timeout=0.3) as store:
        store.observe(told)
        async with store.lock("c"):
            pass
        with contextlib.closing(sqlite3.connect(tmp_path / "locks.db")) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable):
                async with store.lock("c"):
                    pass
            other.rollback()
        async with store.lock("c"):
            pass
    assert [event.lasted is None for event in told.told] == [True, False]


@EVERYWHERE
async def test_whoever_the_store_does_not_answer_is_told_so(server: RedisServer) -> None:
    told = TurnLog()
    store = LockStore.create(server.url(socket_timeout=0.5))
    store.observe(told)
    await store.aclose()
    with pytest.raises(Exception, match="closed"):
        async with store.lock("c"):
            pass
    assert told.kinds("c") == [], "a closed store begins no turn"


async def test_a_take_without_an_answer_ends_as_unavailable(server: RedisServer) -> None:
    told = TurnLog()
    async with LockStore.create(server.url(socket_timeout=0.5)) as store:
        store.observe(told)
        async with store.lock("c"):
            pass
        server.kill()
        with pytest.raises(StoreUnavailable):
            async with store.lock("c"):
                pass
        assert told.last("c", "left").outcome == "unavailable"
        assert told.last("c", "left").number == -1
        server.start()


@EVERYWHERE
def test_a_child_of_a_fork_tells_of_its_own_turns_only(server: Place) -> None:
    told = TurnLog()
    with LockStore.create(server.url()) as store:
        store.observe(told)
        with store.lock("parent's"):
            assert in_child(lambda: _turn_in_child(store, told)) == [["asked", "served", "left"]]
        assert told.kinds("parent's") == [["asked", "served", "left"]]
        assert told.kinds("child's") == []


def _turn_in_child(store: LockStore, told: TurnLog) -> list[list[str]]:
    begun = told.kinds("parent's")
    with store.lock("child's"):
        pass
    store.close()
    assert told.kinds("parent's") == begun, "it is the parent's to tell how that ends"
    return [list(kinds) for kinds in told.kinds("child's")]


@EVERYWHERE
def test_the_turns_of_a_closed_loop_are_told_to_have_ended(server: Place) -> None:
    told = TurnLog()
    with LockStore.create(server.url()) as store:
        store.observe(told)

        async def hold(name: str) -> None:
            async with store.lock(name):
                await asyncio.sleep(60)

        loop = asyncio.new_event_loop()
        tasks = [loop.create_task(hold(name)) for name in ("a", "a", "b")]
        loop.run_until_complete(asyncio.sleep(0.3))
        assert told.kinds("a") == [["asked", "served"], ["asked", "waiting"]]
        loop.close()
        with contextlib.suppress(RuntimeError):
            for task in tasks:
                task._log_destroy_pending = False  # type: ignore[attr-defined]
        del tasks
        gc.collect()
        check_told(told)
        assert told.last("b", "left").outcome == "abandoned"


@EVERYWHERE
def test_threads_and_whoever_releases_them_at_once_keep_the_order(server: Place) -> None:
    """The watch brings the loss, the thread the end: whichever is first, both are told in order."""
    told = TurnLog()
    with LockStore.create(server.url()) as store:
        store.observe(told)

        def turns(index: int) -> None:
            for _ in range(30):
                with store.lock(f"c{index}", wait_time_in_seconds=0.02):
                    entered.release()

        async def release() -> None:
            for index in (0, 1, 2):
                await store.release(f"c{index}", reason="racing")

        entered = threading.Semaphore(0)
        threads = [threading.Thread(target=turns, args=(index,)) for index in (0, 1, 2)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            entered.acquire(timeout=0.05)
            asyncio.run(release())
        for thread in threads:
            thread.join()
        check_told(told)
        assert len(told.turns) == 90


class _Locking(Observer):
    """Holds a plain lock while it is told something, as a metrics library does."""

    def __init__(self) -> None:
        self.mutex = threading.Lock()
        self.ends = 0

    def asked(self, event: TicketEvent) -> None:  # noqa: ARG002
        with self.mutex:
            gc.collect()  # any moment may be one in which the collector runs

    def left(self, event: TicketEvent) -> None:  # noqa: ARG002
        with self.mutex:
            self.ends += 1


@EVERYWHERE
@pytest.mark.timeout(30)
def test_a_turn_that_is_collected_in_the_middle_of_an_observer_does_not_stop_it(
    server: Place,
) -> None:
    with LockStore.create(server.url()) as store:
        observer = _Locking()
        store.observe(observer)

        def suspended(name: str) -> Iterator[None]:
            with store.lock(name):
                yield

        for index in range(5):
            box: list[object] = [suspended(f"c{index}")]
            next(box[0])  # type: ignore[call-overload]
            box.append(box)
            del box  # only the collector ends it
            with store.lock("another"):
                pass
        gc.collect()
        deadline = threading.Event()
        for _ in range(100):
            if observer.ends == 10:
                break
            deadline.wait(0.05)
        assert observer.ends == 10


class _Threads(TurnLog):
    """Notes as well on which thread it is told of ends."""

    def __init__(self) -> None:
        super().__init__()
        self.left_on: list[threading.Thread] = []

    def left(self, event: TicketEvent) -> None:
        self.left_on.append(threading.current_thread())
        super().left(event)


@EVERYWHERE
async def test_a_turn_that_is_collected_while_it_leaves_is_told_a_moment_later(
    server: Place,
) -> None:
    """Who closes its coroutine may be a finaliser, in the middle of an observer's own step."""
    told = _Threads()
    async with LockStore.create(server.url()) as store:
        store.observe(told)
        turn = store.lock("c")
        await turn.__aenter__()
        leaving = turn.__aexit__(None, None, None)
        leaving.send(None)
        leaving.close()
        await until(lambda: told.kinds("c") == [["asked", "served", "left"]])
        assert told.left_on != [threading.current_thread()]


@EVERYWHERE
async def test_a_waiter_that_is_collected_while_it_gives_up_is_told_a_moment_later(
    server: Place,
) -> None:
    async def take_a_turn() -> None:
        async with store.lock("c"):
            pass

    told = _Threads()
    async with LockStore.create(server.url()) as store, store.lock("c"):
        store.observe(told)
        waiting = take_a_turn()
        waiter = asyncio.ensure_future(waiting)
        await until(lambda: told.kinds("c") == [["asked", "waiting"]])
        waiter.cancel()
        await asyncio.sleep(0)  # it asks to be taken out of the line
        waiting.close()
        await until(lambda: told.kinds("c") == [["asked", "waiting", "left"]])
        assert told.left_on != [threading.current_thread()]
        with pytest.raises(RuntimeError):  # there is nothing left of it to run
            await waiter


class _Struck(Observer):
    """Is struck by Ctrl-C when it is told of a turn."""

    def asked(self, event: TicketEvent) -> None:  # noqa: ARG002
        raise KeyboardInterrupt


@EVERYWHERE
async def test_ctrl_c_in_an_observer_ends_the_turn_for_the_others(server: Place) -> None:
    told = TurnLog()
    async with LockStore.create(server.url()) as store:
        store.observe(told)
        store.observe(_Struck())
        with pytest.raises(KeyboardInterrupt):
            await store.lock("c").__aenter__()
        await until(lambda: told.kinds("c") == [["asked", "left"]])
        assert told.last("c", "left").outcome == "abandoned"
        assert await store.inspect("c") is None


async def test_a_ticket_that_a_record_which_can_not_be_read_refuses_is_told_so(
    server: RedisServer,
) -> None:
    told = TurnLog()
    async with LockStore.create(server.url()) as store:
        store.observe(told)
        server.cli("SET", "lock:{c}", "foreign", "EX", "60")
        with pytest.raises(CorruptLock):
            await store.take_ticket("c")
    assert [event.reason for event in told.issued] == ["corrupt"]


class _Cancelling(Observer):
    """Cancels whoever is refused in the moment in which that is told."""

    def refused(self, event: TicketEvent) -> None:  # noqa: ARG002
        task = asyncio.current_task()
        assert task is not None
        task.cancel()


@EVERYWHERE
async def test_a_ticket_is_told_to_be_refused_before_anything_else_is_asked(server: Place) -> None:
    async with LockStore.create(server.url()) as store, store.lock("c"):
        store.observe(_Cancelling())
        with pytest.raises(asyncio.CancelledError):
            await asyncio.ensure_future(store.take_ticket("c", when_busy="reject"))


@EVERYWHERE
async def test_an_interrupted_turn_that_is_collected_as_it_takes_that_back_has_an_end(
    server: Place,
) -> None:
    async def collected() -> None:
        turn = store.lock("c", when_busy="interrupt")
        await turn.__aenter__()
        newer.append(asyncio.ensure_future(take_a_turn()))
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        ticket = turn._ticket
        assert ticket is not None
        assert ticket.cancellation is not None
        leaving = turn.__aexit__(None, None, None)
        leaving.send(None)  # what was cancelled may not have been told so yet
        leaving.close()

    async def take_a_turn() -> None:
        async with store.lock("c", when_busy="interrupt"):
            pass

    told, newer = _Threads(), list[asyncio.Task[None]]()
    async with LockStore.create(server.url()) as store:
        store.observe(told)
        await asyncio.ensure_future(collected())
        await asyncio.wait_for(newer[0], 10)
        await until(lambda: not told.unfinished())
        check_told(told)
        assert threading.current_thread() not in told.left_on[:1]
