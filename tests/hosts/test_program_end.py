"""Programs that end while something suspended holds a lock: they end at once, and say nothing.

Nobody leaves the ``with`` before the interpreter takes the program apart. By then its other threads
stand still for ever, so whoever waits for one of them waits for ever as well.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

from tests.support import programs

if TYPE_CHECKING:
    from nowserving import LockStore
    from tests.support.redis_server import RedisServer

WITHIN = 2.0  # seconds from the last statement to the end of the process

PRELUDE = """
import asyncio, contextlib, threading
from nowserving import LockStore
store = LockStore.create(sys.argv[1])

def stream():
    with store.lock("c"):
        yield "a part of an answer"
        yield "another one"
"""

SUSPENDED = {
    "a generator": """
        parts = stream()
        next(parts)
    """,
    "a generator in a cycle": """
        box = [stream()]
        next(box[0])
        box.append(box)
        del box
    """,
    "a Flask response that nobody reads to its end": """
        import flask
        app = flask.Flask("app")
        app.add_url_rule("/", view_func=lambda: flask.Response(stream()))
        answer = app.test_client().get("/", buffered=False)
        parts = answer.iter_encoded()
        next(parts)
    """,
    "a context manager": """
        conversation = contextlib.contextmanager(lambda: stream())()
        conversation.__enter__()
    """,
    "an ExitStack that a __del__ closes": """
        class Session:
            def __init__(self):
                self.stack = contextlib.ExitStack()
                self.stack.enter_context(store.lock("c"))
            def __del__(self):
                self.stack.close()
        session = Session()
    """,
    "a turn that is never left": """
        turn = store.lock("c")
        turn.__enter__()
    """,
    "a daemon thread": """
        entered = threading.Event()
        def serve():
            with store.lock("c"):
                entered.set()
                time.sleep(3600)
        threading.Thread(target=serve, daemon=True).start()
        entered.wait()
    """,
}

# The program is to blame for its loop, and Python says so on stderr; but no more than that.
IN_A_LOOP = {
    "a task": """
        async def hold():
            async with store.lock("c"):
                await asyncio.sleep(3600)
        async def begin():
            global task
            task = asyncio.create_task(hold())
            while not store.is_someone_waiting("c"):
                await asyncio.sleep(0.01)
        loop = asyncio.new_event_loop()
        loop.run_until_complete(begin())
    """,
    "an async generator": """
        async def stream_async():
            async with store.lock("c"):
                yield "a part of an answer"
        async def begin():
            global parts
            parts = stream_async()
            await parts.__anext__()
        loop = asyncio.new_event_loop()
        loop.run_until_complete(begin())
    """,
}


@pytest.mark.parametrize("name", SUSPENDED)
def test_what_is_suspended_in_a_turn(
    renewed_or_not: str, name: str, request: pytest.FixtureRequest
) -> None:
    ended = run(renewed_or_not, SUSPENDED[name]).quietly()
    assert ended.to_exit < WITHIN
    assert_given_back(renewed_or_not, request)


@pytest.mark.parametrize("name", IN_A_LOOP)
def test_what_is_suspended_in_a_loop_that_nobody_closes(
    renewed_or_not: str, name: str, request: pytest.FixtureRequest
) -> None:
    ended = run(renewed_or_not, IN_A_LOOP[name], warnings="ignore")
    assert ended.status == 0
    assert "Traceback" not in ended.err
    assert "ignored" not in ended.err  # an exception, in some finaliser
    assert ended.to_exit < WITHIN
    assert_given_back(renewed_or_not, request)


def test_a_redis_that_freezes_before_the_end(clean_redis: RedisServer) -> None:
    """Nothing can be given back then; the program is not held up by that for long."""
    freeze = f"import os, signal; os.kill({clean_redis.pid}, signal.SIGSTOP)\n"
    program = textwrap.dedent(SUSPENDED["a generator"]) + freeze
    try:
        ended = run(clean_redis.url(socket_timeout=30), program)
    finally:
        clean_redis.resume()
    assert ended.status == 0
    assert "Traceback" not in ended.err
    assert ended.to_exit < WITHIN


def run(url: str, program: str, warnings: str = "error") -> programs.Ended:
    program = PRELUDE + textwrap.dedent(program) + "last_line()\n"
    return programs.run(program, url, warnings=warnings)


def assert_given_back(url: str, request: pytest.FixtureRequest) -> None:
    """Check it from the outside, where there is an outside."""
    if url.startswith("redis"):
        outside: LockStore = request.getfixturevalue("outside")
        assert outside.get_lock("c") is None, "a ticket was left behind"
