"""Real Celery workers of each kind: their tasks run in processes, threads or greenlets."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.support.crew import until
from tests.support.programs import Running

APP = Path(__file__).parent / "programs" / "celery_app.py"
TASKS = 12


IN_ONE_PROCESS = ["gevent", "eventlet", "threads"]
POOLS = [(kind, pool) for kind in ("memory", "redis") for pool in IN_ONE_PROCESS]


@pytest.mark.parametrize(("url", "pool"), [*POOLS, ("redis", "prefork")], indirect=["url"])
def test_tasks_take_turns(url: str, pool: str, tmp_path: Path) -> None:
    (tmp_path / "control").mkdir()
    notes = tmp_path / "notes"
    notes.touch()

    worker = Running(
        *("-m", "celery", "--workdir", str(APP.parent), "-A", APP.stem, "worker"),
        *("-P", pool, "-c", "4", "--loglevel", "warning", "--without-mingle", "--without-gossip"),
        STORE_URL=url,
        FOLDER=str(tmp_path),
    )
    with worker:
        until(lambda: is_over(worker, notes), 20.0)
        assert "Traceback" not in worker.log, worker.log
    inside: Counter[str] = Counter()
    for line in notes.read_text().splitlines():
        step = json.loads(line)
        inside[step["conversation"]] += 1 if step["step"] == "entered" else -1
        assert inside[step["conversation"]] in {0, 1}, step
        assert not step.get("lost")


def is_over(worker: Running, notes: Path) -> bool:
    worker.check()
    return "Traceback" in worker.log or notes.read_text().count('"left"') == TASKS
