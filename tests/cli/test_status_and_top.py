"""``status`` and ``top`` as an operator types them, while other processes have the lines."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import statistics
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING, Any

from nowserving import LockStore
from tests.cli.test_show_and_release import AS_SHOWN, HOSTILE, command
from tests.support.crew import Worker, until
from tests.support.redis_server import RedisServer
from tests.support.terminal import CTRL_C, CTRL_Z, DOWN, UP, Terminal, nowserving, of_a_person
from tests.support.worker import TurnJob

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PUSHED_WITHIN = 0.5  # seconds; a poll would come after wait_time_in_seconds, of which this is half
WAIT_TIME = 1.0


def at_work(url: str, *conversations: str, hold: float = 50.0, **options: Any) -> Worker:
    """Return a process that holds these conversations, each at once."""
    return Worker(
        url,
        *(
            TurnJob(
                name, hold=hold, wait=WAIT_TIME, options={"message_id": f"of {name}", **options}
            )
            for name in conversations
        ),
    )


@contextlib.contextmanager
def busy(url: str) -> Iterator[tuple[Worker, Worker]]:
    """Two processes: one holds three conversations, the other waits twice for one of them."""
    with at_work(url, "a", "b", HOSTILE) as holder:
        holder.wait_for("entered", count=3)
        with Worker(url, *(TurnJob("b", hold=50.0) for _ in range(2))) as waiter:
            waiter.wait_for("ready")
            until(lambda: status(url)["waiting"] == 2, within=30.0)
            yield holder, waiter


def status(url: str, *arguments: str) -> dict[str, Any]:
    """Return what ``status --json`` tells."""
    done = command("status", "--json", "--store", url, *arguments)
    if done.returncode:  # nothing was ever locked there
        return {"waiting": 0, "conversations": 0}
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_status_tells_what_is_in_use(url: str) -> None:
    with busy(url) as (holder, waiter):
        pids = {holder._process.pid: (3, 0), waiter._process.pid: (0, 2)}
        until(lambda: {each["pid"] for each in status(url)["processes"]} == set(pids), within=30.0)
        told = status(url)
        assert (told["conversations"], told["held"], told["waiting"]) == (3, 3, 2)
        assert told["lines"][0]["conversation_id"] == "b"
        assert told["lines"][0]["waiting"] == 2
        assert told["oldest_wait"] == told["lines"][0]["oldest_wait"] > 0
        assert told["lines"][0]["holder"]["message_id"] == "of b"
        counts = {each["pid"]: (each["holding"], each["waiting"]) for each in told["processes"]}
        assert counts == pids
        assert {line["conversation_id"] for line in told["lines"]} == {"a", "b", HOSTILE}
        assert status(url, "--lines", "0")["lines"] == []
        first = status(url, "--order", "held-for", "--lines", "1")["lines"]
        assert len(first) == 1
        with Terminal(*nowserving("status", "--store", url), columns=200) as terminal:
            assert terminal.wait() == 0
            shown, raw = terminal.text, terminal.raw
        assert "3 conversations in use, 3 held, 2 waiting, the oldest for" in shown
        assert AS_SHOWN in shown
        assert str(waiter._process.pid) in shown
        for danger in (b"\x1b[2J", "\u202e".encode(), "\x9b".encode()):
            assert danger not in raw


def test_status_of_a_store_in_which_nobody_is(url: str) -> None:
    with LockStore.create(url) as store, store.lock("c"):
        pass
    done = command("status", "--store", url)
    assert (done.returncode, done.stdout) == (0, "0 conversations in use, 0 held, 0 waiting.\n")


def test_what_cannot_be_asked_ends_with_2(tmp_path: Path) -> None:
    for name in ("status", "top"):
        done = command(name, "--store", "redis://127.0.0.1:1/0?socket_timeout=0.3")
        assert done.returncode == 2, done
        assert done.stdout == ""
    done = command("status", "--store", f"sqlite:///{tmp_path}/none.db")
    assert done.returncode == 2
    assert "no database" in done.stderr


def test_a_store_that_does_not_know_its_lines_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "from nowserving import LockStore\n"
        "class OwnStore(LockStore, schemes=('own',)):\n"
        "    def __init__(self, **_): super().__init__()\n"
        "    def get_lock(self, conversation_id): return None\n"
        "    def save_lock(self, lock): pass\n"
        "    def delete_lock(self, conversation_id): pass\n"
    )
    program = "import own; from nowserving.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "status", "--store", "own://"],
        capture_output=True,
        check=False,
        text=True,
        cwd=tmp_path,
        env={**of_a_person(), "COLUMNS": "200"},
    )
    assert done.returncode == 2, done
    assert "survey() needs a store that decides atomically" in done.stderr


def test_top_sends_whoever_has_no_terminal_to_status(url: str) -> None:
    done = command("top", "--store", url)
    assert done.returncode == 2
    assert "nowserving status" in done.stderr
    with Terminal(*nowserving("top", "--store", url), TERM="dumb") as terminal:
        assert terminal.wait() == 2


def test_top_tells_at_the_end_if_the_store_never_answered() -> None:
    asked = nowserving("top", "--store", "redis://127.0.0.1:1/0?socket_timeout=0.3")
    with Terminal(*asked) as terminal:
        assert terminal.wait() == 2
        assert "cannot be used" in terminal.text
        assert_given_back(terminal)


def test_top_shows_what_changes(url: str) -> None:
    asked = nowserving("top", "--store", url, "--every", "0.2")
    with busy(url), Terminal(*asked, columns=200) as terminal:
        terminal.until("3 conversations in use, 3 held, 2 waiting")
        until(lambda: names_of(terminal)[:1] == ["b"])
        terminal.until(AS_SHOWN)
        with at_work(url, "d", hold=1.0) as more:
            more.wait_for("entered")
            terminal.until("4 conversations in use")
            more.finish()
        terminal.until("3 conversations in use")
        terminal.type("q")
        assert terminal.wait() == 0
        assert_given_back(terminal)


def test_top_sorts_and_keeps_what_was_picked(url: str) -> None:
    with at_work(url, "old") as first:
        first.wait_for("entered")
        time.sleep(0.3)
        with busy(url), Terminal(*nowserving("top", "--store", url)) as terminal:
            terminal.until("4 conversations in use")
            until(lambda: names_of(terminal)[:1] == ["b"])
            terminal.type("h")
            terminal.until("longest held first")
            until(lambda: names_of(terminal)[:1] == ["old"])
            until(lambda: picked_row(terminal).startswith("b "))
            terminal.type("o")
            terminal.until("oldest waits first")
            until(lambda: names_of(terminal)[:1] == ["b"])
            terminal.type(DOWN)
            until(lambda: not picked_row(terminal).startswith("b "))
            for rows, columns in ((8, 30), (5, 12), (2, 5), (30, 200)):
                terminal.resize(rows, columns)
                time.sleep(0.1)
                assert terminal.process.poll() is None
            terminal.until("4 conversations in use")
            terminal.type("q")
            assert terminal.wait() == 0


def test_top_releases_whom_it_shows_after_asking(
    url: str, record_property: Callable[[str, object], None]
) -> None:
    """The holder, in another process, is told by a push, not by its next poll."""
    took: list[float] = []
    names = [f"c{number}" for number in range(5)]
    with at_work(url, *names, on_lost="cancel") as worker:
        worker.wait_for("entered", count=len(names))
        with Terminal(*nowserving("top", "--store", url), columns=160) as terminal:
            terminal.until(f"{len(names)} conversations in use")
            terminal.type("r")
            terminal.until("? y/n")
            terminal.type("n")
            terminal.until("Nothing was released.")
            assert not worker.find("left")
            for released in range(1, len(names) + 1):
                terminal.type("r")
                terminal.until("? y/n")
                pressed = time.monotonic_ns()
                terminal.type("y")
                told = worker.wait_for("left", count=released)[-1]
                took.append((told["at"] - pressed) / 1e9)
                terminal.until_gone("? y/n")
                terminal.until("Released: ticket")
                terminal.until(f"{len(names) - released} conversation")
            terminal.until("Nobody is in line.")
            reasons = [said["message"] for said in worker.wait_for("refused", count=len(names))]
            assert all("nowserving top" in reason for reason in reasons)
            terminal.type("q")
            assert terminal.wait() == 0
    record_property(
        "measured", f"from the key to the holder {statistics.median(took) * 1e3:.2f} ms"
    )
    assert statistics.median(took) < PUSHED_WITHIN


def test_top_gives_the_terminal_back_whatever_ends_it(url: str) -> None:
    endings: dict[str, tuple[Callable[[Terminal], object], int]] = {
        "Ctrl-C": (lambda terminal: terminal.type(CTRL_C), 130),
        "SIGTERM": (lambda terminal: terminal.signal(signal.SIGTERM), 143),
        "q": (lambda terminal: terminal.type("q"), 0),
    }
    with at_work(url, "c") as worker:
        worker.wait_for("entered")
        for end, status_ in endings.values():
            with Terminal(*nowserving("top", "--store", url)) as terminal:
                terminal.until("1 conversation in use")
                end(terminal)
                assert terminal.wait() == status_
                assert_given_back(terminal)


def test_top_is_suspended_and_goes_on(url: str) -> None:
    with at_work(url, "c") as worker:
        worker.wait_for("entered")
        with Terminal("bash", "--norc", "-i", PS1="prompt> ") as terminal:
            terminal.until("prompt>")
            terminal.type(f"{' '.join(nowserving('top', '--store', url))}\r")
            terminal.until("1 conversation in use")
            terminal.type(CTRL_Z)
            terminal.until("Stopped")
            terminal.type("echo $((6 * 7)) is echoed\r")
            terminal.until("42 is echoed")
            terminal.type("clear\r")
            terminal.until_gone("conversation")
            terminal.type("fg\r")
            terminal.until("1 conversation in use")
            terminal.until_gone("prompt>")
            terminal.type("q")
            terminal.until("prompt>")
            terminal.type("echo ended with $?\r")
            terminal.until("ended with 0")


def test_top_goes_on_while_the_store_is_silent() -> None:
    """No key waits for a survey, and the figures say how old they are."""
    with RedisServer() as server, at_work(server.url(), "a", "b") as worker:
        worker.wait_for("entered", count=2)
        asked = nowserving("top", "--store", server.url(socket_timeout=3), "--every", "0.2")
        with Terminal(*asked) as terminal:
            terminal.until("2 conversations in use")
            server.pause()
            terminal.type("h")
            terminal.until("longest held first")
            until(lambda: picked_row(terminal) != "")
            before = picked_row(terminal)
            terminal.type(UP if picked_row(terminal, below=1).strip() == "" else DOWN)
            until(lambda: picked_row(terminal) not in {"", before})
            terminal.until("did not answer")
            terminal.until("as of")
            server.resume()
            terminal.until_gone("as of")
            terminal.until("2 conversations in use")
            terminal.type("q")
            assert terminal.wait() == 0
            assert_given_back(terminal)


# What is looked for on a screen


def names_of(terminal: Terminal) -> list[str]:
    """Return the conversations in the table, in their order."""
    lines = terminal.lines
    titles = [place for place, line in enumerate(lines) if line.startswith("conversation ")]
    return [re.split(r"\s{2,}", line)[0] for place in titles for line in lines[place + 1 :] if line]


def picked_row(terminal: Terminal, below: int = 0) -> str:
    """Return the row that stands out, or one below it."""
    screen = terminal._screen
    for place in range(screen.lines):
        if screen.buffer[place][0].reverse:
            return screen.display[place + below]
    return ""


def assert_given_back(terminal: Terminal) -> None:
    """The cursor is shown, the other screen is back, and keys are echoed."""
    assert terminal.raw.rindex(b"\x1b[?1049l") > terminal.raw.rindex(b"\x1b[?1049h")
    assert terminal.raw.rindex(b"\x1b[?25h") > terminal.raw.rindex(b"\x1b[?25l")
    modes = termios.tcgetattr(terminal._main)[3]
    assert modes & termios.ECHO
    assert modes & termios.ICANON
