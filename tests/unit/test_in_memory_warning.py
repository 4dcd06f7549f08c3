"""An in-memory store can't serve several processes, and says so once a process."""

from __future__ import annotations

import pytest

from tests.support import programs

VARIABLES = ("TICKET_LOCK_WORKERS", "SANIC_WORKERS", "WEB_CONCURRENCY")
PROGRAM = """
import logging, os
from nowserving import InMemoryLockStore

logging.basicConfig(stream=sys.stdout, format="%(levelname)s %(message)s")
for name in ("TICKET_LOCK_WORKERS", "SANIC_WORKERS", "WEB_CONCURRENCY"):
    os.environ.pop(name, None)
os.environ[sys.argv[1]] = sys.argv[2]
for _ in range(3):
    InMemoryLockStore()
"""


@pytest.mark.parametrize("name", VARIABLES)
def test_several_workers_are_warned_of_once(name: str) -> None:
    (line,) = programs.run(PROGRAM, name, 4).quietly().out.splitlines()
    assert line.startswith(f"WARNING {name}=4")


@pytest.mark.parametrize("count", ["", "0", "1", "many", "-3"])
def test_one_worker_is_fine(count: str) -> None:
    assert programs.run(PROGRAM, "WEB_CONCURRENCY", count).quietly().out == ""
