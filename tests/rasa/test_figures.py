"""Order, overlap, loss and makespan under bursts of messages: Rasa's lock stores beside ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.rasa.bursts import OURS, RENEWED, THEIRS, Burst, assert_perfect, send
from tests.rasa.figures import Row

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.rasa.bursts import Site
    from tests.rasa.yardstick import Yardstick

RUNS = 3
SLACK = 1.15  # how much longer than the shortest possible makespan ours may take


@dataclass(frozen=True)
class Setup:
    """A lock store on so many servers.

    Attributes:
        name: What the table calls it.
        section: Its ``lock_store`` section.
        servers: How many servers.
        workers: How many Sanic workers each.
        ours: Whether it is ours and so has to be perfect.
    """

    name: str
    section: Mapping[str, object]
    servers: int = 1
    workers: int = 1
    ours: bool = True

    def __str__(self) -> str:
        return f"{self.name} on {self.where}"

    @property
    def where(self) -> str:
        """What it runs on."""
        return f"{self.servers}" + (f" ({self.workers} workers)" if self.workers > 1 else "")


IN_MEMORY = {"type": "nowserving.integrations.rasa.InMemoryLockStore"}
SETUPS = [
    Setup("Rasa, in memory", {"type": "in_memory"}, ours=False),
    Setup("nowserving, in memory", IN_MEMORY),
    Setup("Rasa, Redis", THEIRS, ours=False),
    Setup("nowserving, Redis", OURS),
    Setup("Rasa, Redis", THEIRS, servers=2, ours=False),
    Setup("nowserving, Redis", OURS, servers=2),
    Setup("nowserving, Redis, auto_renew", RENEWED, servers=2),
    Setup("nowserving, Redis", OURS, workers=2),
]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("setup", SETUPS, ids=str)
def test_bursts(setup: Setup, site: Site, yardstick: Yardstick, rows: list[Row]) -> None:
    patience = 60.0 if setup.ours else 30.0  # Rasa's over Redis never answer some
    with site.servers(setup.section, setup.servers, workers=setup.workers) as servers:
        for burst in (Burst(5, 10, patience=patience), Burst(1, 20, patience=patience)):
            rows.append(row := Row(setup.name, setup.where, str(burst)))
            best = []
            for _ in range(RUNS):
                best.append(yardstick.run(burst))
                send(site, servers, burst, row)
            if setup.ours:
                assert_perfect(row)
                assert min(row.makespans) <= SLACK * min(best)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("ours", [False, True], ids=["Rasa", "nowserving"])
def test_a_line_ten_times_as_long_as_the_lifetime(
    ours: bool,  # noqa: FBT001
    site: Site,
    rows: list[Row],
) -> None:
    # Rasa takes whole seconds only: 20 messages of 0.5 s are ten lifetimes of 1 s.
    burst = Burst(1, 20, seconds=0.5, patience=40.0)
    name = "nowserving, Redis, auto_renew" if ours else "Rasa, Redis"
    rows.append(row := Row(name, "2", f"{burst} of 0.5 s, lifetime 1 s"))
    with site.servers(RENEWED if ours else THEIRS, 2, lifetime=1) as servers:
        send(site, servers, burst, row)
    if ours:
        assert_perfect(row)
