"""Which calls go out at once although a flight is out already, and which share the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nowserving.stores._remote.call import Call

_A_SECOND = 100.0
"""So many calls a second may follow a flight that is out. A loop whose handlers block it for 20 ms
makes no more; where there are more, each flight that is saved counts."""

_AT_ONCE = 16
"""So many of them may come at once."""

_CROWD = 8
"""When more than these shared the last flight, many are busy, and none goes alone."""

_PATIENCE = 0.01
"""Seconds for which a call waits for others. A crowd's tasks take a millisecond; when they take
longer, one of them blocks the loop."""


class Coalescing:
    """How much hurry a session may be in.

    Alone each call would be fastest, and a busy process would send ten times as many commands.

    Attributes:
        free_at: When a call may follow the next time.
        crowd: How many calls the last flight had.
        late_at: When those that wait for others are to go.
    """

    __slots__ = ("crowd", "free_at", "late_at")

    def __init__(self) -> None:
        self.free_at = 0.0
        self.crowd = 0
        self.late_at = 0.0

    def take(self, now: float) -> bool:
        """Return whether a call may follow what is out, and count it."""
        if self.crowd > _CROWD or self.free_at > now:
            return False
        self.free_at = max(self.free_at, now - _AT_ONCE / _A_SECOND) + 1 / _A_SECOND
        return True

    def ends(self, now: float, waiting: int) -> bool:
        """Begin to be patient anew; to be called when a call comes that is past ``late_at``.

        Returns:
            Whether those that wait, this one among them, have been patient for long enough.
        """
        self.late_at = now + _PATIENCE
        return waiting > 1

    @staticmethod
    def waits_long(call: Call, now: float) -> bool:
        """Return whether a call has waited for too long."""
        return now > call.asked + _PATIENCE
