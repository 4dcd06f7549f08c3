"""Two sessions with one server: while it works for one of them, we work for the other.

A session mostly has one batch in flight, so its process is idle while Redis works, and Redis while
the process does: with many conversations at once that was a third of the time. A conversation
always goes by the same session, so the order of its calls is the order in which they were made;
between conversations there is no order to keep.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nowserving.stores.redis.session import ServerSession

if TYPE_CHECKING:
    from nowserving.stores._remote.call import Call
    from nowserving.stores.redis.call_settings import CallSettings
    from nowserving.stores.redis.connection.dial import RedisServer


class StripedSession:
    """Shares the conversations out.

    The second connection opens when a conversation is first assigned to it.

    Args:
        server: The server.
        settings: How calls travel.
    """

    def __init__(self, server: RedisServer, settings: CallSettings) -> None:
        self._sessions = (ServerSession(server, settings), ServerSession(server, settings))

    def call(  # noqa: PLR0913 - what to say, and how it travels
        self,
        key: bytes,
        args: tuple[Any, ...],
        again: tuple[Any, ...] | None = None,
        *,
        lazy: bool = False,
        timeout: float | None = None,
        within: float | None = None,
        alone: bool = False,
    ) -> Call:
        """Send a verb by its conversation's session, a plain command by the first."""
        session = self._sessions[hash(key) & 1 if key else 0]
        return session.call(
            key, args, again, lazy=lazy, timeout=timeout, within=within, alone=alone
        )

    def hurry(self) -> None:
        """Send now what waits for others."""
        for session in self._sessions:
            session.hurry()

    async def shards(self) -> list[ServerSession]:
        """Return the session that reaches every record: either does."""
        return [self._sessions[0]]

    def close(self) -> None:
        """Close both connections."""
        for session in self._sessions:
            session.close()

    def hang_up(self) -> None:
        """Have Redis end the connections of a loop that does not run."""
        for session in self._sessions:
            session.hang_up()

    def abandon(self) -> None:
        """Let go of the connections of a closed loop."""
        for session in self._sessions:
            session.abandon()
