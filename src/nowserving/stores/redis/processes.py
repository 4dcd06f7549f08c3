"""Which process has a ticket: noted once a process, under the nonce that its owners begin with.

Nothing of it is in a ticket. It is noted a second after the first call, and read only when somebody
looks. Where that is refused, nobody is told host and pid, and everything else works.
"""

from __future__ import annotations

import asyncio
import logging
from contextvars import Context
from typing import Any, Protocol
from urllib.parse import quote, unquote

from nowserving._host.background import later
from nowserving._host.clock import monotonic
from nowserving._host.process import Process, this_process
from nowserving.errors import LockError

logger = logging.getLogger("nowserving.queues.redis.processes")

_NOTED_EVERY = 43_200.0
"""Seconds; the note is kept for two days (``process.lua``)."""


def nonce_of(owner: str) -> str:
    """Return the nonce of the process whose owner this is; empty if nobody has the ticket."""
    nonce, tilde, _ = owner.partition("~")
    return nonce if tilde else ""


class Noting(Protocol):
    """What one event loop has of a Redis, as far as it is needed here."""

    loop: asyncio.AbstractEventLoop
    session: Any
    is_closed: bool
    timer: asyncio.TimerHandle | None


class ProcessNote:
    """Keeps the note of this process, for all loops of a queue.

    Args:
        key_prefix: What keys begin with.
    """

    def __init__(self, key_prefix: bytes) -> None:
        self._key_prefix = key_prefix
        self._noted_at = -_NOTED_EVERY

    def key(self, nonce: str) -> bytes:
        """Return the key of a process's note; the name of no conversation: those have braces."""
        return b"%bprocess:%b" % (self._key_prefix, nonce.encode())

    def begin_anew(self) -> None:
        """Note the process again: this is a fork of the one that was noted."""
        self._noted_at = -_NOTED_EVERY

    def keep(self, connections: Noting, nonce: str) -> None:
        """Note it where that is due, and again as long as this loop runs."""
        if connections.is_closed:
            return
        now = monotonic()
        if now - self._noted_at >= _NOTED_EVERY:
            self._noted_at = now
            process = this_process()
            words = ("process", quote(process.host, safe=""), process.pid, process.started)
            noted = connections.session.call(self.key(nonce), words).future
            noted.add_done_callback(_tell, context=Context())
        connections.timer = later(connections.loop, _NOTED_EVERY + 1, self.keep, connections, nonce)


def _tell(noted: asyncio.Future[object]) -> None:
    if not noted.cancelled() and noted.exception() is not None:
        logger.debug("This process could not be noted: %s", noted.exception())


async def processes(
    connections: Noting, keys: dict[str, bytes], within: float | None = None
) -> dict[str, Process]:
    """Return by nonce what is known of processes.

    Args:
        connections: Whom to ask.
        keys: By nonce the key of what is noted.
        within: Seconds to wait for the answers.
    """
    calls = [connections.session.call(key, ("process",), within=within) for key in keys.values()]
    answers = await asyncio.gather(*(call.future for call in calls), return_exceptions=True)
    found = {}
    for nonce, answer in zip(keys, answers, strict=True):
        if isinstance(answer, BaseException) and not isinstance(answer, LockError):
            raise answer
        if isinstance(answer, str) and answer != "-":
            host, pid, started = answer.split(" ")
            found[nonce] = Process(unquote(host), int(pid), int(started))
    return found
