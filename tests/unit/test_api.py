"""What is public, and how it is called: a change of it is made on purpose, or not at all."""

from __future__ import annotations

import difflib
import subprocess
import sys
from pathlib import Path

from tests.support.crew import environment

SNAPSHOT = Path(__file__).with_name("api.txt")
RENEW = "PYTHONPATH=src python -m tests.support.api > tests/unit/api.txt"


def test_the_public_api_is_that_of_the_snapshot() -> None:
    # In a process of its own: importing the module for Rasa makes our errors Rasa's.
    shown = subprocess.run(
        [sys.executable, "-m", "tests.support.api"],
        cwd=Path(__file__).parents[2],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    before, now = SNAPSHOT.read_text(encoding="utf-8"), shown.stdout
    changes = difflib.unified_diff(before.splitlines(), now.splitlines(), "before", "now", n=0)
    assert before == now, "\n".join(
        (
            "the public API has changed:",
            *changes,
            f"If that is meant, renew the snapshot ({RENEW}) and tell it in CHANGELOG.md.",
        )
    )
