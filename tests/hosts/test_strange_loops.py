"""Event loops and tasks that are not asyncio's own, and callers that are in no task at all."""

from __future__ import annotations

import sys
import textwrap

import pytest

from tests.support import programs

PRELUDE = """
import asyncio, functools
from nowserving import (
    LockInterrupted, LockLost, LockReentered, LockStore, LockTimeout
)

store = LockStore.create(sys.argv[1])

async def turn(me, order, hold=0.01):
    async with store.lock("c", 5, auto_renew=True) as lock:
        order.append(me)
        await asyncio.sleep(hold)
        assert not lock.lost

async def in_order():
    order = []
    await asyncio.gather(*(turn(me, order) for me in range(5)))
    assert order == [0, 1, 2, 3, 4], order

async def nested():
    async with store.lock("c") as outer:
        try:
            async with store.lock("c", timeout=1):
                raise AssertionError("entered twice")
        except LockReentered:
            pass
        async with store.lock("c", reentrant=True) as inner:
            assert inner.ticket == outer.ticket

async def given_up():
    async with store.lock("c"):
        stranger = asyncio.ensure_future(turn("a stranger", []))
        await asyncio.sleep(0.05)
        stranger.cancel()
        await asyncio.wait([stranger])
        assert stranger.cancelled()
    async def impatient():
        async with store.lock("c", timeout=0.1):
            raise AssertionError("entered")
    async with store.lock("c"):
        try:
            await asyncio.ensure_future(impatient())
        except LockTimeout:
            return
    raise AssertionError("waited for no time")

async def stopped(entered, **options):
    async with store.lock("c", **options):
        entered.set()
        await asyncio.sleep(5)

async def lost():
    entered = asyncio.Event()
    holder = asyncio.ensure_future(stopped(entered, on_lost="cancel"))
    await entered.wait()
    store.delete_lock("c")
    await asyncio.wait([holder], timeout=2)
    assert isinstance(holder.exception(), LockLost)

async def interrupted():
    entered = asyncio.Event()
    holder = asyncio.ensure_future(stopped(entered))
    await entered.wait()
    async with store.lock("c", when_busy="interrupt", timeout=2):
        await asyncio.wait([holder], timeout=2)
        assert isinstance(holder.exception(), LockInterrupted)

async def everything():
    for scenario in (in_order, nested, given_up, lost, interrupted):
        try:
            await asyncio.wait_for(asyncio.ensure_future(scenario()), 5)
        except BaseException as error:
            raise AssertionError(f"{scenario.__name__}: {error!r}") from error
        assert store.get_lock("c") is None, scenario
    await store.aclose()
"""

LOOPS = {
    "nest_asyncio": """
        import nest_asyncio
        nest_asyncio.apply()
        asyncio.run(everything())
    """,
    "nest_asyncio, a loop within a loop": """
        import nest_asyncio
        nest_asyncio.apply()
        async def outer():
            asyncio.get_running_loop().run_until_complete(everything())
        asyncio.run(outer())
    """,
    "nest_asyncio, a turn within a turn": """
        import nest_asyncio
        nest_asyncio.apply()
        async def outer():
            async with store.lock("d"):
                order = []
                asyncio.get_running_loop().run_until_complete(turn("inner", order))
                assert order == ["inner"]
        asyncio.run(outer())
        assert store.get_lock("d") is None
    """,
    "tasks in pure Python": """
        def factory(loop, coroutine, **options):
            return asyncio.tasks._PyTask(coroutine, loop=loop, **options)
        loop = asyncio.new_event_loop()
        loop.set_task_factory(factory)
        loop.run_until_complete(everything())
        loop.close()
    """,
    "tasks of a class of one's own": """
        class Task(asyncio.Task):
            pass
        def factory(loop, coroutine, **options):
            return Task(coroutine, loop=loop, **options)
        loop = asyncio.new_event_loop()
        loop.set_task_factory(factory)
        loop.run_until_complete(everything())
        loop.close()
    """,
    "eager tasks": """
        loop = asyncio.new_event_loop()
        loop.set_task_factory(asyncio.eager_task_factory)
        loop.run_until_complete(everything())
        loop.close()
    """,
    "uvloop": """
        import uvloop
        loop = uvloop.new_event_loop()
        loop.run_until_complete(everything())
        loop.close()
    """,
}

# A trampoline, as other frameworks bring one along: no task of asyncio is running in it.
NO_TASK = """
class Driven:
    def __init__(self, coroutine):
        self.loop = asyncio.get_running_loop()
        self.done = self.loop.create_future()
        self.coroutine = coroutine
        self.loop.call_soon(self.step)

    def step(self, waited_for=None):
        assert asyncio.current_task() is None
        try:
            waits_for = self.coroutine.send(None)
        except StopIteration:
            self.done.set_result(None)
        except BaseException as error:
            self.done.set_exception(error)
        else:
            if waits_for is None:
                self.loop.call_soon(self.step)
            else:
                waits_for._asyncio_future_blocking = False
                waits_for.add_done_callback(self.step)

def drive(coroutine):
    return asyncio.wait_for(Driven(coroutine).done, 5)
"""

WITHOUT_A_TASK = {
    "strangers wait for one another": """
        order = []
        async def main():
            turns = [Driven(turn(me, order, 0.05)).done for me in range(5)]
            await asyncio.wait_for(asyncio.gather(*turns), 5)
            assert order == [0, 1, 2, 3, 4], order
    """,
    "no longer than they want": """
        async def impatient():
            async with store.lock("c", timeout=0.2):
                raise AssertionError("entered")
        async def main():
            async with store.lock("c"):
                try:
                    await drive(impatient())
                except LockTimeout:
                    return
            raise AssertionError("waited for no time")
    """,
    "a lock that is lost": """
        async def hold():
            async with store.lock("c", on_lost="cancel") as lock:
                store.delete_lock("c")
                await lock.lost_event.wait()
                assert lock.lost
        async def main():
            try:
                await drive(hold())
            except LockLost:
                pass
    """,
    "an interruption": """
        async def hold(entered):
            async with store.lock("c") as lock:
                entered.set()
                await lock.lost_event.wait()
                assert lock.lost
        async def main():
            entered = asyncio.Event()
            holder = Driven(hold(entered)).done
            await entered.wait()
            async with store.lock("c", when_busy="interrupt", timeout=2):
                assert holder.done()
            await asyncio.wait([holder])
    """,
}


EAGER_TASKS_SINCE = (3, 12)


@pytest.mark.parametrize(
    "name",
    [name for name in LOOPS if name != "eager tasks" or sys.version_info >= EAGER_TASKS_SINCE],
)
def test_loops_and_tasks(url: str, name: str) -> None:
    run(url, PRELUDE, LOOPS[name])


@pytest.mark.parametrize("name", WITHOUT_A_TASK)
def test_callers_without_a_task(url: str, name: str) -> None:
    end = "asyncio.run(main()); assert store.get_lock('c') is None; store.close()"
    run(url, PRELUDE, NO_TASK, WITHOUT_A_TASK[name], end)


def run(url: str, *parts: str) -> None:
    program = "".join(map(textwrap.dedent, parts))
    ended = programs.run(program, url, within=20.0, warnings="ignore")
    assert ended.status == 0, ended.err
    assert "Traceback" not in ended.err  # a warning that the lock was lost is in place
