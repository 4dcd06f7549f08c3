"""``nowserving dashboard`` as it is typed, and the app as part of somebody's own."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import FastAPI
from typer.testing import CliRunner

from nowserving import InMemoryLockStore
from nowserving.cli.app import app as command
from nowserving.dashboard import create_app, serving
from tests.support.crew import ROOT, Worker, environment, until
from tests.support.dashboard import Dashboard
from tests.support.redis_server import HOST
from tests.support.worker import TurnJob

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from typer.testing import Result

    from tests.dashboard.conftest import Shown

TOKEN = "open-sesame-open-sesame"  # noqa: S105 - a made-up one


def typed(*arguments: str) -> Result:
    return CliRunner().invoke(command, ["dashboard", *arguments], env={"COLUMNS": "300"})


@pytest.fixture
def store(tmp_path: Path) -> str:
    path = tmp_path / "locks.db"
    path.touch()
    return f"sqlite:///{path}"


class Told(list[tuple[str, Any]]):
    """The events of a live stream so far."""

    def of(self, name: str) -> list[Any]:
        return [data for event, data in list(self) if event == name]


@contextmanager
def listening(dashboard: Dashboard, path: str = "/api/live") -> Iterator[Told]:
    """Listen to the stream as a browser does."""
    told = Told()
    with closing(http.client.HTTPConnection(HOST, dashboard.port, timeout=30)) as line:
        line.request("GET", path)
        answer = line.getresponse()
        assert answer.status == 200

        def read() -> None:
            name = ""
            while text := answer.readline():
                if text.startswith(b"event: "):
                    name = text[7:].strip().decode()
                elif text.startswith(b"data: "):
                    told.append((name, json.loads(text[6:])))

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        yield told
        if line.sock is not None:
            line.sock.shutdown(socket.SHUT_RDWR)
        reader.join(10)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_at_once_though_somebody_looks(store: str, number: signal.Signals) -> None:
    with Dashboard(store) as dashboard, listening(dashboard) as told:
        until(lambda: bool(told.of("survey")))
        dashboard.process.send_signal(number)
        assert dashboard.process.wait(10) == 128 + number
        assert "Traceback" not in dashboard.log
        assert "Exception" not in dashboard.log


def test_a_token_that_is_given_is_not_printed(store: str) -> None:
    with (
        Dashboard(store, "--allow-release", NOWSERVING_DASHBOARD_TOKEN=TOKEN) as dashboard,
        Worker(store, TurnJob("c", hold=60, options={"on_lost": "cancel"})) as worker,
    ):
        number = worker.wait_for("entered")[0]["number"]
        assert dashboard.token is None
        assert TOKEN not in dashboard.log
        assert dashboard.release("c", number, X_Nowserving_Token=TOKEN).status == 200
        worker.wait_for("left")


def test_what_can_not_be_tried_is_said(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = str(taken.getsockname()[1])
        done = typed("--store", store, "--port", port)
        assert done.exit_code == 2
        assert f"{HOST}:{port}" in done.output
        assert "--port 0" in done.output
    monkeypatch.setenv("NOWSERVING_DASHBOARD_TOKEN", "brief")
    done = typed("--store", store, "--port", "0", "--allow-release")
    assert done.exit_code == 2
    assert "at least 16" in done.output
    assert "--allowed-host" not in done.output
    assert "brief" not in done.output
    done = typed("--store", store, "--port", "0", "--allowed-host", "http://bot.example")
    assert done.exit_code == 2
    assert "without scheme" in done.output


def test_an_address_of_all_machines_needs_the_token(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = []

    async def serve(app: Any, _listening: socket.socket) -> None:
        # As it would be reached from another machine, which no test can be.
        transport = httpx.ASGITransport(app)
        for headers in ({}, {"X-Nowserving-Token": "wrong"}):
            async with httpx.AsyncClient(transport=transport, base_url="http://10.0.0.7") as client:
                served.append((await client.get("/api/live", headers=headers)).status_code)

    monkeypatch.setattr(serving, "is_loopback", lambda _: False)
    monkeypatch.setattr(serving, "serve", serve)
    done = typed("--store", store, "--port", "0")
    assert done.exit_code == 0, done.output
    assert "#token=" in done.output
    assert served == [401, 401]


def test_only_loopback_is_taken_for_loopback() -> None:
    for host, is_loopback in ((HOST, True), ("0.0.0.0", False)):  # noqa: S104 - not listened at
        with socket.socket() as unheard:
            unheard.bind((host, 0))
            assert serving.is_loopback(unheard) == is_loopback


async def test_it_can_be_mounted() -> None:
    app = FastAPI()
    async with InMemoryLockStore() as store, store.lock("c") as lock:
        page = create_app(store, allow_release=True, token=TOKEN, allowed_hosts=["bot.example"])
        app.mount("/locks", page)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://bot.example") as client:
            assert (await client.get("/locks")).headers["location"].endswith("/locks/")
            answer = await client.get("/locks/")
            assert 'src="static/main.js"' in answer.text
            assert answer.headers["x-frame-options"] == "DENY"
            assert (await client.get("/locks/static/main.js")).status_code == 200
            released = await client.post(
                "/locks/api/release",
                json={"id": "c", "number": lock.ticket},
                headers={"X-Nowserving-Token": TOKEN},
            )
            assert released.json() == {"released": True}
            assert lock.lost
            elsewhere = await client.get("/locks/", headers={"Host": "evil.example"})
            assert elsewhere.status_code == 421


def test_its_figures_are_those_of_the_checker(shown: Shown) -> None:
    with listening(shown.dashboard) as told:
        words = ("verify", "--store", shown.store, "--workers", "4", "--messages", "150")
        done = subprocess.run(
            [sys.executable, "-m", "nowserving", *words, "--handler-ms", "150", "--json"],
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        seen = [news["survey"] for news in told.of("survey")]
        until(lambda: told.of("survey")[-1]["survey"]["conversations"] == 0)
    checked = json.loads(done.stdout)
    lengths = [
        line["waiting"] + (line["holder"] is not None)
        for survey in seen
        for line in survey["lines"]
    ]
    assert 1 <= max(lengths) <= checked["longest_line"], checked
    for survey in seen:
        assert survey["held"] <= survey["conversations"]
        assert survey["waiting"] == sum(line["waiting"] for line in survey["lines"])
    pids = {process["pid"] for survey in seen for process in survey["processes"]} - {None}
    assert 1 <= len(pids) <= 5  # the four workers, and the command itself
