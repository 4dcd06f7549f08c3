"""What ``--help`` and the page tell of every command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from nowserving.cli.app import app

GROUP: Any = typer.main.get_command(app)
PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
ORDER = [
    *("status", "top", "show", "release", "watch", "why", "whatif", "dashboard"),
    *("run", "doctor", "verify"),
]


@pytest.mark.parametrize("name", list(GROUP.commands))
def test_every_command_tells_its_exit_statuses(name: str) -> None:
    done = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "300", "TERM": "dumb"})
    assert done.exit_code == 0
    assert "Exit status: " in done.stdout
    assert f"`nowserving {name}" in PAGE
    if name != "verify":
        for option in ("--store", "--endpoints"):
            assert option in done.stdout


def test_they_are_listed_in_the_order_in_which_they_are_needed() -> None:
    listed = list(GROUP.commands)
    assert listed == sorted(listed, key=ORDER.index)


@pytest.mark.parametrize("name", ["status", "top", "show", "release", "run"])
def test_every_option_has_a_help_that_says_what_it_is(name: str) -> None:
    for parameter in GROUP.commands[name].params:
        assert parameter.help, parameter.name
