"""What comes from outside reaches a terminal only as text that is plainly seen."""

from __future__ import annotations

import os
import signal
import subprocess
import unicodedata
from pathlib import Path

import pytest
from rich.table import Table

from nowserving.cli.terminal import console, safe
from tests.support.terminal import CTRL_C, ENTER, Terminal, nowserving

HOSTILE = (
    "\x1b[2Jx\x9b1m\n\r\b[bold]:smile:\u202eabc\u2066\u200b\ud800\udc80\u2028\x00\x7f\U000e0041"
)


def test_what_is_not_plainly_seen_is_escaped() -> None:
    shown = safe(HOSTILE)
    assert shown == (
        r"\x1b[2Jx\u009b1m\n\r\x08[bold]:smile:\u202eabc\u2066\u200b\ud800\udc80\u2028\x00\x7f"
        r"\U000e0041"
    )
    assert safe("Grüße, 世界 🎉 \\x") == "Grüße, 世界 🎉 \\x"


def test_no_character_of_a_dangerous_kind_passes() -> None:
    for code in range(0x11_0000):
        for shown in safe(chr(code)):
            assert unicodedata.category(shown) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def test_what_is_shown_can_be_typed_again() -> None:
    for named in ("a\x1b[1m\n", "\u202ecba", "\x00"[1:] + "\x7f\u0085", "\U000e0041"):
        typed = subprocess.run(
            ["bash", "-c", f"printf %s $'{safe(named)}'"], capture_output=True, check=True
        )
        assert typed.stdout.decode() == named


def test_a_long_text_is_shortened() -> None:
    assert safe("abcdef", 4) == "abc…"
    assert safe("abcd", 4) == "abcd"


def test_a_console_reads_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    out = console(width=60, color_system="truecolor", force_terminal=True)
    table = Table()
    table.add_column(safe("[red]"))
    table.add_row(safe("[bold]:smile:[/nothing]"))
    out.print(safe("[link=http://x]a"))
    out.print(table)
    shown = capsys.readouterr().out
    for text in ("[red]", "[bold]:smile:[/nothing]", "[link=http://x]a"):
        assert text in shown


def test_a_person_at_a_terminal() -> None:
    program = (
        "stty -echo; stty size; read line; echo [$line]; read line; stty size; echo end; read line"
    )
    with Terminal("bash", "-c", program, rows=10, columns=50) as terminal:
        terminal.until("10 50")
        terminal.type(f"hello{ENTER}")
        terminal.until("[hello]")
        terminal.resize(12, 60)
        terminal.type(ENTER)
        terminal.until("12 60\nend")
        terminal.type(CTRL_C)
        assert terminal.wait() == 130


TELLING = [
    ("doctor", "--store", "memory://"),
    ("doctor", "--store", "memory://", "--json"),
]


@pytest.mark.parametrize("arguments", TELLING)
def test_what_nobody_reads_ends_as_with_sigpipe(arguments: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            nowserving(*arguments), stdout=writing, stderr=subprocess.PIPE, check=False, text=True
        )
    finally:
        os.close(writing)
    assert done.returncode == 128 + signal.SIGPIPE
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


@pytest.mark.parametrize("arguments", TELLING)
def test_an_output_that_can_not_be_written_is_said(arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            nowserving(*arguments), stdout=full, stderr=subprocess.PIPE, check=False, text=True
        )
    assert done.returncode == 2
    assert "the output can't be written: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
