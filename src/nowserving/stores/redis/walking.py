"""What a verb says whose line is too long for one call, and how that goes on.

However long a line is, no verb holds Redis up for more than a few milliseconds. Where it ends many
tickets (all waiters are superseded, the line is deleted, those who died have expired) they are gone
at once, but only some hundreds are taken out and told; its reply says that more is left. Whoever
gets such a reply sweeps until nothing is; if it dies with that, the next verb on this line does
some, and whoever asked for that one goes on. Where a verb has to know more of a line than it can
read in one call it says so, and is said again from there.
"""

from __future__ import annotations

import contextvars
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

    from nowserving.stores._remote.call import Call
    from nowserving.stores.redis.topologies.topology import Session

LEFT_OVER = "+"
"""What a reply, or the first text of a list, begins with when something is left to be swept."""

UNFINISHED = "?"
"""What a reply begins with when the verb is to be said again with the rest behind its arguments."""

SIGNS = LEFT_OVER + UNFINISHED

_SWEEP = ("sweep",)


async def finished(
    session: Session, call: Call, args: tuple[Any, ...], again: tuple[Any, ...] | None = None
) -> Call:
    """Say a verb until it has an answer, and return the call that got it.

    Args:
        session: Whom to ask.
        call: The first call.
        args: The verb and its arguments.
        again: The same for a repetition; ``args`` by default.
    """
    reply = await call.future
    while isinstance(reply, str) and reply[:1] == UNFINISHED:
        on, repeated = (reply[1:],), call.repeated
        again = again or args
        call = session.call(call.key, (again if repeated else args) + on, again + on)
        reply = await call.future
        call.repeated = call.repeated or repeated
    return call


class Sweeper:
    """Sweeps the lines of one event loop's calls.

    Args:
        session: Whom to ask.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._under_way: set[bytes] = set()

    def read(self, key: bytes, reply: Any) -> Any:  # noqa: ANN401 - whatever a verb says
        """Return a reply without the sign that something is left, and go on with that if it is.

        Args:
            key: The record that was asked.
            reply: A text, a list of them, or None.
        """
        if isinstance(reply, list):
            return [self.read(key, reply[0]), *reply[1:]]
        if not reply or reply[0] != LEFT_OVER:
            return reply
        if key not in self._under_way:
            self._under_way.add(key)
            self._ask(key)
        return reply[1:]

    async def sweep(self, key: bytes) -> None:
        """Sweep a line until nothing is left."""
        while (await self._session.call(key, _SWEEP).future)[0] == LEFT_OVER:
            pass

    def _ask(self, key: bytes) -> None:
        # Lazily: whatever is under way goes first. For nobody's sake in particular, and so in
        # nobody's context.
        future = self._session.call(key, _SWEEP, lazy=True).future
        future.add_done_callback(partial(self._answered, key), context=contextvars.Context())

    def _answered(self, key: bytes, future: asyncio.Future[Any]) -> None:
        failed = future.cancelled() or future.exception() is not None
        if not failed and future.result()[0] == LEFT_OVER:
            self._ask(key)
        else:
            self._under_way.discard(key)
