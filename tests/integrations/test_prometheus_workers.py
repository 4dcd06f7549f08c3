"""What Prometheus is told by several processes together: prometheus_client's multi-process mode."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from tests.support.crew import until
from tests.support.programs import run
from tests.support.prometheus import value
from tests.support.redis_server import HOST
from tests.support.web import WebServer, uvicorn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.redis_server import RedisServer

APP = Path(__file__).parent / "programs" / "measured_app.py"
TURNS = 30
SOON = 10.0  # seconds


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the processes' files."""
    made = tmp_path / "figures"
    made.mkdir()
    return made


@pytest.fixture
def server(redis_server: RedisServer, folder: Path) -> Iterator[WebServer]:
    redis_server.cli("FLUSHALL")
    where = {"STORE_URL": redis_server.url(), "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    with uvicorn(APP, "--workers", "2", folder=None, **where) as running:
        until(lambda: len({running.get("/pid") for _ in range(10)}) == 2, SOON)
        yield running


def scraped(server: WebServer, name: str, **labels: str) -> float | None:
    """Return a figure, None if there is none.

    prometheus_client fails to read a file that another process is just about to make, once.
    """
    try:
        with server.open("/metrics/") as answer:
            return value(answer.read().decode(), name, store="bot", **labels)
    except AssertionError:
        return None


def left_behind(folder: Path, name: str, store: str = "bot", **labels: str) -> float | None:
    """Return what the files say, whoever wrote them."""
    registry = CollectorRegistry()
    collector = MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]
    assert collector is not None
    return value(generate_latest(registry).decode(), name, store=store, **labels)


def ask(server: WebServer, path: str) -> threading.Thread:
    def get() -> None:
        with contextlib.suppress(Exception):  # its worker may be killed
            server.get(path)

    thread = threading.Thread(target=get)
    thread.start()
    return thread


def test_what_workers_do_is_added_up(server: WebServer, folder: Path) -> None:
    workers = {server.get(f"/turn/{i % 3}") for i in range(TURNS)}
    until(lambda: scraped(server, "turns_total", outcome="done") == TURNS, SOON)
    assert len(workers) == 2
    assert scraped(server, "wait_seconds_count") == TURNS
    assert scraped(server, "hold_seconds_count") == TURNS
    assert scraped(server, "hold_seconds_bucket", le="+Inf") == TURNS
    assert scraped(server, "lost_total") == 0
    assert scraped(server, "store_up") == 1

    threads = [ask(server, "/turn/a?hold=1.5") for _ in range(4)]
    until(lambda: scraped(server, "waiting") == 3 and scraped(server, "held") == 1, SOON)
    first = scraped(server, "oldest_wait_seconds") or 0.0
    until(lambda: (scraped(server, "oldest_wait_seconds") or 0.0) > first, SOON)
    # What is counted last is not lost with its process.
    server.stop(within=SOON)
    for thread in threads:
        thread.join()
    ended = ("done", "abandoned", "failed", "closed", "interrupted", "released")
    ends = {each: left_behind(folder, "turns_total", outcome=each) or 0 for each in ended}
    assert sum(ends.values()) == TURNS + 4, ends
    assert left_behind(folder, "waiting") == left_behind(folder, "held") == 0


def test_a_worker_that_is_killed_waits_and_holds_no_more(server: WebServer, folder: Path) -> None:
    thread = ask(server, "/turn/a?hold=60")
    until(lambda: scraped(server, "held") == 1, SOON)
    (gauges,) = folder.glob("gauge_livesum_*.db")  # whoever has taken no turn has none
    holder = int(gauges.stem.rpartition("_")[2])
    before = scraped(server, "wait_seconds_count")
    os.kill(holder, signal.SIGKILL)
    thread.join()

    def is_gone() -> bool:
        with contextlib.suppress(OSError, AssertionError, ValueError):  # it may be restarted
            server.get("/turn/b")
            return scraped(server, "held") == 0
        return False

    until(is_gone, 20.0)
    assert (scraped(server, "wait_seconds_count") or 0.0) > (before or 0.0), "counts stay"


@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["", "preload"])
@pytest.mark.parametrize("kind", ["sync", "gthread"])
def test_gunicorn(
    redis_server: RedisServer, folder: Path, kind: str, preload: tuple[str, ...]
) -> None:
    """Whether its workers import the app themselves or are forked when it is there."""
    command = ["-m", "gunicorn", "--bind", f"{HOST}:{{port}}", "--workers", "2", "-k", kind]
    where = {"STORE_URL": redis_server.url(), "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    program = [*preload, "--chdir", str(APP.parent), "measured_wsgi:app"]
    with WebServer(*command, *program, folder=None, **where) as running:
        workers = {running.get(f"/turn/{i % 3}") for i in range(TURNS)}
        until(lambda: scraped(running, "turns_total", outcome="done") == TURNS, SOON)
        assert scraped(running, "store_up") == 1
        assert scraped(running, "held") == 0
        files = {path.stem.rpartition("_")[2] for path in folder.glob("*.db")}
        assert files == set(map(str, workers)), "the process that only forks them has none"


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_children_of_a_program_count_for_themselves(start: str, folder: Path) -> None:
    ended = run(
        f"""
        import multiprocessing, os, sys
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = {str(folder)!r}
        from nowserving import InMemoryLockStore
        from nowserving.integrations import prometheus

        store = InMemoryLockStore()
        prometheus.observe(store)

        def work(times):
            for _ in range(times):
                with store.lock("anna"):
                    pass

        if __name__ == "__main__":
            work(3)
            context = multiprocessing.get_context({start!r})
            children = [context.Process(target=work, args=(5,)) for _ in range(3)]
            for child in children:
                child.start()
            for child in children:
                child.join()
            assert [child.exitcode for child in children] == [0] * 3
            work(1)
        """
        if start == "fork"
        else Path(__file__).parent / "programs" / "counting.py",
        *(() if start == "fork" else (folder,)),
        within=30.0,
        warnings="ignore",
    )
    assert ended.status == 0, ended.err
    assert left_behind(folder, "turns_total", "default", outcome="done") == 3 + 3 * 5 + 1
    assert left_behind(folder, "hold_seconds_count", "default") == 19
    assert left_behind(folder, "store_up", "default") == 1


def test_a_child_that_counts_something_else_does_not_say_that_the_store_is_down(
    folder: Path,
) -> None:
    """In each new process prometheus_client begins all gauges of its parent at zero."""
    ended = run(
        f"""
        import os, sys, time
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = {str(folder)!r}
        from prometheus_client import Counter
        from nowserving import InMemoryLockStore
        from nowserving.integrations import prometheus

        store = InMemoryLockStore()
        prometheus.observe(store)
        with store.lock("anna"):
            pass
        time.sleep(0.5)
        other = Counter("other", "Somebody else's.")
        if os.fork() == 0:
            other.inc()
            time.sleep(0.5)
            os._exit(0)
        os.wait()
        print(os.listdir({str(folder)!r}))
        os._exit(0)
        """,
        warnings="ignore",
    )
    assert ended.out.count("gauge_livemin") == 2, ended
    assert left_behind(folder, "store_up", "default") == 1


def test_a_folder_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    ended = run(
        f"""
        import os
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = {str(tmp_path / "nowhere")!r}
        from nowserving import InMemoryLockStore
        from nowserving.integrations import prometheus

        prometheus.observe(InMemoryLockStore())
        """
    )
    assert "nowhere', which is no folder: make it" in ended.err


def test_figures_that_cannot_be_written_are_told_once_and_break_no_turn(folder: Path) -> None:
    ended = run(
        f"""
        import os, shutil, time
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = {str(folder)!r}
        from nowserving import InMemoryLockStore
        from nowserving.integrations import prometheus

        store = InMemoryLockStore()
        prometheus.observe(store)
        shutil.rmtree({str(folder)!r})
        for _ in range(20):
            with store.lock("anna"):
                time.sleep(0.02)
        """
    )
    assert ended.status == 0, ended.err
    assert ended.err.count("could not be written") == ended.err.count("Traceback (") == 1
    assert ended.err.count("FileNotFoundError") == 1


def test_an_idle_process_has_no_thread_and_what_comes_then_is_told(folder: Path) -> None:
    ended = run(
        f"""
        import os, threading, time
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = {str(folder)!r}
        from nowserving import InMemoryLockStore
        from nowserving.integrations import prometheus

        store = InMemoryLockStore()
        prometheus.observe(store)
        for _ in range(3):
            assert threading.active_count() == 1
            with store.lock("anna"):
                pass
            assert threading.active_count() == 2
            time.sleep(1.0)
        assert threading.active_count() == 1
        os._exit(0)  # nothing is left to be written at the end
        """
    )
    assert (ended.status, ended.err) == (0, "")
    assert left_behind(folder, "turns_total", "default", outcome="done") == 3


def test_a_process_may_fork_while_figures_are_written(folder: Path) -> None:
    ended = run(
        f"""
        import os, threading, time
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = {str(folder)!r}
        from nowserving import InMemoryLockStore
        from nowserving.integrations import prometheus
        from nowserving.integrations.prometheus import writing

        writing._EVERY = 0.0005
        store = InMemoryLockStore()
        prometheus.observe(store)
        is_over = False

        def work(name):
            while not is_over:
                with store.lock(name):
                    pass

        others = [threading.Thread(target=work, args=(str(i),)) for i in range(4)]
        for each in others:
            each.start()
        for _ in range(30):
            child = os.fork()
            if child == 0:
                with store.lock("child"):
                    pass
                writing.files()._write()
                os._exit(0)
            os.waitpid(child, 0)
        is_over = True
        for each in others:
            each.join()
        print(writing.files()._books["default"].tally.figures().outcomes["done"])
        """,
        within=30.0,
        warnings="ignore",
    )
    assert ended.status == 0, ended.err
    assert "Traceback" not in ended.err
    assert left_behind(folder, "turns_total", "default", outcome="done") == int(ended.out) + 30
