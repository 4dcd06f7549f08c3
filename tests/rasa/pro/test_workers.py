"""Our lock store in Sanic's worker processes, forked and spawned, on the stack of Rasa Pro.

Rasa Pro itself is not part of this: a stand-in shows the surface of its lock store module.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.rasa import stopwatch_record
from tests.rasa.stopwatch_record import Handled
from tests.support.crew import environment, until
from tests.support.redis_server import HOST

if TYPE_CHECKING:
    from tests.support.redis_server import RedisServer

APP = Path(__file__).with_name("app.py")
STAND_IN = Path(__file__).parents[2] / "support" / "rasa_stand_in"
CONVERSATIONS, MESSAGES = 4, 10
BURSTS = 30  # at most, until chance has given messages of a burst to both workers


@pytest.mark.parametrize("start_method", ["fork", "spawn"])
def test_workers(start_method: str, redis_server: RedisServer, tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    stopwatch, log = tmp_path / "stopwatch.jsonl", tmp_path / "log"
    inherited = environment()
    inherited["PYTHONPATH"] = os.pathsep.join([str(STAND_IN), inherited["PYTHONPATH"]])
    stopwatch.touch()
    arguments = map(str, (APP, port, redis_server.port, start_method, stopwatch))
    with log.open("wb") as out:
        server = subprocess.Popen(
            [sys.executable, *arguments],
            env=inherited,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        until(lambda: log.read_text().count("Starting worker [") == 2, within=30.0)
        for burst in range(BURSTS):
            handled = _burst(port, f"{start_method}{burst}-", stopwatch)
            assert len(handled) == CONVERSATIONS * MESSAGES
            assert stopwatch_record.overlaps(handled) == 0
            assert stopwatch_record.overtaken(handled) == 0
            if len({one.server for one in handled}) == 2:
                break
        else:
            raise AssertionError("only one worker had work")
        server.send_signal(signal.SIGINT)
        server.wait(30.0)
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()
    # How Sanic's main process ends is its own matter: a signal in the middle of one of its calls to
    # its manager breaks both. The workers end in good order, and nothing of ours fails.
    ended = log.read_text()
    assert ended.count("Worker complete [") == 2, ended
    assert "src/nowserving" not in ended


def _burst(port: int, prefix: str, stopwatch: Path) -> list[Handled]:
    already = len(stopwatch.read_text().splitlines())
    with ThreadPoolExecutor(CONVERSATIONS * MESSAGES) as pool:
        for status in pool.map(
            lambda number: _post(port, f"{prefix}{number % CONVERSATIONS}", number),
            range(CONVERSATIONS * MESSAGES),
        ):
            assert status == HTTPStatus.NO_CONTENT
    handled = [Handled(**json.loads(line)) for line in stopwatch.read_text().splitlines()[already:]]
    return sorted(handled, key=lambda one: one.began)


def _post(port: int, conversation: str, message: int) -> int:
    url = f"http://{HOST}:{port}/{conversation}/{message}"
    with urllib.request.urlopen(
        urllib.request.Request(url, b"", method="POST"), timeout=60
    ) as answer:
        status: int = answer.status
        return status
