"""Real Rasa servers for tests: train the bot, start ``rasa run``, send messages, read trackers."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.crew import environment
from tests.support.redis_server import HOST

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from concurrent.futures import Future
    from types import TracebackType

    from typing_extensions import Self

BOT = Path(__file__).with_name("bot")
START_WITHIN = 60.0  # seconds; importing Rasa alone takes several
_RASA = (sys.executable, "-W", "ignore", "-m", "rasa")  # its dependencies' warnings aren't ours


def train(folder: Path) -> Path:
    """Train the bot and return the model."""
    arguments = ["--domain", BOT / "domain.yml", "--stories", BOT / "data"]
    arguments += ["--config", BOT / "config.yml", "--out", folder, "--fixed-model-name", "bot"]
    trained = subprocess.run(
        [*_RASA, "train", "core", *map(str, arguments)],
        cwd=folder,
        env=_environment({}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert trained.returncode == 0, trained.stdout.decode(errors="replace")
    return folder / "bot.tar.gz"


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    inherited = environment()
    return {
        **inherited,
        "PYTHONPATH": os.pathsep.join([str(BOT), inherited["PYTHONPATH"]]),
        "RASA_TELEMETRY_ENABLED": "false",
        "SQLALCHEMY_SILENCE_UBER_WARNING": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        **more,
    }


@dataclass(frozen=True)
class Answer:
    """What came back for a message.

    Attributes:
        texts: What the bot said; nothing when Rasa logged an error instead.
        at: When it came, on the machine's monotonic clock.
    """

    texts: tuple[str, ...]
    at: float


class RasaServer:
    """``rasa run`` in a process group of its own; killed when its ``with`` ends.

    Args:
        folder: Where its files go: its configuration, its log, the stopwatch's file. Servers
            that share the folder share the stopwatch.
        model: The trained bot.
        redis_port: The Redis that keeps the trackers.
        lock_store: The ``lock_store`` section of its ``endpoints.yml``.
        workers: How many Sanic workers it has.
        debug: Whether it logs at DEBUG.
        more: More environment variables.
    """

    def __init__(
        self,
        folder: Path,
        model: Path,
        redis_port: int,
        lock_store: Mapping[str, object],
        *,
        workers: int = 1,
        debug: bool = False,
        **more: str,
    ) -> None:
        self.port = _free_port()
        self._workers = workers
        self._log = folder / f"server-{self.port}.log"
        endpoints = {
            "lock_store": lock_store,
            "tracker_store": {"type": "redis", "url": HOST, "port": redis_port, "db": 0},
            "nlg": {"type": "stopwatch.SlowAnswers"},
        }
        files = {"endpoints": endpoints, "credentials": {"stopwatch.RestChannel": None}}
        arguments = ["--model", str(model), "--port", str(self.port), "--interface", HOST]
        for name, content in files.items():
            file = folder / f"{name}-{self.port}.yml"
            file.write_text(json.dumps(content))  # JSON is YAML, too
            arguments += [f"--{name}", str(file)]
        arguments += ["--enable-api", "--debug" if debug else "--verbose"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*_RASA, "run", *arguments],
                cwd=folder,
                env=_environment(
                    {
                        "STOPWATCH_FILE": str(folder / "stopwatch.jsonl"),
                        "SANIC_WORKERS": str(workers),
                        **more,
                    }
                ),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()

    def log(self) -> str:
        """Return what it has logged so far."""
        return self._log.read_text(errors="replace")

    def wait_until_up(self) -> None:
        """Wait until every worker takes messages."""
        give_up = time.monotonic() + START_WITHIN
        while self.log().count("Rasa server is up and running") < self._workers:
            assert self._process.poll() is None, f"it did not start:\n{self.log()}"
            assert time.monotonic() < give_up, f"it is not up yet:\n{self.log()}"
            time.sleep(0.1)

    def wait_for_end(self) -> int:
        """Wait until it ends by itself, and return its exit status."""
        return self._process.wait(START_WITHIN)

    def kill(self) -> float:
        """Kill it with all its workers (SIGKILL), and return when."""
        at = time.monotonic()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        return at

    def send(
        self, conversation: str, message: int, seconds: float, within: float = 60.0
    ) -> Answer | None:
        """Send a message over the REST channel; return the answer, None if none came in time."""
        body = {
            "sender": conversation,
            "message": "/take_time",
            "metadata": {"message": message, "seconds": seconds},
        }
        try:
            said = self._ask("/webhooks/rest/webhook", within, body)
        except OSError:  # a timeout, or the server has been killed
            return None
        return Answer(tuple(each["text"] for each in said), time.monotonic())

    def status(self) -> str:
        """Return what it says when it is asked whether it is there."""
        with urllib.request.urlopen(f"http://{HOST}:{self.port}/", timeout=30.0) as response:
            said: bytes = response.read()
            return said.decode()

    def messages_in_tracker(self, conversation: str) -> list[int]:
        """Return the user's messages that the tracker store has kept, in its order."""
        tracker = self._ask(f"/conversations/{conversation}/tracker?include_events=ALL", 10.0)
        return [
            event["metadata"]["message"] for event in tracker["events"] if event["event"] == "user"
        ]

    def _ask(self, path: str, within: float, body: object = None) -> Any:
        request = urllib.request.Request(
            f"http://{HOST}:{self.port}{path}",
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=within) as response:  # noqa: S310 - our own server
            return json.load(response)


@dataclass(frozen=True)
class Sent:
    """A message that was sent, and the answer, once it is there."""

    conversation: str
    message: int
    answer: Future[Answer | None]


def send_all(
    servers: list[RasaServer],
    conversations: Iterable[str],
    messages: int,
    seconds: float,
    within: float,
) -> tuple[list[Sent], float]:
    """Send all messages at once, those of a conversation to the servers in turn.

    Returns:
        What was sent, all answered or given up, and how long it took to the last answer.
    """
    order = [(name, number) for number in range(messages) for name in conversations]
    with ThreadPoolExecutor(len(order)) as pool:
        began = time.monotonic()
        sent = [
            Sent(
                name,
                number,
                pool.submit(
                    servers[number % len(servers)].send, name, number, seconds, within=within
                ),
            )
            for name, number in order
        ]
    answers = [one.answer.result() for one in sent]
    last = max((answer.at for answer in answers if answer is not None), default=began)
    return sent, last - began


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as free:
        port: int = free.getsockname()[1]
        return port
