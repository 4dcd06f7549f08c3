"""``why``, ``whatif`` and ``watch`` as they are typed, over a file and over Redis."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from nowserving import LockInterrupted, LockStore
from tests.support.crew import environment
from tests.support.terminal import CTRL_C, Terminal, nowserving
from tests.support.trace import handle, messages

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "\x1b]0;owned\x07\x1b[2J[red]a\u202eb\r\n{x}"


def typed(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        nowserving(*arguments),
        capture_output=True,
        text=True,
        check=False,
        env={**environment(), "COLUMNS": "300"},
        timeout=60,
    )


def with_history(url: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}history=500"


async def _wait(url: str, conversation_id: str) -> None:
    async with LockStore.create(with_history(url)) as store:

        async def turn(message_id: str, hold: float, **options: Any) -> None:
            with contextlib.suppress(LockInterrupted):
                async with store.lock(conversation_id, message_id=message_id, **options):
                    await asyncio.sleep(hold)

        first = asyncio.create_task(turn("m-1", 0.3))
        await asyncio.sleep(0.05)
        second = asyncio.create_task(turn("m-2", 5.0))
        await asyncio.sleep(0.5)
        third = asyncio.create_task(turn("m-3", 0.1, when_busy="interrupt"))
        await asyncio.gather(first, second, third)


@pytest.fixture
def waited(url: str) -> str:
    """A store in which three messages of "anna" came at once, the last one interrupting."""
    asyncio.run(_wait(url, "anna"))
    return url


def test_why_names_who_was_ahead(waited: str) -> None:
    done = typed("why", "anna", "--store", waited, "--ticket", "1")
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert "ticket 1 on " in line
    assert ", message m-2 waited " in line
    assert "behind ticket 0 on " in line
    assert "message m-1" in line


def test_why_as_json(waited: str) -> None:
    done = typed("why", "anna", "--store", waited, "--json", "--ticket", "1")
    said = json.loads(done.stdout)
    (wait,) = said["waits"]
    assert (wait["number"], wait["message_id"], wait["outcome"]) == (1, "m-2", "interrupted")
    assert wait["waited"] == pytest.approx(0.25, abs=0.2)
    held = wait["because"][0]
    assert (held["kind"], held["number"], held["message_id"]) == ("held", 0, "m-1")
    assert done.returncode == 0


def test_why_says_that_nobody_waited(waited: str) -> None:
    asked = typed("why", "berta", "--store", waited)
    assert (asked.returncode, asked.stdout) == (1, "")
    assert "Nothing is recorded of this conversation" in asked.stderr
    asked = typed("why", "anna", "--store", waited, "--ticket", "77")
    assert asked.returncode == 1
    assert "No wait of ticket 77" in asked.stderr


@pytest.mark.parametrize("command", [["why", "anna"], ["whatif"], ["watch"]])
def test_a_store_without_a_history_says_how_to_switch_it_on(url: str, command: list[str]) -> None:
    async def use() -> None:
        async with LockStore.create(url) as store, store.lock("anna"):
            pass

    asyncio.run(use())
    done = typed(*command, "--store", url)
    assert done.returncode == 2
    told = " ".join(done.stderr.replace("│", " ").split())
    assert "nothing is recorded in this store" in told
    assert "history=200" in told
    assert "?history=200" in told


def test_whatif_compares(url: str) -> None:
    async def use() -> None:
        async with LockStore.create(f"{with_history(url)}&history_total=100000") as store:
            await handle(store, messages(600), seconds=2, hold=0.02)

    asyncio.run(use())
    options = ["--settle", "0.2", "--settle-max", "1", "--when-busy", "latest"]
    shown = typed("whatif", "--store", url, *options)
    assert shown.returncode == 0, shown.stderr
    assert "600 messages in " in shown.stdout
    assert "settle=0.2" in shown.stdout
    assert "fewer turns" in shown.stdout
    said = json.loads(typed("whatif", "--store", url, *options, "--json").stdout)
    recorded, replayed = said["recorded"], said["replayed"]
    assert recorded["turns"] == recorded["messages"] == 600
    assert replayed["turns"] + replayed["superseded"] == 600
    assert replayed["answer"]["p50"] >= 0.2
    assert said["options"]["when_busy"] == "latest"
    again = json.loads(typed("whatif", "--store", url, *options, "--json").stdout)
    assert again == said


def test_whatif_refuses_a_limit_of_nothing(waited: str) -> None:
    done = typed("whatif", "--store", waited, "--settle-max", "3")
    assert done.returncode == 2
    assert "it limits --settle" in done.stderr
    done = typed("whatif", "--store", waited, "--when-full", "drop_oldest")
    assert done.returncode == 2
    assert "--max-waiting are there: give both" in done.stderr


def test_watch_shows_what_was_and_what_comes(waited: str) -> None:
    with Terminal(*nowserving("watch", "--store", waited, "--last", "3")) as terminal:
        terminal.until("message m-3, done")
        asyncio.run(_wait(waited, HOSTILE))
        shown = terminal.until("ticket 2, message m-3, done, held")
        terminal.type(CTRL_C)
        assert terminal.wait() == 130
    assert r"\x1b]0;owned\x07\x1b[2J[red]a\u202eb\r\n{x}" in shown.replace("\n", "")
    assert b"\x1b]0;" not in terminal.raw
    assert b"\x1b[2J" not in terminal.raw
    assert "Traceback" not in shown


def test_watch_as_json_tells_of_one_conversation(waited: str) -> None:
    process = subprocess.Popen(
        nowserving("watch", "anna", "--store", waited, "--last", "100", "--json"),
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    try:
        assert process.stdout is not None
        told: list[dict[str, Any]] = []
        while not told or told[-1]["kind"] != "left" or told[-1]["message_id"] != "m-3":
            told.append(json.loads(process.stdout.readline()))
    finally:
        process.kill()
        process.communicate()
    assert [each["kind"] for each in told].count("left") == 3
    assert {each["conversation_id"] for each in told} == {"anna"}


def test_names_that_would_be_read_by_a_terminal_are_escaped(url: str, tmp_path: Path) -> None:
    asyncio.run(_wait(url, HOSTILE))
    file = tmp_path / "endpoints.yml"
    file.write_text(f"lock_store:\n  url: {json.dumps(url)}\n", encoding="utf-8")
    done = typed("why", HOSTILE, "--endpoints", str(file))
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    for line in done.stdout.splitlines():
        assert "  ticket " in line
