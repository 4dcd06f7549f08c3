"""All that can be asked of a store, in any order, while the interpreter does its worst."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import programs
from tests.support.executables import LONG

PROGRAM = Path(__file__).parent / "programs" / "sweep.py"
TURNS, WITHIN = (100_000, 3600.0) if LONG else (1000, 100.0)


@pytest.mark.timeout(WITHIN + 20)
@pytest.mark.parametrize("how", ["collector", "switches"])
def test_nobody_waits_for_ever_and_nothing_is_left(url: str, how: str) -> None:
    programs.run(PROGRAM, url, how, TURNS, within=WITHIN).quietly()
