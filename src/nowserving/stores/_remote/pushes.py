"""What comes of pushes: bells that are rung, and a check where a push was missed.

A push can be lost, so nobody relies on one. But a connection may stand and bring none any more.
If a poll finds a served ticket that got no push, the connection is asked for a sign of life. If
none comes, or if several pushes in a row are missed although it does, the connection is replaced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from nowserving._host.background import at

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from nowserving.stores._remote.handle import RemoteHandle

_LATE = 0.05
"""Seconds by which a timer may be late without the loop having been blocked."""

_MANY_MISSES = 3


class Bells:
    """The handles of one event loop by their owners, for as long as somebody has them."""

    def __init__(self) -> None:
        self.handles: WeakValueDictionary[str, RemoteHandle] = WeakValueDictionary()

    def add(self, handle: RemoteHandle) -> None:
        """Ring this handle when there is news of its owner."""
        self.handles[handle.owner] = handle

    def get(self, owner: str) -> RemoteHandle | None:
        """Return the handle of an owner, None if nobody has it any more."""
        return self.handles.get(owner)

    def ring_all(self) -> None:
        """Ring every handle: whatever was pushed lately may have reached nobody."""
        # References first, in one step: other threads may drop handles meanwhile.
        for handle in [reference() for reference in self.handles.valuerefs()]:
            if handle is not None:
                handle.ring()


class PushCheck:
    """Finds out whether pushes still come; one handle is the suspect at a time.

    Args:
        loop: The loop on which pushes arrive.
        patience: Seconds within which a connection that works shows a sign of life.
        ask: Asks for one; returns whether there was a connection to ask over.
        give_up: Replaces the connection.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        patience: float,
        *,
        ask: Callable[[], bool],
        give_up: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._patience = patience
        self._ask = ask
        self._give_up = give_up
        self._timer: asyncio.TimerHandle | None = None
        self._suspect: RemoteHandle | None = None
        self._misses = 0

    def begin(self, handle: RemoteHandle) -> None:
        """Check the connection: this ticket is served, and no push has told so."""
        if self._timer is not None or not self._ask():
            handle.overdue = False  # one suspect at a time is enough
            return
        self._suspect = handle
        self._wait()

    def _wait(self) -> None:
        due = self._loop.time() + self._patience
        self._timer = at(self._loop, due, self._no_sign, due)

    def _no_sign(self, due: float) -> None:
        if self._loop.time() - due > _LATE:
            self._wait()  # the loop was blocked: the sign may lie there unread
        else:
            self.stop()
            self._give_up()

    def pushed(self) -> None:
        """A push has come, whoever it is for."""
        self._misses = 0

    def sign_of_life(self) -> None:
        """The connection works. On it the push would have come before this sign."""
        suspect = self._suspect
        self.stop()
        if suspect is None or not suspect.overdue:
            return
        suspect.overdue = False
        self._misses += 1
        if self._misses >= _MANY_MISSES:
            self._misses = 0
            self._give_up()

    def stop(self) -> None:
        """End a check that is under way."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._suspect = None
