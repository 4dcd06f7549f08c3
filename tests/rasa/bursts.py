"""Sending bursts of messages to servers, and judging what became of them."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.rasa import stopwatch_record
from tests.rasa.servers import RasaServer, send_all
from tests.support.redis_server import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.rasa.figures import Row
    from tests.support.redis_server import RedisServer

OURS: Mapping[str, object] = {
    "type": "nowserving.integrations.rasa.RedisLockStore",
    "host": HOST,
    "port": 0,
}
RENEWED: Mapping[str, object] = {**OURS, "auto_renew": True}
THEIRS: Mapping[str, object] = {"type": "redis", "url": HOST, "port": 0}


class Site:
    """A Redis, a folder, a trained bot: where servers are started.

    Args:
        folder: Where servers keep their files; they share one stopwatch.
        model: The bot.
        redis_server: Keeps the trackers, and locks.
    """

    def __init__(self, folder: Path, model: Path, redis_server: RedisServer) -> None:
        self._folder = folder
        self._model = model
        self._redis_server = redis_server

    def server(
        self,
        section: Mapping[str, object],
        *,
        workers: int = 1,
        debug: bool = False,
        lifetime: int | None = None,
    ) -> RasaServer:
        """Start a server; in ``section``, port 0 stands for that of Redis."""
        more = {} if lifetime is None else {"TICKET_LOCK_LIFETIME": str(lifetime)}
        ports = {"port": self._redis_server.port} if section.get("port") == 0 else {}
        return RasaServer(
            self._folder,
            self._model,
            self._redis_server.port,
            {**section, **ports},
            workers=workers,
            debug=debug,
            **more,
        )

    @contextmanager
    def servers(
        self,
        section: Mapping[str, object],
        count: int = 1,
        *,
        workers: int = 1,
        lifetime: int | None = None,
    ) -> Iterator[list[RasaServer]]:
        """Start servers, wait for them and warm them up."""
        found = [self.server(section, workers=workers, lifetime=lifetime) for _ in range(count)]
        try:
            for server in found:
                server.wait_until_up()
            send_all(found, [f"warm{i}" for i in range(5)], 2 * count, 0.0, within=30.0)
            yield found
        finally:
            for server in found:
                server.kill()

    def handled(self, *conversations: str) -> list[stopwatch_record.Handled]:
        """Return what was done for these conversations, in the order in which it began."""
        return stopwatch_record.read(self._folder / "stopwatch.jsonl", set(conversations))


@dataclass(frozen=True)
class Burst:
    """Messages that are sent all at once.

    Attributes:
        conversations: How many conversations.
        messages: How many messages in each.
        seconds: How long a message takes.
        patience: Seconds to wait for an answer.
    """

    conversations: int
    messages: int
    seconds: float = 0.05
    patience: float = 60.0

    def __str__(self) -> str:
        return f"{self.conversations} x {self.messages}"


def send(site: Site, servers: list[RasaServer], burst: Burst, row: Row) -> float:
    """Send a burst once, add what became of it to the row, and return the makespan."""
    run = len(row.makespans)
    names = [f"burst{burst.messages}-{run}-{i}" for i in range(burst.conversations)]
    sent, makespan = send_all(servers, names, burst.messages, burst.seconds, burst.patience)
    row.sent += len(sent)
    row.makespans.append(makespan)
    for one in sent:
        answer = one.answer.result()
        row.unanswered += answer is None or answer.texts != (str(one.message),)
    kept = sum(len(set(servers[0].messages_in_tracker(name))) for name in names)
    row.lost += len(sent) - kept
    handled = site.handled(*names)
    row.overlaps += stopwatch_record.overlaps(handled)
    row.overtaken += stopwatch_record.overtaken(handled)
    return makespan


def assert_perfect(row: Row) -> None:
    """Check that every message was answered and kept, one at a time, in order."""
    assert (row.unanswered, row.lost, row.overlaps, row.overtaken) == (0, 0, 0, 0)
