"""All workers together: a common start, and everything they record until the last one is done."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nowserving.verify.crew import Death, WorkerProcess
from nowserving.verify.worker import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nowserving.verify.plan import Plan
    from nowserving.verify.turns import TurnRecord

_READY_WITHIN = 60.0  # seconds
_START_IN = 50_000_000  # nanoseconds: every worker must know the start before it comes


@dataclass
class Replay:
    """What came of a plan.

    Attributes:
        start: The common start, in nanoseconds of the monotonic clock.
        records: What the workers recorded, in the order in which it was heard.
        deaths: The workers that ended before their job was done.
        stalled: Whether nothing happened for so long that the workers were stopped.
    """

    start: int = 0
    records: list[TurnRecord] = field(default_factory=list)
    deaths: list[Death] = field(default_factory=list)
    stalled: bool = False


async def replay(  # noqa: PLR0913 - a run's facts, handed over once
    plan: Plan,
    *,
    store: str | None,
    lifetime: float,
    options: Mapping[str, Any] | None = None,
    grace: float = 15.0,
    on_start: Callable[[Sequence[WorkerProcess]], None] = lambda _: None,
    on_turn: Callable[[TurnRecord], None] = lambda _: None,
) -> Replay:
    """Carry out a plan with real processes.

    Args:
        plan: What to do.
        store: URL of the store they share; None to work without a lock.
        lifetime: Seconds that a ticket lives.
        options: How turns are asked for beside that, as arguments of ``lock()``.
        grace: Seconds without any news, beyond those that the plan explains, after which the
            workers are stopped.
        on_start: Called with the workers, right before they start.
        on_turn: Called with each record as it is heard.
    """
    outcome = Replay()
    prefix = f"verify-{secrets.token_hex(4)} "
    deliveries = {delivery.index: delivery for delivery in plan.deliveries}
    jobs = [
        Job.of(
            worker,
            plan.share_of(worker),
            store=store,
            lifetime=lifetime,
            prefix=prefix,
            options=options,
        )
        for worker in range(plan.workers)
    ]
    async with contextlib.AsyncExitStack() as stack:
        crew = [await stack.enter_async_context(WorkerProcess(job, deliveries)) for job in jobs]
        await asyncio.gather(*map(_wait_ready, crew))
        on_start(crew)
        outcome.start = time.monotonic_ns() + _START_IN
        await asyncio.gather(*(worker.go(outcome.start) for worker in crew))
        lifetime += (options or {}).get("settle", 0.0)
        patience = plan.longest_silence + 2 * lifetime + grace
        await _hear_all(crew, outcome, on_turn, patience)
    return outcome


async def _wait_ready(worker: WorkerProcess) -> None:
    try:
        await asyncio.wait_for(worker.ready(), _READY_WITHIN)
    except asyncio.TimeoutError:
        worker.kill()


async def _hear_all(
    crew: Sequence[WorkerProcess],
    outcome: Replay,
    on_turn: Callable[[TurnRecord], None],
    patience: float,
) -> None:
    """Listen until every worker is done or dead; kill them when all are silent for too long."""
    pending = {asyncio.ensure_future(_hear(worker, outcome, on_turn)) for worker in crew}
    try:
        while pending:
            heard = len(outcome.records)
            ended, pending = await asyncio.wait(pending, timeout=patience)
            for listener in ended:
                listener.result()  # an error of ours must not pass for a dead worker
            if pending and len(outcome.records) == heard:
                outcome.stalled = True
                for worker in crew:
                    worker.kill()
    finally:
        for listener in pending:
            listener.cancel()
        for worker in crew:  # all at once, before they are waited for one by one
            worker.dismiss()
        await asyncio.gather(*pending, return_exceptions=True)


async def _hear(
    worker: WorkerProcess, outcome: Replay, on_turn: Callable[[TurnRecord], None]
) -> None:
    async for record in worker.turns():
        outcome.records.append(record)
        on_turn(record)
    death = await worker.death()
    if death is not None:
        outcome.deaths.append(death)
