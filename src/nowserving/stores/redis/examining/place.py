"""A server that has records, and what it tells of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from nowserving.protocol.examination import Finding
from nowserving.stores.redis.examining.interview import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nowserving.protocol.examination import Verdict
    from nowserving.stores.redis.connection.dial import RedisServer
    from nowserving.stores.redis.examining.interview import Interview


class Plan(NamedTuple):
    """What is the same for all servers of a store.

    Attributes:
        key_prefix: What keys begin with.
        timeout: Seconds within which the store wants its calls answered.
        lifetime: Seconds that a ticket of the store lives unless told otherwise.
        min_replicas: How many replicas shall confirm a take.
        topology: ``standard``, ``sentinel`` or ``cluster``.
        history: Whether the store keeps one.
    """

    key_prefix: bytes
    timeout: float
    lifetime: float
    min_replicas: int
    topology: str
    history: bool

    @property
    def channel_prefix(self) -> str:
        """What inbox channels begin with."""
        return f"{self.key_prefix.decode()}inbox:"


class Place(NamedTuple):
    """A primary.

    Attributes:
        server: How to reach it.
        where: Its address for findings.
        key: The key on which everything is tried: of no conversation, and at this server.
        ears: The server at which the inbox is tried; another node of a cluster.
    """

    server: RedisServer
    where: str
    key: bytes
    ears: RedisServer


class Told(NamedTuple):
    """What a server tells of itself.

    Attributes:
        where: Its address.
        hello: What ``HELLO`` says.
        info: What ``INFO`` says; nothing if that is denied.
        config: Settings by their names, as far as it tells them.
        why: Why ``INFO`` says nothing, in words.
    """

    where: str
    hello: Mapping[str, str]
    info: Mapping[str, str]
    config: Mapping[str, str]
    why: str = ""

    def number(self, name: str, default: int = 0) -> int:
        """Return a number that ``INFO`` says."""
        text = self.info.get(name, "")
        return int(text) if text.isdecimal() else default

    def finding(  # noqa: PLR0913 - a finding has as many parts
        self,
        check: str,
        verdict: Verdict,
        found: str,
        meaning: str,
        remedy: str = "",
        figures: Mapping[str, float] | None = None,
    ) -> Finding:
        """Return a finding about this server."""
        return Finding(check, self.where, verdict, found, meaning, remedy, figures or {})

    def untold(self, check: str, meaning: str) -> Finding:
        """Return the finding that something could not be told, since ``INFO`` says nothing."""
        return self.finding(
            check,
            "note",
            f"could not be told: INFO is {self.why}",
            meaning,
            "Allow it (+info +config|get), or look as another user.",
        )


_SETTINGS = ("save", "appendfsync", "min-replicas-to-write")


async def told_by(interview: Interview) -> Told:
    """Ask a server for what it tells of itself."""
    hello, info = await interview.hello(), await interview.info()
    config = {name: await interview.config(name) for name in _SETTINGS}
    known = {name: value for name, value in config.items() if value is not None}
    if isinstance(info, Refused):
        return Told(interview.where, hello, {}, known, info.words)
    return Told(interview.where, hello, info, known)
