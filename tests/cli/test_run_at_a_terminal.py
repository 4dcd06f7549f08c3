"""``run`` as a person at a terminal uses it: Ctrl-C, Ctrl-Z, ``fg``, and keys for the command."""

from __future__ import annotations

import shlex
import signal
import sys
from typing import TYPE_CHECKING

from tests.support.crew import Worker, until
from tests.support.looking import until_waiting
from tests.support.terminal import CTRL_C, CTRL_Z, ENTER, Terminal, nowserving
from tests.support.worker import TurnJob

if TYPE_CHECKING:
    from pathlib import Path

TELLS_SIGNALS = """
import signal, sys, time
def tell(signum, frame):
    print("got", signal.Signals(signum).name, flush=True)
for each in (signal.SIGINT, signal.SIGUSR1, signal.SIGQUIT):
    signal.signal(each, tell)
print("ready", sys.stdin.isatty(), flush=True)
for line in sys.stdin:
    print("read", line.strip().upper(), flush=True)
    if line.strip() == "end":
        sys.exit(6)
"""


def run(url: str, *command: str) -> list[str]:
    return nowserving("run", "--store", url, "c", "--", *command)


def test_the_command_has_the_terminal_and_gets_ctrl_c_once(file_url: str) -> None:
    with Terminal(*run(file_url, sys.executable, "-c", TELLS_SIGNALS)) as terminal:
        terminal.until("ready True")
        terminal.type(CTRL_C)
        terminal.until("got SIGINT")
        terminal.type(f"hello{ENTER}")
        terminal.until("read HELLO")
        terminal.process.send_signal(signal.SIGINT)  # to `run` alone: it hands that on
        terminal.until_count("got SIGINT", 2)
        terminal.process.send_signal(signal.SIGUSR1)
        terminal.until("got SIGUSR1")
        terminal.type(f"end{ENTER}")
        assert terminal.wait() == 6
        assert terminal.text.count("got SIGINT") == 2


def test_ctrl_c_ends_the_command_and_the_script_that_runs_it(url: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    one = shlex.join(run(url, "sh", "-c", f"echo + >> {log}; exec sleep 30"))
    with Terminal("bash", "-c", f"for i in 1 2 3; do {one}; done") as terminal:
        until(log.exists, within=30)
        terminal.type(CTRL_C)
        assert terminal.wait() == 130
    assert log.read_text() == "+\n"
    with Terminal(*run(url, "echo", "free again")) as terminal:
        terminal.until("free again")
        assert terminal.wait() == 0


def test_ctrl_c_while_it_waits(url: str) -> None:
    with Worker(url, TurnJob("c", hold=60.0)) as worker:
        worker.wait_for("entered")
        with Terminal(*run(url, "echo", "ran")) as terminal:
            terminal.until("nowserving run: c: waits for its turn, 1 ahead.")
            until_waiting(url, 1)
            terminal.type(CTRL_C)
            assert terminal.wait() == 130
            assert "ran" not in terminal.text


def test_ctrl_z_and_fg(file_url: str) -> None:
    tells = shlex.join(run(file_url, sys.executable, "-c", TELLS_SIGNALS))
    with Terminal("bash", "--norc", "--noprofile", "-i", PS1="$ ") as terminal:
        terminal.until("$")
        terminal.type(f"clear; {tells}{ENTER}")
        terminal.until("ready True")
        terminal.type(CTRL_Z)
        terminal.until("Stopped")
        terminal.type(f"clear; fg{ENTER}")
        terminal.until_gone("Stopped")
        terminal.type(f"back{ENTER}")
        terminal.until("read BACK")
        terminal.type(f"end{ENTER}")
        terminal.until("read END")
        terminal.type(f"echo still $?{ENTER}")
        terminal.until("still 6")
