"""The commands over every shape of Redis: a command that has the turn looks at it, and loses it."""

from __future__ import annotations

import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.terminal import nowserving, of_a_person

if TYPE_CHECKING:
    from tests.support.cluster import ClusterSetup
    from tests.support.sentinel import SentinelSetup


@pytest.mark.parametrize("shape", ["sentinel", "cluster"])
def test_run_show_and_release(shape: str, request: pytest.FixtureRequest) -> None:
    setup: SentinelSetup | ClusterSetup = request.getfixturevalue(f"{shape}_setup")
    variables = {**of_a_person(), "NOWSERVING_STORE": setup.url()}
    program = (
        f"{shlex.join(nowserving('show', 'line'))}; "
        f"{shlex.join(nowserving('release', 'line', '--reason', 'enough'))} && exec sleep 60"
    )
    done = subprocess.run(
        nowserving("run", "--on-lost", "kill", "line", "--", "sh", "-c", program),
        capture_output=True,
        check=False,
        env=variables,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=60,
    )
    assert done.returncode == 128 + 15, done.stderr
    assert "line: one holds, 0 waiting" in done.stdout
    assert "someone else: enough. Ending the command." in done.stderr
