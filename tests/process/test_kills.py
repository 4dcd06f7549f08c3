"""Workers that are killed, stopped in good order, or frozen past their lease."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.crew import Worker, assert_exact, stays, until
from tests.support.places import EVERYWHERE
from tests.support.worker import TurnJob

if TYPE_CHECKING:
    from pathlib import Path

    from nowserving import LockStore
    from tests.process.conftest import Measured
    from tests.support.places import Place

pytestmark = EVERYWHERE

LIFETIME = 1.0
RENEWED = {"auto_renew": True}
FOREVER = TurnJob(hold=3600.0, lifetime=LIFETIME, options=RENEWED)
NEXT = TurnJob(lifetime=LIFETIME, options=RENEWED)


def in_line(store: LockStore) -> int:
    lock = store.get_lock("c")
    return 0 if lock is None else len(lock.tickets)


def seconds(earlier: int, later: int) -> float:
    return (later - earlier) / 1e9


def test_kill_9_of_a_holder(server: Place, store: LockStore, measured: Measured) -> None:
    with Worker(server.url(), FOREVER) as holder:
        holder.wait_for("entered")
        with Worker(server.url(), NEXT) as waiter:
            until(lambda: in_line(store) == 2)
            killed = holder.signal(signal.SIGKILL)
            (entered,) = waiter.wait_for("entered", within=5.0)
            waiter.finish()
    measured("seconds", seconds(killed, entered["at"]))
    assert seconds(killed, entered["at"]) < LIFETIME + 1.0


def test_kill_9_of_a_holder_and_of_20_waiters(
    server: Place, store: LockStore, measured: Measured
) -> None:
    """The dead are gone all together, not one lifetime after another."""
    with contextlib.ExitStack() as stack:
        start = stack.enter_context
        dead = [start(Worker(server.url(), FOREVER))]
        dead[0].wait_for("entered")
        dead += [start(Worker(server.url(), *[NEXT] * 10)) for _ in range(2)]
        until(lambda: in_line(store) == 21)
        alive = start(Worker(server.url(), NEXT))
        until(lambda: in_line(store) == 22)
        killed = [worker.signal(signal.SIGKILL) for worker in dead][-1]
        (entered,) = alive.wait_for("entered", within=5.0)
        alive.finish()
    assert entered["number"] == 21
    measured("seconds", seconds(killed, entered["at"]))
    assert seconds(killed, entered["at"]) < LIFETIME + 1.0


def test_kill_9_without_renewal_takes_two_lifetimes(
    server: Place, store: LockStore, measured: Measured
) -> None:
    """A dead waiter that is served gets a lifetime anew, but only the first one lives so long."""
    holder = TurnJob(hold=3600.0, lifetime=LIFETIME)
    waiter = TurnJob(hold=3600.0, lifetime=LIFETIME, after=LIFETIME / 2)
    with Worker(server.url(), holder, *[waiter] * 5) as dead:
        until(lambda: in_line(store) == 6)
        killed = dead.signal(signal.SIGKILL)
        with store.lock("c", 30.0):
            entered = time.monotonic_ns()
    measured("seconds", seconds(killed, entered))
    assert seconds(killed, entered) < 2 * LIFETIME + 1.0


@pytest.mark.parametrize("waiters", [0, 20])
def test_sigterm_with_aclose(
    server: Place, store: LockStore, measured: Measured, waiters: int
) -> None:
    turns = [FOREVER, *[NEXT] * waiters]
    with Worker(server.url(), *turns) as leaving, Worker(server.url(), NEXT, on_go=True) as waiter:
        leaving.wait_for("entered")
        until(lambda: in_line(store) == 1 + waiters)
        waiter.go()
        until(lambda: in_line(store) == 2 + waiters)
        told = leaving.signal(signal.SIGTERM)
        (entered,) = waiter.wait_for("entered", within=5.0)
        waiter.finish()
        closed = leaving.wait_for("refused", count=waiters) if waiters else []
    assert {refused["error"] for refused in closed} <= {"StoreClosed"}
    measured("seconds", seconds(told, entered["at"]))
    assert seconds(told, entered["at"]) < 0.5


def test_a_holder_that_was_frozen_past_its_lease_is_fenced_off(
    server: Place, store: LockStore, tmp_path: Path
) -> None:
    tracker = str(tmp_path / "tracker.db")
    with contextlib.closing(sqlite3.connect(tracker)) as table:
        table.execute("CREATE TABLE tracker (conversation TEXT PRIMARY KEY, token, writer)")
        table.execute("INSERT INTO tracker VALUES ('c', 0, NULL)")
        table.commit()
    late = TurnJob(hold=1.0, lifetime=LIFETIME, options=RENEWED, tracker=tracker)
    quick = TurnJob(lifetime=LIFETIME, options=RENEWED, tracker=tracker)
    with Worker(server.url(), late) as frozen, Worker(server.url(), quick, on_go=True) as other:
        frozen.wait_for("entered")
        other.wait_for("ready")
        other.go()
        until(lambda: in_line(store) == 2)
        frozen.signal(signal.SIGSTOP)
        (accepted,) = other.wait_for("left", within=5.0)
        other.finish()
        frozen.signal(signal.SIGCONT)
        (refused,) = frozen.wait_for("left", within=5.0)
        frozen.wait_for("done")
    assert accepted["written"]
    assert not accepted["lost"]
    assert refused["lost"]
    assert not refused["written"]
    assert refused["token"] < accepted["token"]
    with contextlib.closing(sqlite3.connect(tracker)) as table:
        row = table.execute("SELECT token FROM tracker").fetchone()
    assert row == (accepted["token"],)


def test_frozen_waiters_do_not_enter_late(server: Place, store: LockStore) -> None:
    """Their wake-up was pushed while they slept, and is old news when they wake."""
    with Worker(server.url(), *[NEXT] * 3) as frozen:
        with store.lock("c", 30.0):
            frozen.wait_for("ready")
            until(lambda: in_line(store) == 4)
            frozen.signal(signal.SIGSTOP)
        with store.lock("c", 30.0):  # behind them, so they are gone
            frozen.signal(signal.SIGCONT)
            refused = frozen.wait_for("refused", count=3, within=5.0)
            assert not frozen.find("entered")
        assert {said["error"] for said in refused} == {"LockError"}
        frozen.finish()


def test_turns_around_a_kill_stay_exact(server: Place) -> None:
    """Four workers share a busy line, and one of them is killed in the middle of it."""
    turns = [TurnJob(hold=0.005, lifetime=LIFETIME, wait=0.2, options=RENEWED)] * 60
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(Worker(server.url(), *turns, on_go=True)) for _ in range(4)]
        for worker in workers:
            worker.wait_for("ready")
        for worker in workers:
            worker.go()
        workers[0].wait_for("left", count=10)
        workers[0].signal(signal.SIGKILL)
        for worker in workers[1:]:
            worker.finish()
        done = stays(*workers)
    assert_exact(done)
    assert sum(len(stays(worker)) for worker in workers[1:]) == 180
