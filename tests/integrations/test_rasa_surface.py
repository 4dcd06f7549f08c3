"""What Rasa sees of us, as far as it can be tested without Rasa (see ``tests/rasa`` for the rest).

Where a Rasa is needed, ``tests/support/rasa_stand_in`` shows what Rasa's lock stores show to
others. It stands for Rasa Pro as well, whose Python and redis-py are those of this suite.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.crew import environment

SUPPORT = Path(__file__).parents[1] / "support"
SURFACE = SUPPORT / "rasa_surface.py"
# By reading, not by importing it: that would need Rasa here.
CHECKS = [
    node.name
    for node in ast.parse(SURFACE.read_text()).body
    if isinstance(node, ast.FunctionDef) and node.name.startswith("check_")
]


def run(*arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run Python, with this folder first on its path."""
    inherited = environment()
    if path is not None:
        inherited["PYTHONPATH"] = os.pathsep.join([str(path), inherited["PYTHONPATH"]])
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        env=inherited,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("check", CHECKS)
def test_beside_a_stand_in(check: str) -> None:
    done = run(str(SURFACE), check, path=SUPPORT / "rasa_stand_in")
    assert done.returncode == 0, done.stderr


def test_nowserving_alone_imports_no_rasa() -> None:
    code = (
        "import sys, nowserving, nowserving.integrations\n"
        "assert not [name for name in sys.modules if name.partition('.')[0] == 'rasa']"
    )
    done = run("-c", code, path=SUPPORT / "rasa_stand_in")
    assert done.returncode == 0, done.stderr


def test_without_rasa_the_module_says_what_it_needs() -> None:
    code = "import sys; sys.modules['rasa'] = None; import nowserving.integrations.rasa"
    done = run("-c", code)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: nowserving.integrations.rasa is for Rasa servers")
    assert "pip install rasa" in last
    assert "nowserving.RedisLockStore" in last
