"""Which calls go out at once although a batch is in flight, and which share the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nowserving.stores._remote.call import Call

_A_SECOND = 100.0
"""So many calls a second may follow a batch that is in flight. A loop whose handlers block it for
20 ms makes no more; where there are more, each batch that is saved counts."""

_AT_ONCE = 16
"""So many of them may come at once."""

_MANY = 8
"""When the last batch was larger than this, many are busy, and no call goes alone."""

_PATIENCE = 0.01
"""Seconds for which a call waits for others. A hundred tasks take a millisecond; when they take
longer, one of them blocks the loop."""


class Coalescing:
    """Decides for one session whether a call goes out at once or with others.

    Alone each call would be fastest, and a busy process would send ten times as many commands.

    Attributes:
        free_at: When a call may follow the next time.
        last_size: How many calls the last batch had. A call that finds nothing in flight is a batch
            of one: by then those who were busy no longer are.
        late_at: When those that wait for others are to go.
    """

    __slots__ = ("free_at", "last_size", "late_at")

    def __init__(self) -> None:
        self.free_at = 0.0
        self.last_size = 0
        self.late_at = 0.0

    def take(self, now: float) -> bool:
        """Return whether a call may follow what is in flight, and count it."""
        if self.last_size > _MANY or self.free_at > now:
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
