"""Calls of threads that meet the end of the portal they go through."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from nowserving import InMemoryLockStore, StoreClosed
from nowserving._runtime.portal import Portal


async def _answer() -> str:
    return "answered"


def test_a_call_that_is_under_way_when_the_portal_ends_is_told_that_the_store_is_closed() -> None:
    portal, told = Portal(), []
    portal.run(_answer())

    def call() -> None:
        try:
            portal.run(asyncio.sleep(60))
        except BaseException as error:  # noqa: BLE001 - it is looked at below
            told.append(error)

    caller = threading.Thread(target=call, daemon=True)
    caller.start()
    while len(asyncio.all_tasks(portal.loop)) != 1:
        time.sleep(0.001)
    portal.stop()
    caller.join(5)
    assert [type(error) for error in told] == [StoreClosed]


def test_a_call_behind_the_portals_last_step_does_not_wait_for_ever() -> None:
    """The loop has done its last iteration, and its thread sleeps before it is closed."""
    portal, told = Portal(), []
    portal.run(_answer())
    close, ended, may_close = portal.loop.close, threading.Event(), threading.Event()

    def close_late() -> None:
        ended.set()
        may_close.wait(5)
        close()

    def call() -> None:
        with pytest.raises(StoreClosed) as error:
            portal.run(_answer())
        told.append(error.value)

    portal.loop.close = close_late  # type: ignore[method-assign]
    stopper = threading.Thread(target=portal.stop, daemon=True)
    caller = threading.Thread(target=call, daemon=True)
    stopper.start()
    assert ended.wait(5)
    caller.start()
    caller.join(5)
    may_close.set()
    stopper.join(5)
    assert told, "it waits for ever"


def test_a_portal_that_has_ended_refuses_calls_and_may_be_stopped_again() -> None:
    portal = Portal()
    assert portal.run(_answer()) == "answered"
    portal.stop()
    portal.stop()
    for refused in (lambda: portal.run(_answer()), lambda: portal.call(print)):
        with pytest.raises(StoreClosed, match="closed"):
            refused()


def test_a_leave_that_comes_after_the_end_covers_no_error_of_its_turn() -> None:
    runtime = InMemoryLockStore()._runtime
    runtime.portal().stop()  # close() is just here: the portal is not forgotten yet
    runtime.leaving.in_background(runtime.queue.handle("c"), "done", time.monotonic() + 60)
