"""The garbage collector runs finalisers at any step of ours, in the thread that makes it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import programs
from tests.support.executables import LONG
from tests.support.redis_server import HOST

if TYPE_CHECKING:
    from tests.support.redis_server import RedisServer

PROGRAM = Path(__file__).parent / "programs" / "collect.py"
STEPS, WITHIN = (3000, 600.0) if LONG else (80, 60.0)

KINDS = {
    "memory": "memory://",
    "memory, renewed": "memory://?auto_renew=true",
    "redis, renewed": "redis://{}:{}/1?auto_renew=true",
}
DONE_BY_ITS_THREAD = {
    "memory": [],  # it has none
    "memory, renewed": ["renewal", "close"],
    "redis, renewed": ["plain", "tasks", "reference", "renewal", "close"],
}


def collect(server: RedisServer, kind: str, what: str, where: str, garbage: str) -> None:
    url = KINDS[kind].format(HOST, server.port)
    programs.run(PROGRAM, url, what, where, garbage, STEPS, within=WITHIN).quietly()


@pytest.mark.parametrize("what", ["plain", "tasks", "reference", "close"])
@pytest.mark.parametrize("kind", KINDS)
def test_holders_are_collected_in_any_step(clean_redis: RedisServer, kind: str, what: str) -> None:
    collect(clean_redis, kind, what, "ours", "holders")


@pytest.mark.parametrize(
    ("kind", "what"), [(kind, what) for kind in KINDS for what in DONE_BY_ITS_THREAD[kind]]
)
def test_holders_are_collected_by_the_stores_own_thread(
    clean_redis: RedisServer, kind: str, what: str
) -> None:
    collect(clean_redis, kind, what, "theirs", "holders")


@pytest.mark.parametrize("what", ["plain", "tasks", "reference", "close"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_finaliser_takes_a_turn(clean_redis: RedisServer, kind: str, what: str) -> None:
    """It gets it or is refused, but never waits for a step that its own thread is in."""
    collect(clean_redis, kind, what, "ours", "takers")


@pytest.mark.parametrize("kind", ["memory, renewed", "redis, renewed"])
def test_a_finaliser_takes_a_turn_on_the_stores_own_thread(
    clean_redis: RedisServer, kind: str
) -> None:
    collect(clean_redis, kind, "renewal", "theirs", "takers")
