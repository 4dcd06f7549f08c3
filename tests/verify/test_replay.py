"""Real worker processes over a real Redis, and what becomes of them."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from benchmarks.own_redis import own_redis
from nowserving.verify.check import check
from nowserving.verify.plan import Plan, make_plan
from nowserving.verify.replay import replay
from nowserving.verify.trace import Message
from nowserving.verify.traffic import make_traffic

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nowserving.verify.crew import WorkerProcess
    from nowserving.verify.turns import TurnRecord

WORKERS = 3


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    with own_redis() as url:
        yield url


def busy_plan(count: int = 120, hold: float = 0.01) -> Plan:
    """Plan one conversation that all workers want at once."""
    messages = [Message(index / 1_000, "one: {and} *only*", "ann", 9) for index in range(count)]
    return make_plan(messages, workers=WORKERS, handler_seconds=hold, speed=1.0)


async def test_every_message_gets_its_turn(store: str) -> None:
    plan = make_plan(make_traffic(150, seed=4), workers=WORKERS, handler_seconds=0.01)
    heard: list[TurnRecord] = []
    outcome = await replay(plan, store=store, lifetime=30, on_turn=heard.append)
    assert heard == outcome.records
    assert sorted(record.index for record in heard) == list(range(150))
    assert {record.error for record in heard} == {None}
    assert outcome.deaths == []
    assert not check(heard, messages=150, locked=True).violated


async def test_a_line_is_served_one_by_one(store: str) -> None:
    outcome = await replay(busy_plan(), store=store, lifetime=30)
    assert not check(outcome.records, messages=120, locked=True).violated
    served = sorted(outcome.records, key=lambda record: record.entered or 0)
    assert [record.number for record in served] == list(range(120))
    assert set(Counter(record.worker for record in served).values()) == {120 // WORKERS}


async def test_without_a_lock_turns_overlap() -> None:
    outcome = await replay(busy_plan(), store=None, lifetime=30)
    findings = check(outcome.records, messages=120, locked=False)
    assert findings.overlaps
    assert not findings.lost


async def test_runs_on_one_store_do_not_share_lines(store: str) -> None:
    both = await asyncio.gather(
        replay(busy_plan(30), store=store, lifetime=30),
        replay(busy_plan(30), store=store, lifetime=30),
    )
    for outcome in both:
        numbers = sorted(record.number or 0 for record in outcome.records)
        assert numbers == list(range(30))


async def test_a_killed_worker_is_told_and_its_messages_are_lost(store: str) -> None:
    crew: list[WorkerProcess] = []
    heard: list[TurnRecord] = []

    def kill_one_in_mid_run(record: TurnRecord) -> None:
        heard.append(record)
        if len(heard) == 20:
            os.kill(crew[1].pid, signal.SIGKILL)

    plan = busy_plan()
    outcome = await replay(
        plan, store=store, lifetime=2, on_start=crew.extend, on_turn=kill_one_in_mid_run
    )
    assert [(death.worker, death.status) for death in outcome.deaths] == [(1, -signal.SIGKILL)]
    findings = check(outcome.records, messages=120, locked=True)
    assert not findings.overlaps
    assert not findings.out_of_order
    told = {record.index for record in outcome.records}
    unheard = {item.index for item in plan.deliveries} - told
    assert unheard
    assert unheard <= findings.lost
    assert {plan.deliveries[index].worker for index in unheard} == {1}


async def test_a_worker_that_cannot_start_says_why() -> None:
    outcome = await replay(busy_plan(9), store="nonsense://", lifetime=30)
    assert outcome.records == []
    assert sorted(death.worker for death in outcome.deaths) == list(range(WORKERS))
    assert all("nonsense" in death.last_words for death in outcome.deaths)


async def test_a_worker_that_stands_still_does_not_hang_the_run(store: str) -> None:
    def freeze(crew: Sequence[WorkerProcess]) -> None:
        os.kill(crew[0].pid, signal.SIGSTOP)

    outcome = await replay(busy_plan(30), store=store, lifetime=0.5, grace=0.5, on_start=freeze)
    assert outcome.stalled
    assert [(death.worker, death.status) for death in outcome.deaths] == [(0, -signal.SIGKILL)]


async def test_a_cancelled_run_leaves_no_worker(store: str) -> None:
    crew: list[WorkerProcess] = []
    started = asyncio.Event()

    def remember(workers: Sequence[WorkerProcess]) -> None:
        crew.extend(workers)
        started.set()

    run = asyncio.create_task(
        replay(busy_plan(hold=0.2), store=store, lifetime=30, on_start=remember)
    )
    await started.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    for worker in crew:
        with pytest.raises(ProcessLookupError):
            os.kill(worker.pid, 0)
