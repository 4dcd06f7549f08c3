"""What every call of the script begins with (``dispatch.lua``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nowserving.stores.redis.replies import MICROSECONDS

if TYPE_CHECKING:
    from nowserving.protocol.status import TicketStatus


class Header:
    """What a call begins with.

    Apart from the queue: connections have it, and live as long as their loop. A store that is
    dropped must not live on in them.

    Args:
        channel_prefix: What inbox channels begin with.
        timeout: Seconds within which a call is answered or fails.

    Attributes:
        channel_prefix: The same.
        highest_token: The highest fencing token that was seen.
    """

    def __init__(self, channel_prefix: str, timeout: float) -> None:
        self.channel_prefix = channel_prefix
        self.highest_token = 0
        # An attempt of a take is written within one timeout, and delivered within another.
        self._late = max(1, round(timeout * 2 * MICROSECONDS))

    def note_token(self, status: TicketStatus) -> None:
        """Take note of the token of a ticket that is served."""
        self.highest_token = max(self.highest_token, status.token)

    def words(self) -> tuple[Any, ...]:
        """Return it, as a call has it now."""
        return (self.highest_token, self.channel_prefix, self._late)
