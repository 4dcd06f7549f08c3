"""What makespans are measured by: one server whose lock costs next to nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.rasa.bursts import Burst, send
from tests.rasa.figures import Row

if TYPE_CHECKING:
    from tests.rasa.bursts import Site
    from tests.rasa.servers import RasaServer


class Yardstick:
    """A server with an ``asyncio.Lock`` a conversation, for bursts in turn with those measured.

    In turn, because what else the machine does comes and goes; and it is the fastest runs that
    are compared, because that makes a run longer and never shorter.

    Args:
        site: Where it runs.
        servers: The server.
    """

    def __init__(self, site: Site, servers: list[RasaServer]) -> None:
        self._site = site
        self._servers = servers
        self.rows: dict[str, Row] = {}

    def run(self, burst: Burst) -> float:
        """Send it a burst, and return the makespan."""
        name = "asyncio.Lock (cannot be beaten)"
        row = self.rows.setdefault(str(burst), Row(name, "1", str(burst)))
        return send(self._site, self._servers, burst, row)
