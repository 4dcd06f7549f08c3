"""``show`` and ``release`` as an operator types them, while another process has the line."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from itertools import pairwise
from typing import Any

import pytest

from nowserving import LockAbsorbed, LockStore, Observer, TicketEvent
from tests.support.crew import Worker
from tests.support.looking import line_of, until_waiting
from tests.support.terminal import CTRL_C, CTRL_D, ENTER, Terminal, nowserving, of_a_person
from tests.support.worker import TurnJob

HOSTILE = "a\x1b[2J[bold]b[/]\u202ec\n:smile:\x9bd"
AS_SHOWN = r"a\x1b[2J[bold]b[/]\u202ec\n:smile:\u009bd"


def command(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command that is not at a terminal."""
    return subprocess.run(
        nowserving(*arguments),
        capture_output=True,
        check=False,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**of_a_person(), **variables},
    )


def in_line(url: str, conversation_id: str = "c") -> Worker:
    """Return a process that holds a conversation, with three more messages in line."""
    options: list[dict[str, Any]] = [
        {"message_id": "m-1", "label": "trace-[red]1"},
        {"message_id": "m-2\x1b]0;x\x07", "settle": 50.0},
        {"label": "third"},
        {},
    ]
    turns = [
        TurnJob(conversation_id, hold=50.0, after=0.2 * place, options=each)
        for place, each in enumerate(options)
    ]
    return Worker(url, *turns)


def test_a_line_is_shown(url: str) -> None:
    with in_line(url, HOSTILE) as worker:
        worker.wait_for("entered")
        until_waiting(url, 3, HOSTILE)
        told = json.loads(command("show", HOSTILE, "--json", "--store", url).stdout)
        assert told["conversation_id"] == HOSTILE
        holder = told["holder"]
        assert (holder["message_id"], holder["label"]) == ("m-1", "trace-[red]1")
        assert holder["pid"] == worker._process.pid
        assert 0 < holder["expires_in"] <= 60
        assert 0 < holder["for"] < 50
        assert [each["position"] for each in told["waiting"]] == [1, 2, 3]
        assert told["waiting"][0]["settling"]
        with Terminal(*nowserving("show", HOSTILE, "--store", url), columns=160) as terminal:
            assert terminal.wait() == 0
            shown, raw = terminal.text, terminal.raw
        assert f"{AS_SHOWN}: one holds, 3 waiting" in shown
        for text in ("holds", "1 settles", "trace-[red]1", r"m-2\x1b]0;x\x07", "third"):
            assert text in shown
        assert str(worker._process.pid) in shown
        for danger in (b"\x1b[2J", b"\x1b]0", b"\x07", "\u202e".encode(), "\x9b".encode()):
            assert danger not in raw


def test_a_narrow_terminal_shows_fewer_columns(file_url: str) -> None:
    with in_line(file_url) as worker:
        worker.wait_for("entered")
        until_waiting(file_url, 3)
        for columns, titles in (
            (30, "place ticket for"),
            (60, "place ticket for message process"),
            (160, "place ticket for lease left message label process"),
        ):
            show = nowserving("show", "c", "--store", file_url)
            with Terminal(*show, columns=columns) as terminal:
                assert terminal.wait() == 0
                _, header, holder, *_ = terminal.lines
            assert header.split() == titles.split()
            assert holder.startswith("holds")
            assert re.search(r"\d m?s\b", holder), "a duration is never broken"


def test_a_line_is_shown_to_a_program(url: str) -> None:
    with in_line(url) as worker:
        worker.wait_for("entered")
        until_waiting(url, 3)
        done = command("show", "c", NOWSERVING_STORE=url)
        assert done.returncode == 0
        assert len(done.stdout.splitlines()) == 7  # never wrapped
        assert done.stderr == ""
        old = command("show", "c", "--store", url, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
        assert (old.returncode, old.stderr) == (0, "")


async def test_what_the_holder_has_absorbed_is_marked(url: str) -> None:
    async with LockStore.create(url) as store:

        async def follow_up() -> None:
            with pytest.raises(LockAbsorbed):
                async with store.lock("c", message_id="follow-up"):
                    pass

        async with store.lock("c") as lock:
            waiter = asyncio.create_task(follow_up())
            await lock.news()
            assert len(await lock.absorb()) == 1
            done = await asyncio.to_thread(command, "show", "c", "--store", url)
        await waiter
    assert done.returncode == 0
    (row,) = [line for line in done.stdout.splitlines() if "follow-up" in line]
    assert row.startswith("1 absorbed ")
    assert "absorbed: the holder has taken its message into its own turn" in done.stdout


async def test_of_a_long_line_the_first_are_shown(url: str) -> None:
    async with LockStore.create(url) as store:
        for _ in range(104):
            await store.take_ticket("c")
    done = await asyncio.to_thread(command, "show", "c", "--store", url)
    lines = done.stdout.splitlines()
    assert lines[0] == "c: one holds, 103 waiting"
    assert lines[-1] == "and 3 more; --json tells all"
    assert lines[-2].split()[:2] == ["100", "100"]
    told = await asyncio.to_thread(command, "show", "c", "--json", "--store", url)
    assert len(json.loads(told.stdout)["waiting"]) == 103


def test_a_history_is_drawn(url: str) -> None:
    recording = f"{url}{'&' if '?' in url else '?'}history=50"
    turns = [TurnJob("c", hold=0.1, after=0.05 * place) for place in range(3)]
    with Worker(recording, *turns) as worker:
        worker.finish()
    with Terminal(*nowserving("show", "c", "--plot", "--store", url), columns=100) as terminal:
        assert terminal.wait() == 0
        axis, *bars = terminal.lines[:4]
    assert axis.startswith("ticket  ")
    assert [bar.split()[0] for bar in bars] == ["0", "1", "2"]
    assert all("█" in bar and "done" in bar for bar in bars)
    told = json.loads(command("show", "c", "--plot", "--json", "--store", url).stdout)
    assert [turn["ticket"] for turn in told["turns"]] == [0, 1, 2]
    for before, after in pairwise(told["turns"]):
        assert before["ended"] <= after["served"] + 0.01
    assert command("show", "c", "--store", url).returncode == 1


def test_nobody_is_in_line(url: str) -> None:
    with Worker(url, TurnJob()) as worker:
        worker.finish()
    done = command("show", HOSTILE, "--store", url)
    assert (done.returncode, done.stdout) == (1, f"Nobody is in line for {AS_SHOWN}.\n")
    done = command("show", "c", "--json", "--store", url)
    assert done.returncode == 1
    assert json.loads(done.stdout) == {"conversation_id": "c", "holder": None, "waiting": []}
    for arguments in (("release", "c"), ("release", "c", "--ticket", "7")):
        done = command(*arguments, "--store", url)
        assert (done.returncode, done.stdout) == (1, "")
        assert "nothing to release" in done.stderr


def test_a_person_is_asked_before_a_holder_is_released(url: str) -> None:
    with in_line(url, HOSTILE) as worker:
        worker.wait_for("entered")
        until_waiting(url, 3, HOSTILE)
        release = nowserving("release", HOSTILE, "--store", url, "--reason", "it hangs")
        for answer, status in (("n", 1), ("", 1), (CTRL_D, 1), (CTRL_C, 130)):
            with Terminal(*release) as terminal:
                terminal.until("Release it? [y/N]")
                shown, raw = terminal.text.replace("\n", ""), terminal.raw
                assert AS_SHOWN in shown
                assert "ticket 0, message m-1, label trace-[red]1, on " in shown
                assert b"\x1b[2J" not in raw
                terminal.type(answer + ENTER)
                assert terminal.wait() == status
        line = line_of(url, HOSTILE)
        assert line is not None
        assert line.holder is not None
        assert line.holder.number == 0
        with Terminal(*release) as terminal:
            terminal.until("Release it? [y/N]")
            terminal.type(f"y{ENTER}")
            terminal.until("Released: ticket 0, message m-1")
            assert terminal.wait() == 0
        line = line_of(url, HOSTILE)
        assert line is not None
        assert line.holder is None or line.holder.number > 0


async def test_a_holder_in_another_process_is_told_at_once(url: str) -> None:
    told: list[str] = []

    class Listener(Observer):
        def lost(self, event: TicketEvent) -> None:
            told.append(event.reason)

    async with LockStore.create(url) as store:
        store.observe(Listener())
        async with store.lock("c", wait_time_in_seconds=60.0) as lock:  # nothing but a push tells
            release = ("release", "c", "--reason", "it \x1b hangs", "--store", url)
            done = await asyncio.to_thread(command, *release)
            assert done.returncode == 0, done.stderr
            await asyncio.wait_for(lock.lost_event.wait(), 1.0)
    assert len(told) == 1
    assert told[0].endswith("it \x1b hangs")


def test_a_program_is_not_asked(url: str) -> None:
    with in_line(url) as worker:
        worker.wait_for("entered")
        until_waiting(url, 3)
        line = line_of(url, "c")
        assert line is not None
        number = line.waiting[1].number
        done = command("release", "c", "--ticket", str(number), "--json", "--store", url)
        answer = json.loads(done.stdout)
        assert done.returncode == 0
        assert (answer["released"], answer["ticket"]["label"]) == (True, "third")
        again = command("release", "c", "--ticket", str(number), "--json", "--store", url)
        assert again.returncode == 1
        assert json.loads(again.stdout)["released"] is False
        line = line_of(url, "c")
        assert line is not None
        assert number not in [each.number for each in line.waiting]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("show", ""), "a conversation's id is not empty"),
        (("release", "c", "--ticket", "x\x1b"), "give its number"),
        (("release", "c", "--reason", "x" * 201), "longer than 200 bytes"),
        (("show", "c", "--store", "redis://:hunter2@127.0.0.1:1"), "cannot be used"),
        (("release", "c", "--store", "redis://:hunter2@127.0.0.1:1"), "cannot be used"),
    ],
)
def test_what_can_not_be_tried(arguments: tuple[str, ...], complaint: str) -> None:
    done = command(*arguments, COLUMNS="400")
    assert done.returncode == 2
    assert complaint in done.stderr
    assert "hunter2" not in done.stderr + done.stdout
    assert "\x1b" not in done.stderr
