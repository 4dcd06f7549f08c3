"""Turns that live as long as their work: several lifetimes, event loop blocked or not."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.support.crew import Worker, assert_exact, stays
from tests.support.places import EVERYWHERE
from tests.support.tasks import Turns
from tests.support.worker import TurnJob

if TYPE_CHECKING:
    from nowserving import LockStore
    from tests.support.places import Place

pytestmark = EVERYWHERE

LIFETIME = 0.5
RENEWED = {"auto_renew": True}


def test_work_of_5_lifetimes(server: Place) -> None:
    job = TurnJob(hold=5 * LIFETIME, lifetime=LIFETIME, options=RENEWED)
    behind = TurnJob(lifetime=LIFETIME, options=RENEWED)
    others = [behind] * 3
    with Worker(server.url(), job) as worker, Worker(server.url(), *others, on_go=True) as other:
        worker.wait_for("entered")
        other.go()
        other.finish()
        worker.finish()
        assert not any(said["lost"] for said in worker.find("left"))
        done = stays(worker, other)
    assert [turn.number for turn in done] == [0, 1, 2, 3]
    assert_exact(done)
    assert done[0].left - done[0].entered >= 5 * LIFETIME * 1e9


def test_an_event_loop_blocked_for_3_lifetimes(server: Place) -> None:
    job = TurnJob(hold=3 * LIFETIME, block=True, lifetime=LIFETIME, options=RENEWED)
    behind = TurnJob(lifetime=LIFETIME, options=RENEWED)
    # A waiter on the blocked loop keeps its place as well.
    blocked = Worker(server.url(), job, behind)
    with blocked, Worker(server.url(), behind, on_go=True) as other:
        blocked.wait_for("entered")
        other.go()
        blocked.finish()
        other.finish()
        assert not any(said["lost"] for said in blocked.find("left"))
        done = stays(blocked, other)
    assert len(done) == 3
    assert_exact(done)


async def test_a_live_waiter_behind_3_lifetimes_of_work(store: LockStore) -> None:
    turns = Turns(store)
    turns.start(3, hold=LIFETIME, lifetime=LIFETIME, auto_renew=True)
    turns.start(lifetime=LIFETIME, auto_renew=True)
    await turns.finish()
    assert not turns.errors
    assert not turns.losses
    assert [turn.number for turn in turns.done] == [0, 1, 2, 3]
    assert_exact(turns.done)


def test_a_synchronous_turn_of_3_lifetimes(store: LockStore) -> None:
    with store.lock("c", LIFETIME, auto_renew=True) as lock:
        time.sleep(3 * LIFETIME)
        assert not lock.lost


async def test_without_renewal_the_lifetime_is_a_limit(store: LockStore) -> None:
    turns = Turns(store)
    turns.start(hold=2 * LIFETIME, lifetime=LIFETIME)
    turns.start(lifetime=3 * LIFETIME)
    await turns.finish()
    assert not turns.errors
    first, second = sorted(turns.done, key=lambda turn: turn.number)
    assert turns.losses == [first.number]
    assert 0.9 * LIFETIME < (second.entered - first.entered) / 1e9 < LIFETIME + 0.5
    assert second.token > first.token
