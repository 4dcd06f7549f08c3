"""``run`` as scripts use it: one at a time, exit statuses, and no command left over."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.crew import Worker, until
from tests.support.looking import until_waiting, waiting
from tests.support.terminal import nowserving, of_a_person
from tests.support.worker import TurnJob

if TYPE_CHECKING:
    from collections.abc import Iterator

HOSTILE = "a\x1b[2J[bold]\u202e\n'$(x)"


def command(url: str, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run ``nowserving run`` to its end, without a terminal."""
    return subprocess.run(
        nowserving("run", "--store", url, *arguments),
        capture_output=True,
        check=False,
        text=True,
        input=given,
        env=of_a_person(),
        start_new_session=True,
        timeout=60,
    )


class Started:
    """``nowserving run`` in a session of its own, which is killed when the ``with`` is left."""

    def __init__(self, url: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            nowserving("run", "--store", url, *arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=of_a_person(),
            start_new_session=True,
        )

    def __enter__(self) -> subprocess.Popen[str]:
        return self.process

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def held(url: str) -> Iterator[Worker]:
    """Another process that holds the conversation "c", as the message "m"."""
    with Worker(url, TurnJob("c", hold=60.0, options={"message_id": "m"})) as worker:
        worker.wait_for("entered")
        yield worker


def told(file: Path) -> list[str]:
    return file.read_text().split() if file.exists() else []


def is_there(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_one_at_a_time_and_renewed(url: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    program = "echo + >> $0; sleep 0.7; echo - >> $0"  # longer than a ticket lives
    arguments = ("--lifetime", "0.4", "c", "--", "sh", "-c", program, str(log))
    runs = [Started(url, *arguments) for _ in range(3)]
    assert [run.process.wait(60) for run in runs] == [0, 0, 0]
    for run in runs:
        _, err = run.process.communicate()
        assert err == ""
    assert told(log) == ["+", "-"] * 3


def test_the_command_is_told_of_its_turn_and_has_the_standard_streams(file_url: str) -> None:
    program = (
        "import os, sys; print(repr(os.environ['NOWSERVING_CONVERSATION_ID']));"
        "print(os.environ['NOWSERVING_TICKET'], os.environ['NOWSERVING_FENCING_TOKEN']);"
        "print(sys.stdin.read())"
    )
    tokens = []
    for _ in range(2):
        done = command(file_url, HOSTILE, "--", sys.executable, "-c", program, given="hello")
        assert done.returncode == 0, done.stderr
        named, numbers, given = done.stdout.splitlines()
        assert (named, given) == (repr(HOSTILE), "hello")
        tokens.append([int(number) for number in numbers.split()])
    assert tokens[0][1] < tokens[1][1]


def test_exit_statuses(file_url: str, tmp_path: Path) -> None:
    assert command(file_url, "c", "--", "sh", "-c", "exit 7").returncode == 7
    assert command(file_url, "c", "--", "sh", "-c", "kill -TERM $$").returncode == 128 + 15
    missing = command(file_url, "c", "--", "no-such\x1bcommand")
    assert (missing.returncode, missing.stderr) == (
        127,
        "nowserving run: no-such\\x1bcommand: command not found\n",
    )
    plain = tmp_path / "plain"
    plain.write_text("no program")
    assert command(file_url, "c", "--", str(plain)).returncode == 126
    plain.chmod(0o755)
    bad = command(file_url, "c", "--", str(plain))
    assert (bad.returncode, bad.stdout) == (126, "")
    assert "Exec format error" in bad.stderr
    assert command("redis://:hunter2@127.0.0.1:1", "c", "--", "true").returncode == 2
    assert command(file_url, "--label", "x" * 201, "c", "--", "true").returncode == 2
    mistaken = command(file_url, "--lifetime", "0", "c", "--", "true")
    assert (mistaken.returncode, "'--lifetime'" in mistaken.stderr) == (2, True)


@pytest.mark.usefixtures("held")
def test_the_turn_never_comes(url: str) -> None:
    for arguments, complaint in (
        (("--timeout", "0"), "1 ahead"),
        (("--timeout", "0"), "Its holder: message m, "),
        (("--when-busy", "reject", "--conflict-exit-code", "75"), "Its holder: message m, "),
        (("--message-id", "m"), "'m'"),
    ):
        done = command(url, *arguments, "c", "--", "echo", "ran")
        assert (done.returncode, done.stdout) == (75 if "75" in arguments else 1, "")
        assert done.stderr.startswith("nowserving run: c: no turn: ")
        assert complaint in done.stderr


def test_a_signal_while_it_waits_leaves_the_line(url: str, held: Worker) -> None:
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with Started(url, "c", "--", "echo", "ran") as run:
            until_waiting(url, 1)
            run.send_signal(signal.SIGUSR1)  # is for the command, which is not there yet
            run.send_signal(signum)
            status = run.wait(20)
            assert (status if status >= 0 else 128 - status) == 128 + signum
            assert run.communicate() == ("", "")
        assert waiting(url) == 0
    held.signal(signal.SIGTERM)


def test_signals_are_handed_on(file_url: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    program = (
        "trap 'echo USR1 >> $0' USR1; trap 'echo TERM >> $0; exit 5' TERM;"
        "echo + >> $0; while :; do sleep 0.05; done"
    )
    with Started(file_url, "c", "--", "sh", "-c", program, str(log)) as run:
        until(lambda: told(log) == ["+"], within=30)
        run.send_signal(signal.SIGUSR1)
        until(lambda: told(log) == ["+", "USR1"])
        run.send_signal(signal.SIGTERM)
        assert run.wait(20) == 5
    assert told(log) == ["+", "USR1", "TERM"]
    assert command(file_url, "--timeout", "5", "c", "--", "true").returncode == 0


def test_without_a_terminal_all_that_the_command_started_gets_the_signal(
    file_url: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with Started(file_url, "c", "--", "sh", "-c", "sleep 98 & echo $! > $0; wait", str(log)) as run:
        until(lambda: len(told(log)) == 1, within=30)
        run.send_signal(signal.SIGINT)
        assert run.wait(20) == -signal.SIGINT
    until(lambda: not is_there(int(told(log)[0])))


def test_stopped_and_continued(file_url: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    program = "while :; do echo + >> $0; sleep 0.05; done"
    with Started(file_url, "c", "--", "sh", "-c", program, str(log)) as run:
        until(lambda: len(told(log)) > 2, within=30)
        run.send_signal(signal.SIGTSTP)
        time.sleep(0.5)
        count = len(told(log))
        time.sleep(0.5)
        assert len(told(log)) == count
        run.send_signal(signal.SIGCONT)
        until(lambda: len(told(log)) > count + 2)
        run.terminate()
        assert run.wait(20) == 128 + 15


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills a command with its parent")
def test_whoever_kills_it_kills_the_command(url: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    program = "trap '' TERM INT HUP; echo $$ > $0; while :; do sleep 0.05; done"
    arguments = ("--lifetime", "2", "c", "--", "sh", "-c", program, str(log))
    with Started(url, *arguments) as run:
        until(lambda: len(told(log)) == 1, within=30)
        run.kill()
        until(lambda: not is_there(int(told(log)[0])), within=5)
    assert command(url, "--timeout", "10", "c", "--", "true").returncode == 0


@pytest.mark.usefixtures("held")
def test_a_command_that_is_held_back_goes_with_it(url: str) -> None:
    with Started(url, "c", "--", "true") as run:
        until_waiting(url, 1)
        shown = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(run.pid)], capture_output=True, text=True, check=True
        )
        (held_back,) = map(int, shown.stdout.split())
        run.kill()
        until(lambda: not is_there(held_back), within=5)


def test_a_command_whose_turn_is_lost(url: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    stubborn = "trap 'echo TERM >> $0' TERM; echo + >> $0; while :; do sleep 0.05; done"
    kill = ("--on-lost", "kill", "--kill-after", "0.3")
    with Started(url, *kill, "c", "--", "sh", "-c", stubborn, str(log)) as run:
        until(lambda: told(log) == ["+"], within=30)
        release(url)
        assert run.wait(20) == 128 + 9
        assert "someone else: it hangs. Ending the command." in run.communicate()[1]
    assert told(log) == ["+", "TERM"]
    log.unlink()
    goes_on = "echo + >> $0; while [ ! -e $0.end ]; do sleep 0.05; done; exit 3"
    with Started(url, "c", "--", "sh", "-c", goes_on, str(log)) as run:
        until(lambda: told(log) == ["+"], within=30)
        release(url)
        assert command(url, "--timeout", "9", "c", "--", "true").returncode == 0
        Path(f"{log}.end").touch()
        assert run.wait(20) == 3
        assert "The command runs on" in run.communicate()[1]


def release(url: str) -> None:
    done = subprocess.run(
        nowserving("release", "c", "--reason", "it hangs", "--store", url),
        capture_output=True,
        check=False,
        text=True,
        stdin=subprocess.DEVNULL,
        env=of_a_person(),
    )
    assert done.returncode == 0, done.stderr


def test_a_newer_one_interrupts(url: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    program = "trap 'echo - >> $0; exit 9' TERM; echo + >> $0; while :; do sleep 0.05; done"
    with Started(url, "c", "--", "sh", "-c", program, str(log)) as run:
        until(lambda: told(log) == ["+"], within=30)
        newer = ("--when-busy", "interrupt", "c", "--", "sh", "-c", "echo new >> $0", str(log))
        assert command(url, *newer).returncode == 0
        assert run.wait(20) == 9
        assert "a newer message interrupts" in run.communicate()[1]
    assert told(log) == ["+", "-", "new"]
