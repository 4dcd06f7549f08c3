"""A conversation's line at one moment, as ``store.inspect`` gives it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LineTicket:
    """One live ticket of a line.

    Attributes:
        number: Its number; ``store.release`` takes it.
        label: What its owner calls it (``lock(label=...)``), None for nothing.
        host: The host of the process that has it, None where that is not known.
        pid: The id of that process, None where that is not known.
        message_id: The message that it is for, None if that was not said.
        since: Unix seconds, by the store's clock: of a holder when its turn began, of a waiter when
            it joined the line. None where the store does not know.
        expires_in: Seconds until it expires unless it is renewed.
        absorbed: The holder has taken its message into its own turn.
        settling: It waits for its burst of messages to end, maybe for a holder as well.
    """

    number: int
    label: str | None
    host: str | None
    pid: int | None
    message_id: str | None
    since: float | None
    expires_in: float
    absorbed: bool = False
    settling: bool = False


@dataclass(frozen=True)
class Line:
    """A conversation's line.

    Attributes:
        holder: Whose turn it is, None if it is nobody's yet.
        waiting: Those who wait, in their order.
    """

    holder: LineTicket | None
    waiting: tuple[LineTicket, ...]
