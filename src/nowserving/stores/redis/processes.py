"""Which process has a ticket: noted once a process, under the nonce that its owners begin with.

Nothing of it is in a ticket. It is noted a second after the process's first call, and read only
when somebody looks. Where that is refused, nobody is told host and pid, and everything else works.
"""

from __future__ import annotations

import asyncio
import logging
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, unquote

from nowserving._host.background import later
from nowserving._host.clock import monotonic
from nowserving._host.process import Process, this_process
from nowserving.errors import LockError

if TYPE_CHECKING:
    from collections.abc import Iterable

logger = logging.getLogger("nowserving.queues.redis.processes")

_NOTED_AFTER = 1.0
"""Seconds after a process's first call in which it is noted: not in a rush of calls."""

_NOTED_EVERY = 43_200.0
"""Seconds; the note is kept for two days (``process.lua``)."""

_AGAIN = 60.0
"""Seconds after which it is tried again where Redis did not take the note."""

_MOST_KNOWN = 1000
"""Of how many processes is remembered what was read: what it says of one never changes."""


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
    """Keeps the note of this process, for all loops of a queue, and reads those of others.

    Args:
        key_prefix: What keys begin with.
    """

    def __init__(self, key_prefix: bytes) -> None:
        self._key_prefix = key_prefix
        self._known: dict[str, Process] = {}
        self._told = False
        self.begin_anew()

    def key(self, nonce: str) -> bytes:
        """Return the key of a process's note; the name of no conversation: those have braces."""
        return b"%bprocess:%b" % (self._key_prefix, nonce.encode())

    def begin_anew(self) -> None:
        """Note the process again: this is a fork of the one that was noted."""
        self._noted_at = -_NOTED_EVERY
        self._first_call_at: float | None = None

    def plan(self, connections: Noting, nonce: str) -> None:
        """Have it noted while this loop runs, whose first call is about to be made."""
        now = monotonic()
        if self._first_call_at is None:
            self._first_call_at = now
        self._plan(max(self._first_call_at + _NOTED_AFTER - now, 0.0), connections, nonce)

    def keep(self, connections: Noting, nonce: str) -> None:
        """Note it where that is due, and again as long as this loop runs."""
        if connections.is_closed:
            return
        now = monotonic()
        if now - self._noted_at >= _NOTED_EVERY:
            self._noted_at = now
            process = this_process()
            words = ("process", quote(process.host, safe=""), process.pid, process.started)
            noted = connections.session.call(self.key(nonce), words, alone=True).future
            noted.add_done_callback(partial(self._noted, connections, nonce), context=Context())
        self._plan(_NOTED_EVERY + 1, connections, nonce)

    def _noted(self, connections: Noting, nonce: str, noted: asyncio.Future[object]) -> None:
        error = asyncio.CancelledError() if noted.cancelled() else noted.exception()
        if error is None:
            return
        self._noted_at = -_NOTED_EVERY
        if connections.is_closed:  # the next loop's turn
            return
        self._plan(_AGAIN, connections, nonce)
        if not self._told:
            self._told = True
            logger.debug("This process could not be noted: %s", error)

    def _plan(self, delay: float, connections: Noting, nonce: str) -> None:
        if connections.timer is not None:
            connections.timer.cancel()
        connections.timer = later(connections.loop, delay, self.keep, connections, nonce)

    async def read(
        self, connections: Noting, nonces: Iterable[str], within: float | None
    ) -> dict[str, Process]:
        """Return by nonce what is known of processes.

        Args:
            connections: Whom to ask.
            nonces: Of which ones.
            within: Seconds to wait for the answers.
        """
        asked = [nonce for nonce in nonces if nonce not in self._known]
        # Each by itself: an ACL that denies these keys must not have other calls refused as well.
        calls = [
            connections.session.call(self.key(nonce), ("process",), within=within, alone=True)
            for nonce in asked
        ]
        answers = await asyncio.gather(*(call.future for call in calls), return_exceptions=True)
        found = {nonce: self._known[nonce] for nonce in nonces if nonce in self._known}
        for nonce, answer in zip(asked, answers, strict=True):
            if isinstance(answer, BaseException) and not isinstance(answer, LockError):
                raise answer
            if isinstance(answer, str) and answer != "-":
                host, pid, started = answer.split(" ")
                found[nonce] = Process(unquote(host), int(pid), int(started))
        if len(self._known) + len(found) > _MOST_KNOWN:
            self._known.clear()
        self._known.update(found)
        return found
