"""Programs that forget to close their store: they end at once, quietly, with the right status."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from typing import TYPE_CHECKING

import pytest

from nowserving import LockStore, LockTimeout
from tests.support.crew import ROOT, environment, until
from tests.support.places import EVERYWHERE

if TYPE_CHECKING:
    from tests.process.conftest import Measured
    from tests.support.places import Place
    from tests.support.redis_server import RedisServer

PRELUDE = """
import asyncio, sys, time
from nowserving import LockStore
store = LockStore.create(sys.argv[1])
"""

PROGRAMS = {
    "unused": "",
    "async": """
        async def main():
            async with store.lock("c"):
                await asyncio.sleep(0)
        asyncio.run(main())
    """,
    "sync": """
        with store.lock("c"):
            pass
    """,
    "async and sync, renewed": """
        async def main():
            async with store.lock("c", auto_renew=True):
                store.get_lock("c")
        asyncio.run(main())
        with store.lock("c", auto_renew=True):
            pass
    """,
    "many loops": """
        async def main():
            async with store.lock("c"):
                pass
        for _ in range(3):
            asyncio.run(main())
    """,
    "a loop of its own": """
        async def main():
            async with store.lock("c", auto_renew=True):
                pass
        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
        loop.close()
    """,
    "async, held by a task that is left behind": """
        async def hold(entered):
            async with store.lock("c", auto_renew=True):
                entered.set()
                await asyncio.sleep(3600)
        async def main():
            entered = asyncio.Event()
            task = asyncio.create_task(hold(entered))
            waiters = [asyncio.create_task(hold(asyncio.Event())) for _ in range(3)]
            await entered.wait()
            await asyncio.sleep(0.05)
        asyncio.run(main())
        assert store.get_lock("c") is None
    """,
    "sync, exit inside the body": """
        with store.lock("c", auto_renew=True):
            sys.exit(0)
    """,
    "sync, in a daemon thread that waits": """
        import threading
        def wait():
            with store.lock("c", auto_renew=True):
                pass
        with store.lock("c"):
            threading.Thread(target=wait, daemon=True).start()
            time.sleep(0.1)
            sys.exit(0)
    """,
}

HELD = {
    "sync, held": """
        turn = store.lock("c", 5.0)
        turn.__enter__()
    """,
    "sync, held and renewed": """
        turn = store.lock("c", 5.0, auto_renew=True)
        turn.__enter__()
    """,
}


def run(url: str, program: str) -> tuple[float, subprocess.CompletedProcess[str]]:
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", PRELUDE + textwrap.dedent(program), url],
        env=environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30.0,
        check=False,
    )
    return time.monotonic() - began, ended


@EVERYWHERE
@pytest.mark.parametrize("name", PROGRAMS)
def test_an_unclosed_store(server: Place, measured: Measured, name: str) -> None:
    seconds, ended = run(server.url(), PROGRAMS[name])
    assert ended.stderr == ""
    assert ended.returncode == 0
    measured("seconds", seconds)
    assert seconds < 3.0
    if "daemon" not in name:
        with LockStore.create(server.url()) as store:
            assert store.get_lock("c") is None, "a ticket was left behind"


@EVERYWHERE
@pytest.mark.parametrize("name", HELD)
def test_an_unclosed_store_that_holds(server: Place, name: str) -> None:
    seconds, ended = run(server.url(), HELD[name])
    assert ended.stderr == ""
    assert ended.returncode == 0
    assert seconds < 3.0


@pytest.mark.parametrize("name", ["async", "sync", "async and sync, renewed", "many loops"])
def test_an_unclosed_store_in_memory(name: str) -> None:
    seconds, ended = run("memory://", PROGRAMS[name])
    assert ended.stderr == ""
    assert ended.returncode == 0
    assert seconds < 3.0


@pytest.mark.parametrize("name", ["async", "sync"])
def test_a_redis_that_freezes_before_the_end(server: RedisServer, name: str) -> None:
    """The body's end is not held up longer than socket_timeout; the error is in the log only."""
    freeze = f"import os, signal; os.kill({server.pid}, signal.SIGSTOP)"
    body = {
        "async": f"""
            async def main():
                async with store.lock("c"):
                    {freeze}
            asyncio.run(main())
        """,
        "sync": f"""
            with store.lock("c"):
                {freeze}
        """,
    }
    seconds, ended = run(server.url(socket_timeout=0.5), body[name])
    assert "Traceback" not in ended.stderr
    assert ended.returncode == 0
    assert seconds < 4.0


@EVERYWHERE
def test_an_unclosed_store_keeps_the_places_of_its_waiters(server: Place) -> None:
    with LockStore.create(server.url()) as store, store.lock("c"):
        ticket = store.issue_ticket("c")
        program = f"""
            import threading
            def wait():
                with store.lock("c", ticket="{ticket!s}", timeout=60, keep_place=True):
                    pass
            threading.Thread(target=wait, daemon=True).start()
            time.sleep(0.3)
            sys.exit(0)
        """
        _, ended = run(server.url(), program)
        assert ended.returncode == 0
        with LockStore.create(server.url()) as other:
            assert is_kept(other, ticket)
            assert len(line(other)) == 2


def is_kept(store: LockStore, ticket: int) -> bool:
    try:
        with store.lock("c", ticket=ticket, timeout=0, keep_place=True):
            return False
    except LockTimeout:
        return True


WAITING = {
    "async": """
        async def main():
            async with store.lock("c"):
                pass
        asyncio.run(main())
    """,
    "sync": """
        with store.lock("c"):
            pass
    """,
}


@EVERYWHERE
@pytest.mark.parametrize("name", WAITING)
def test_ctrl_c_while_it_waits(server: Place, name: str) -> None:
    program = PRELUDE + textwrap.dedent(WAITING[name])
    with LockStore.create(server.url()) as store, store.lock("c"):
        waiter = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", program, server.url()],
            env=environment(),
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        until(lambda: len(line(store)) == 2)
        waiter.send_signal(signal.SIGINT)
        _, stderr = waiter.communicate(timeout=5.0)
        until(lambda: len(line(store)) == 1, within=1.0)
    assert stderr.rstrip().endswith("KeyboardInterrupt")
    assert waiter.returncode == -signal.SIGINT


def line(store: LockStore) -> tuple[object, ...]:
    lock = store.get_lock("c")
    return () if lock is None else tuple(lock.tickets)
