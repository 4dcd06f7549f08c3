"""Several processes on one conversation: one at a time, in the order of the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.crew import assert_exact, crew, stays
from tests.support.places import EVERYWHERE
from tests.support.worker import TurnJob

if TYPE_CHECKING:
    from tests.process.conftest import Measured
    from tests.support.places import Place

pytestmark = EVERYWHERE


def test_8_processes_with_1000_messages_each(server: Place, measured: Measured) -> None:
    # Pushes move the line; fewer polls leave a busy machine to those who work.
    turn = TurnJob(lifetime=100.0, wait=5.0)
    with crew(server.url(), *[[turn] * 1000] * 8) as workers:
        for worker in workers:
            worker.finish(within=90.0)
        done = stays(*workers)
        shares = [stays(worker) for worker in workers]

    measured("seconds", (done[-1].left - done[0].entered) / 1e9)
    assert_exact(done)
    assert [turn.number for turn in done] == list(range(8000))
    for share in shares:  # within a process, the order of the calls
        assert [turn.turn for turn in share] == list(range(1000))


def test_2_processes_with_5_tasks_each(server: Place) -> None:
    with crew(server.url(), *[[TurnJob(hold=0.05)] * 5] * 2) as workers:
        for worker in workers:
            worker.finish(within=10.0)
        done = stays(*workers)

    assert_exact(done)
    assert [turn.number for turn in done] == list(range(10))
    assert done[-1].left - done[0].entered < 10 * 0.05e9 + 1.5e9
