"""``examples/fastapi_app.py`` as it is started in earnest: uvicorn with two workers, over Redis."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.crew import environment, until
from tests.support.redis_server import HOST, RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = Path(__file__).parents[2] / "examples"
STREAM_SECONDS = 2.0
ROUNDS = 60  # until chance has given both messages of a pair to the same worker, and to two
START_WITHIN = 30.0


@pytest.fixture(scope="module")
def port(redis_server: RedisServer) -> Iterator[int]:
    """The app's port."""
    with socket.create_server((HOST, 0)) as free:
        port: int = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(EXAMPLES), "fastapi_app:app"]
    server = subprocess.Popen(
        [*command, "--workers", "2", "--host", HOST, "--port", str(port)],
        env={
            **environment(),
            "REDIS_URL": redis_server.url(),
            "STREAM_SECONDS": str(STREAM_SECONDS),
        },
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    assert server.stderr is not None
    try:
        started = 0
        while started < 2:
            line = server.stderr.readline()
            assert line, "uvicorn ended"
            started += "Application startup complete" in line
        _wait_for_connection(port)  # uvicorn listens a moment later
        yield port
        server.send_signal(signal.SIGINT)
        assert server.wait(START_WITHIN) == 0
        log = server.stderr.read()
        assert "Traceback" not in log, log
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        server.stderr.close()


def _wait_for_connection(port: int) -> None:
    def is_listening() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((HOST, port)) == 0

    until(is_listening, START_WITHIN)


Said = dict[str, Any]


@contextmanager
def message(port: int, conversation: str, text: str) -> Iterator[Iterator[Said]]:
    """Send a message and give the lines of its answer as they come."""
    connection = http.client.HTTPConnection(HOST, port, timeout=30.0)
    try:
        body = json.dumps({"text": text})
        path = f"/conversations/{conversation}/messages"
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        assert response.status == http.HTTPStatus.OK
        yield map(json.loads, iter(response.readline, b""))
    finally:
        connection.close()


def history(redis_server: RedisServer, conversation: str) -> list[Said]:
    """Return what the app has kept of a conversation."""
    return [
        json.loads(entry)
        for entry in redis_server.cli("LRANGE", f"history:{{{conversation}}}", 0, -1)
    ]


def test_a_message_is_answered_to_its_end(port: int, redis_server: RedisServer) -> None:
    with message(port, "alone", "hello") as lines:
        said = list(lines)
    assert [line["word"] for line in said[:-1]] == [f"hello-{number}" for number in range(100)]
    assert said[-1] == {"end": "done"}
    assert len(history(redis_server, "alone")) == 1 + 100


def interrupt(port: int, redis_server: RedisServer, conversation: str) -> bool:
    """Have a second message interrupt a first one; return whether two workers had them."""
    with message(port, conversation, "first") as first:
        heard = [next(first) for _ in range(3)]
        asked = time.monotonic()
        with message(port, conversation, "second") as second:
            answer = next(second)
            within = time.monotonic() - asked
            heard += first  # what was on its way, and the end
            assert heard[-1] == {"end": "interrupted"}
    assert within < STREAM_SECONDS / 2  # it did not wait for the first answer's end
    kept = [entry.get("user", entry.get("to")) for entry in history(redis_server, conversation)]
    switch = kept.index("second")
    assert set(kept[:switch]) == {"first"}, "the second began before the first"
    assert set(kept[switch:]) == {"second"}, "the first went on beside the second"
    return bool(answer["worker"] != heard[0]["worker"])


def test_a_second_message_interrupts_the_first_on_its_worker_and_on_another(
    port: int, redis_server: RedisServer
) -> None:
    seen = set()
    for number in range(ROUNDS):
        seen.add(interrupt(port, redis_server, f"pair-{number}"))
        if len(seen) == 2:
            return
    raise AssertionError(f"in {ROUNDS} rounds, two workers had the messages: {seen}")


def test_of_three_messages_only_the_newest_is_answered(port: int) -> None:
    with message(port, "three", "first") as first:
        next(first)
        with message(port, "three", "second") as second, message(port, "three", "third") as third:
            last = list(third)
            ends = [list(first)[-1]["end"], list(second)[-1]["end"], last[-1]["end"]]
    assert ends[0] == "interrupted"
    assert ends[1] in {"interrupted", "superseded"}  # whether it had begun by then or not
    assert ends[2] == "done"


def test_a_client_that_goes_leaves_its_place_at_once(port: int) -> None:
    with message(port, "gone", "first") as first:
        next(first)
    asked = time.monotonic()
    with message(port, "gone", "second") as second:
        next(second)
    assert time.monotonic() - asked < STREAM_SECONDS / 2
