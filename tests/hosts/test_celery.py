"""Real Celery workers of each kind: their tasks run in processes, threads or greenlets."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.crew import until
from tests.support.programs import Running

if TYPE_CHECKING:
    from collections.abc import Callable

APP = Path(__file__).parent / "programs" / "celery_app.py"
RETRYING = APP.with_name("celery_retry_app.py")
TASKS = 12


IN_ONE_PROCESS = ["gevent", "eventlet", "threads"]
POOLS = [(kind, pool) for kind in ("memory", "redis") for pool in IN_ONE_PROCESS]


@pytest.mark.parametrize(("url", "pool"), [*POOLS, ("redis", "prefork")], indirect=["url"])
def test_tasks_take_turns(url: str, pool: str, tmp_path: Path) -> None:
    inside: Counter[str] = Counter()
    for step in steps_of(APP, url, pool, tmp_path, workers=4, tasks=TASKS):
        inside[step["conversation"]] += 1 if step["step"] == "entered" else -1
        assert inside[step["conversation"]] in {0, 1}, step
        assert not step.get("lost")


@pytest.mark.parametrize(
    ("url", "pool"), [("redis", "prefork"), ("redis", "threads")], indirect=["url"]
)
def test_tasks_that_come_again_later_hold_no_worker(url: str, pool: str, tmp_path: Path) -> None:
    """Three workers: the first three busy messages would hold them all."""
    steps = steps_of(RETRYING, url, pool, tmp_path, workers=3, tasks=5)
    told = [(step["step"], step["message"]) for step in steps]
    assert [message for step, message in told if step == "entered" and message < 4] == [0, 1, 2, 3]
    assert told.index(("left", 4)) < told.index(("left", 0))
    busy = [step for step in told if step[1] < 4]
    assert busy == [(step, message) for message in range(4) for step in ("entered", "left")]
    assert max(step.get("tries", 0) for step in steps) > 0


def steps_of(
    app: Path,
    url: str,
    pool: str,
    folder: Path,
    *,
    workers: int,
    tasks: int,
    done: Callable[[], bool] = lambda: True,
) -> list[dict[str, Any]]:
    """Run an app's worker until its tasks are done, and return what they have written down."""
    (folder / "control").mkdir()
    notes = folder / "notes"
    notes.touch()
    worker = Running(
        *("-m", "celery", "--workdir", str(app.parent), "-A", app.stem, "worker"),
        *("-P", pool, "-c", str(workers), "--loglevel", "warning"),
        *("--without-mingle", "--without-gossip"),
        STORE_URL=url,
        FOLDER=str(folder),
    )
    with worker:
        until(lambda: is_over(worker, notes, tasks) and done(), 20.0)
        assert "Traceback" not in worker.log, worker.log
    return [json.loads(line) for line in notes.read_text().splitlines()]


def is_over(worker: Running, notes: Path, tasks: int) -> bool:
    worker.check()
    return "Traceback" in worker.log or notes.read_text().count('"left"') == tasks
