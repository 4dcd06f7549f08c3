"""``latest`` and ``interrupt`` across processes: never two at once, whoever has to go."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.support.crew import assert_exact, crew, stays
from tests.support.places import EVERYWHERE
from tests.support.worker import TurnJob

if TYPE_CHECKING:
    from tests.support.places import Place

pytestmark = EVERYWHERE

EXPECTED = {
    "latest": {"LockSuperseded"},
    "interrupt": {"LockSuperseded", "LockInterrupted"},
    "reject": {"LockBusy"},
}


@pytest.mark.parametrize(
    ("policy", "renewed"),
    [
        ("reject", False),
        ("latest", False),
        ("latest", True),
        ("interrupt", False),
        ("interrupt", True),
    ],
)
def test_mutual_exclusion_throughout(server: Place, policy: str, *, renewed: bool) -> None:
    choose = random.Random(7)
    options = {"when_busy": policy, "auto_renew": renewed}
    shares = [
        [
            TurnJob(
                hold=choose.uniform(0.0, 0.06),
                after=choose.uniform(0.0, 0.7),
                lifetime=1.5,
                options=options,
            )
            for _ in range(40)
        ]
        for _ in range(4)
    ]
    with crew(server.url(), *shares) as workers:
        for worker in workers:
            worker.finish()
        refused = [said for worker in workers for said in worker.find("refused")]
        left = [said for worker in workers for said in worker.find("left")]
        done = stays(*workers)

    assert_exact(done)
    assert {said["error"] for said in refused} == EXPECTED[policy]
    interrupted = sum(said["error"] == "LockInterrupted" for said in refused)
    # Each turn ended once: it left, or was refused, and an interrupted one did both.
    assert len(left) + len(refused) - interrupted == 160
    assert not any(said["lost"] for said in left)
    if policy != "reject":
        # Every message got a ticket, and nothing is newer than the newest, so it was served.
        # The newest is whose take the store accepted last: two processes that ask within a
        # millisecond may reach it the other way round.
        assert done[-1].number == 160 - 1


def test_policies_mixed(server: Place) -> None:
    choose = random.Random(11)
    policies = ["queue", "queue", "reject", "latest", "interrupt"]
    shares = [
        [
            TurnJob(
                hold=choose.uniform(0.0, 0.03),
                after=choose.uniform(0.0, 0.7),
                lifetime=5.0,
                options={"when_busy": choose.choice(policies), "auto_renew": bool(index % 2)},
            )
            for index in range(60)
        ]
        for _ in range(4)
    ]
    with crew(server.url(), *shares) as workers:
        for worker in workers:
            worker.finish()
        refused = [said for worker in workers for said in worker.find("refused")]
        done = stays(*workers)
    assert_exact(done)
    errors = {said["error"] for said in refused}
    assert errors <= {"LockSuperseded", "LockInterrupted", "LockBusy"}
