"""The command as people run it: output, exit status, and errors that name the option."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from importlib import import_module
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from benchmarks.own_redis import own_redis
from nowserving.cli.app import app
from nowserving.verify.replay import Replay, replay

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

    from nowserving.verify.crew import WorkerProcess
    from nowserving.verify.plan import Plan
    from nowserving.verify.turns import TurnRecord
    from tests.verify.conftest import WriteTrace

QUICK = ("--messages", "120", "--handler-ms", "10", "--workers", "3")


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return run("-m", "nowserving.cli", *arguments, **environment)


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, sys.path))
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path, **environment},
    )


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["verify", *arguments], env={"COLUMNS": "300"})


def test_with_the_lock_nothing_is_violated() -> None:
    done = command("verify", *QUICK)
    assert done.returncode == 0, done.stderr
    assert "One turn at a time, in order, none lost." in done.stdout
    assert done.stderr == ""


def test_without_the_lock_violations_are_found() -> None:
    done = command("verify", *QUICK, "--without-lock", "--speed", "200", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 1
    assert found["violated"]
    assert found["overlaps"] > 0
    assert found["out_of_order"] > 0
    assert (found["lost"], found["lock"], found["store"]) == (0, False, None)


def test_the_newest_answers_for_a_burst(write_trace: WriteTrace) -> None:
    trace = write_trace(*(f"{index // 4 * 2},a,ann,{index}" for index in range(40)))
    options = ("--trace", str(trace), "--handler-ms", "5", "--speed", "10", "--workers", "2")
    burst = ("--when-busy", "latest", "--settle", "1", "--settle-max", "1.5")
    done = command("verify", *options, *burst, "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert found["options"] == {"when_busy": "latest", "settle": 0.1, "settle_max": 0.15}
    assert (found["lost"], found["answered_twice"]) == (0, 0)
    assert 1 <= found["turns"] < 40
    assert found["answer_ms"]["count"] == 40


def test_a_longest_time_to_settle_needs_the_usual_one() -> None:
    done = invoke(*QUICK, "--settle-max", "2")
    assert done.exit_code == 2
    assert "--settle" in done.output


def test_json_is_all_there_is_on_stdout(write_trace: WriteTrace) -> None:
    trace = write_trace(*(f"{index / 10},a:{index % 2},ann,{index}" for index in range(40)))
    options = ("--trace", str(trace), "--messages", "30", "--handler-ms", "5", "--speed", "20")
    done = command("verify", *options, "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0
    assert (found["messages"], found["conversations"], found["workers"]) == (30, 2, 4)
    assert (found["overlaps"], found["out_of_order"], found["lost"]) == (0, 0, 0)
    assert found["speed"] == 20.0
    assert found["hand_off_ms"].keys() == {"count", "p50", "p99"}


def test_a_store_of_ours_is_used_and_left_running(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    with own_redis() as url:
        for _ in range(2):  # a run does not stand in the way of the next
            done = command("verify", *QUICK, "--store", url, "--report", str(page))
            assert done.returncode == 0, done.stderr
            assert url in done.stdout
    assert "none lost" in page.read_text(encoding="utf-8")


def test_in_memory_there_is_one_worker() -> None:
    done = command(
        "verify", "--messages", "60", "--handler-ms", "5", "--store", "memory://", "--json"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["workers"] == 1


@pytest.mark.parametrize("folder", ["", "of 100 % & 'more' ?#"])
def test_without_a_store_it_makes_a_file_of_its_own(tmp_path: Path, folder: str) -> None:
    place = tmp_path / folder
    place.mkdir(exist_ok=True)
    done = command("verify", *QUICK, "--json", TMPDIR=str(place))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["workers"], found["store"]) == (3, "SQLite, a file of its own")
    assert not list(place.iterdir())


def test_where_it_can_make_no_file_it_says_so() -> None:
    program = "import tempfile; tempfile.tempdir = '/proc'; from nowserving.cli import main; main()"
    done = run("-c", program, "verify", *QUICK)
    assert done.returncode == 2
    assert "--store" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_killed_worker_is_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    crew: list[WorkerProcess] = []
    heard: list[TurnRecord] = []

    def kill_one_in_mid_run(record: TurnRecord) -> None:
        heard.append(record)
        if len(heard) == 10:
            os.kill(crew[0].pid, signal.SIGKILL)

    async def replay_and_kill(
        plan: Plan, *, store: str | None, lifetime: float, options: object, on_turn: object
    ) -> Replay:
        assert not options
        assert callable(on_turn)
        return await replay(
            plan, store=store, lifetime=lifetime, on_start=crew.extend, on_turn=kill_one_in_mid_run
        )

    monkeypatch.setattr(import_module("nowserving.cli.verify"), "replay", replay_and_kill)
    done = invoke(*QUICK, "--lifetime", "2", "--json")
    found = json.loads(done.stdout)
    assert done.exit_code == 1
    assert found["lost"] > 0
    assert (found["overlaps"], found["out_of_order"]) == (0, 0)
    assert "worker 0 ended early (signal 9)" in found["notes"]


TELL_THE_WORKERS = """
import functools, sys
from nowserving.cli import main, verify
tell = lambda crew: print(*(worker.pid for worker in crew), flush=True)
verify.replay = functools.partial(verify.replay, on_start=tell)
main()
"""


@pytest.mark.parametrize("wanted", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_everything(wanted: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", TELL_THE_WORKERS, "verify", "--messages", "500", "--speed", "0.1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    with process:
        workers = (process.stdout or pytest.fail("no pipe")).readline().split()
        process.send_signal(wanted)
        out, error = process.communicate()
    assert len(workers) == 4
    assert out == ""
    assert "Traceback" not in error
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[wanted]
    for worker in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(int(worker), 0)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--workers", "0"), "--workers"),
        (("--messages", "0"), "--messages"),
        (("--speed", "0"), "--speed"),
        (("--speed", "nan"), "--speed"),
        (("--handler-ms", "-1"), "--handler-ms"),
        (("--lifetime", "0"), "--lifetime"),
        (("--lifetime", "1e9"), "--lifetime"),
        (("--trace", "no-such-file.csv"), "no-such-file.csv"),
        (("--store", "nonsense://host"), "nonsense"),
        (
            ("--store", "redis://user:secret@127.0.0.1:1/0?socket_timeout=0.3"),
            "redis://127.0.0.1:1/0 cannot be used",
        ),
        (("--store", "memory://", "--workers", "2"), "--workers is 2"),
        (("--report", "no-such-folder/page.html"), "no-such-folder"),
    ],
)
def test_a_bad_value_is_named(arguments: tuple[str, ...], complaint: str) -> None:
    done = invoke(*arguments)
    assert done.exit_code == 2
    assert complaint in done.stderr
    assert arguments[0] in done.stderr
    assert "secret" not in done.stderr
    assert done.stdout == ""


def test_a_bad_trace_is_named(write_trace: WriteTrace) -> None:
    done = invoke("--trace", str(write_trace("0,a,ann,1", "1,b,bob,many")))
    assert done.exit_code == 2
    assert "line 3, column characters: 'many'" in done.stderr


def test_the_version_is_shown() -> None:
    done = command("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("nowserving ")


def test_without_its_extra_the_command_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise ModuleNotFoundError(name='typer')")
    done = subprocess.run(
        [sys.executable, "-m", "nowserving.cli", "verify"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
    )
    assert done.returncode == 2
    assert "pip install 'nowserving[cli]'" in done.stderr
    assert "Traceback" not in done.stderr
