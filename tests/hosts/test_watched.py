"""Observers in hosts of every kind: each turn that is asked for ends once, and figures add up."""

from __future__ import annotations

import socket
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.hosts.test_celery import APP, TASKS, steps_of
from tests.hosts.test_terminated_servers import IN_LINE, clients, in_line
from tests.support import programs
from tests.support.crew import until
from tests.support.programs import Running
from tests.support.prometheus import value
from tests.support.watched import HOST, METRICS_PORT, Watched
from tests.support.web import get, uvicorn

if TYPE_CHECKING:
    from nowserving import LockStore
    from tests.support.redis_server import RedisServer

PROGRAMS = Path(__file__).parent / "programs"

PRELUDE = """
import asyncio, os, sys, threading, time
from nowserving import LockStore, LockTimeout
from tests.support.watched import create

store = create(sys.argv[1])
"""

HOSTS = {
    "gevent": """
        from gevent import monkey
        monkey.patch_all()
        PRELUDE
        def work(me):
            for _ in range(3):
                with store.lock("c"):
                    time.sleep(0.001)
        threads = [threading.Thread(target=work, args=(me,)) for me in range(10)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        store.close()
    """,
    "eventlet": """
        import eventlet
        eventlet.monkey_patch()
        PRELUDE
        def work(me):
            for _ in range(3):
                with store.lock("c"):
                    time.sleep(0.001)
        threads = [threading.Thread(target=work, args=(me,)) for me in range(10)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        store.close()
    """,
    "a notebook": """
        PRELUDE
        import nest_asyncio
        async def turn(me):
            async with store.lock("c"):
                await asyncio.sleep(0.001)
        async def turns():
            await asyncio.gather(*(turn(me) for me in range(10)))
        async def cell():
            asyncio.get_running_loop().run_until_complete(turns())  # as a cell that is run in one
            await turns()
            asyncio.run(turns())
        loop = asyncio.new_event_loop()
        nest_asyncio.apply(loop)
        loop.run_until_complete(cell())
        loop.close()
        store.close()
    """,
    "a loop a job": """
        PRELUDE
        async def turn(me):
            async with store.lock("c"):
                await asyncio.sleep(0.001)
        async def job():
            await asyncio.gather(*(turn(me) for me in range(3)))
        def work():
            for _ in range(5):
                asyncio.run(job())
        threads = [threading.Thread(target=work) for _ in range(2)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        store.close()
    """,
    "a fork": """
        PRELUDE
        def work(me):
            for _ in range(5):
                with store.lock(f"c{os.getpid()}"):
                    pass
        work(0)
        children = []
        for me in range(4):
            child = os.fork()
            if child == 0:
                work(me)
                sys.exit()
            children.append(child)
        work(0)
        for child in children:
            assert os.waitpid(child, 0)[1] == 0
    """,
}
"""Each takes 30 turns and ends as such a program does."""


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    """What is written down of the programs that the test starts."""
    made = Watched(tmp_path)
    for name, text in made.variables().items():
        monkeypatch.setenv(name, text)
    return made


@pytest.mark.parametrize("url", ["memory", "redis"], indirect=True)
@pytest.mark.parametrize("host", HOSTS)
def test_turns_of_a_program(host: str, url: str, watched: Watched) -> None:
    program = textwrap.dedent(HOSTS[host]).replace("PRELUDE", PRELUDE.strip())
    ended = programs.run(program, url, within=30.0, warnings="ignore")
    assert ended.status == 0, ended.err
    assert "Traceback" not in ended.err, ended.err
    assert watched.outcomes() == {"done": 30}
    assert watched.figures() == {"done": 30}


@pytest.mark.parametrize(
    ("url", "pool"),
    [("redis", "prefork"), ("redis", "gevent"), ("redis", "eventlet"), ("memory", "threads")],
    indirect=["url"],
)
def test_tasks_of_celery(
    url: str, pool: str, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server((HOST, 0)) as free:
        port: int = free.getsockname()[1]
    monkeypatch.setenv(METRICS_PORT, str(port))
    turns = 2 * TASKS

    def are_told() -> bool:  # the last task's leave comes behind its last note
        return watched.figures() == {"done": turns} and scraped(port) == turns

    steps_of(APP, url, pool, watched.folder, workers=4, tasks=TASKS, done=are_told)
    assert watched.outcomes() == {"done": turns}


def scraped(port: int) -> float | None:
    """Return how many turns ended well, as the main process tells Prometheus."""
    text = get(port, "/metrics").decode()
    return value(text, "turns_total", store="default", outcome="done")


def test_uvicorn_that_is_told_to_end(
    clean_redis: RedisServer, outside: LockStore, watched: Watched
) -> None:
    """Its app closes the store: else it would end by the signal that uvicorn sends itself."""
    server = uvicorn(
        PROGRAMS / "waiting_app.py",
        *("--timeout-graceful-shutdown", "1", "--workers", "2"),
        STORE_URL=clean_redis.url(),
        CLOSES="yes",
    )
    with server, clients(server):
        until(lambda: in_line(outside) == IN_LINE)
        server.stop(within=10.0)
    ends = watched.outcomes()
    assert sum(ends.values()) == IN_LINE, ends
    assert set(ends) <= {"abandoned", "closed", "interrupted", "failed", "released"}, ends


@pytest.mark.parametrize("who", ["tasks", "threads"])
@pytest.mark.parametrize("where", ["here", "os.fork", "fork", "spawn"])
def test_any_server_that_is_told_to_end(
    clean_redis: RedisServer, outside: LockStore, who: str, where: str, watched: Watched
) -> None:
    """It leaves its line where it is: what gives that back at its very end tells of it."""
    program = str(PROGRAMS / "line_server.py")
    with Running(program, clean_redis.url(), who, where) as server:
        until(lambda: in_line(outside) == IN_LINE)
        server.stop(within=10.0)
    ends = watched.outcomes()
    assert sum(ends.values()) == IN_LINE, ends
    assert watched.figures() == ends
