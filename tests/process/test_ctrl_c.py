"""Ctrl-C, or any exception of a signal's handler, in a thread that enters or leaves a turn."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from nowserving import InMemoryLockStore, LockError, LockStore
from nowserving._runtime.portal import Portal, run_inline
from tests.support.crew import ROOT, environment
from tests.support.places import EVERYWHERE

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from nowserving.protocol.handle import TicketHandle
    from nowserving.protocol.status import Departure, Outcome
    from tests.support.places import Place
    from tests.support.redis_server import RedisServer

    Run = Callable[[Portal, Coroutine[Any, Any, Any]], Any]


class Signalled(BaseException):
    """What the signal's handler raises."""


@pytest.fixture
def far(server: Place) -> Iterator[LockStore]:
    with LockStore.create(server.url(socket_timeout=2)) as store:
        store.get_lock("c")  # connected
        yield store


def _once_it_has_ended(portal: Portal, coroutine: Coroutine[Any, Any, Any]) -> None:
    """The signal comes right after the coroutine has ended: the thread was about to wake."""
    with contextlib.suppress(LockError):
        RUN(portal, coroutine)
    raise Signalled


def _before_it_has_begun(_: Portal, coroutine: Coroutine[Any, Any, Any]) -> None:
    """The signal comes before the coroutine's first step, which it never does then."""
    coroutine.close()
    raise Signalled


def _half_way(portal: Portal, coroutine: Coroutine[Any, Any, Any]) -> None:
    """The signal comes while the store is asked."""

    async def one_step() -> None:
        task = asyncio.ensure_future(coroutine)
        await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    RUN(portal, one_step())
    raise Signalled


RUN = Portal.run
WHENS: list[Run] = [_once_it_has_ended, _before_it_has_begun, _half_way]


@contextlib.contextmanager
def signalled(when: Run) -> Iterator[None]:
    """The next synchronous call meets a signal."""
    with mock.patch.object(Portal, "run", when), pytest.raises(Signalled):
        yield


@contextlib.contextmanager
def signalled_inline() -> Iterator[None]:
    """The same for a queue whose coroutines run in the caller's thread."""
    calls = []

    def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
        calls.append(coroutine)
        result: Any = run_inline(coroutine)
        if len(calls) == 1:
            raise Signalled
        return result

    with mock.patch("nowserving._runtime.runtime.run_inline", run), pytest.raises(Signalled):
        yield


def assert_nothing_is_left(store: LockStore, name: str = "c") -> None:
    deadline = time.monotonic() + 5
    while store.is_someone_waiting(name):
        assert time.monotonic() < deadline, f"a ticket was left: {store.get_lock(name)}"
        time.sleep(0.002)
    assert not store._runtime.live()
    heartbeat = store._runtime._heartbeat
    assert heartbeat is None or not heartbeat._tickets


@EVERYWHERE
@pytest.mark.parametrize("when", WHENS)
def test_on_the_way_in(far: LockStore, when: Run) -> None:
    with signalled(when):
        far.lock("c", auto_renew=True).__enter__()
    assert_nothing_is_left(far)
    with far.lock("c", timeout=0):
        pass


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("when", WHENS)
def test_on_the_way_in_a_place_is_kept(
    server: RedisServer, far: LockStore, when: Run, *, held: bool
) -> None:
    with LockStore.create(server.url()) as other, contextlib.ExitStack() as stack:
        if held:
            stack.enter_context(other.lock("c"))
        ticket = far.issue_ticket("c")
        with signalled(when):
            far.lock("c", ticket=ticket, timeout=0.1, keep_place=True).__enter__()
        assert not far._runtime.live()
        deadline = time.monotonic() + 5
        while not is_unclaimed(server, ticket):
            assert time.monotonic() < deadline, "its place was not kept"
            time.sleep(0.002)
        stack.close()
        with other.lock("c", ticket=ticket, timeout=0) as lock:
            assert lock.ticket == ticket


def is_unclaimed(server: RedisServer, ticket: int) -> bool:
    found = server.cli("HGET", "lock:{c}", int(ticket))
    return found is not None and " - " in found


@EVERYWHERE
@pytest.mark.parametrize("when", WHENS)
def test_on_the_way_out(far: LockStore, when: Run) -> None:
    turn = far.lock("c", auto_renew=True)
    turn.__enter__()
    with signalled(when):
        turn.__exit__(None, None, None)
    assert_nothing_is_left(far)


@EVERYWHERE
@pytest.mark.parametrize("when", WHENS)
def test_while_a_ticket_is_issued(far: LockStore, when: Run) -> None:
    with signalled(when):
        far.issue_ticket("c")
    assert_nothing_is_left(far)


def test_in_memory() -> None:
    with InMemoryLockStore() as store:
        with signalled_inline():
            store.lock("c", auto_renew=True).__enter__()
        assert_nothing_is_left(store)
        turn = store.lock("c", auto_renew=True)
        turn.__enter__()
        with signalled_inline():
            turn.__exit__(None, None, None)
        assert_nothing_is_left(store)


def test_in_memory_in_the_middle_of_a_leave() -> None:
    with InMemoryLockStore() as store:
        turn = store.lock("c")
        turn.__enter__()
        queue: Any = store._runtime.queue
        here = threading.current_thread()
        leave = queue.at_once.leave_now

        def struck(handle: TicketHandle, outcome: Outcome) -> Departure:
            if threading.current_thread() is here:
                raise Signalled
            departure: Departure = leave(handle, outcome)
            return departure

        with mock.patch.object(queue, "leave_now", struck), pytest.raises(Signalled):
            turn.__exit__(None, None, None)
        assert_nothing_is_left(store)


@EVERYWHERE
def test_a_turn_that_is_entered_twice_keeps_its_ticket(far: LockStore) -> None:
    with far.lock("c") as lock:
        turn = far.lock("d")
        with turn as held:
            with pytest.raises(RuntimeError, match="entered before"):
                turn.__enter__()
            assert far.is_someone_waiting("d")
            assert not held.lost
        assert not lock.lost


PROGRAM = """
import random, signal, sys, time, traceback
from nowserving import LockStore
from nowserving._turns.turn import Turn

class Signalled(BaseException): pass

def handler(*_):
    raise Signalled

def struck(error):
    *_, (frame, _), _ = traceback.walk_tb(error.__traceback__)  # the last is the handler's
    return frame.f_code

signal.signal(signal.SIGALRM, handler)
store, other = LockStore.create(sys.argv[1]), LockStore.create(sys.argv[1])
store.get_lock("c"), other.get_lock("c")
here = sys._getframe().f_code
end, tries = time.monotonic() + 4, 0
while time.monotonic() < end:
    name, tries = f"c{tries}", tries + 1
    turn, step = store.lock(name, auto_renew=True), None
    try:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0001, 0.0015))
        step = turn.__enter__
        step()
        step = turn.__exit__
        step(None, None, None)
        time.sleep(0.01)
    except Signalled as error:
        # Between our steps, or before one has done anything: Python has no remedy for that.
        if struck(error) in (here, Turn.__exit__.__code__):
            turn.__exit__(None, None, None)
        where = "".join(traceback.format_tb(error.__traceback__))
    soon = time.monotonic() + 5
    while other.is_someone_waiting(name):
        if time.monotonic() > soon:
            sys.exit(f"{where}: a ticket was left after {tries} tries: {other.get_lock(name)}")
        time.sleep(0.002)
store.close()
other.close()
"""


@EVERYWHERE
def test_real_signals_leave_no_ticket(server: Place) -> None:
    program = [sys.executable, "-c", PROGRAM, server.url()]
    ended = subprocess.run(
        program,
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
