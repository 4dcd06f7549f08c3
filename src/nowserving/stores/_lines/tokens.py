"""Fencing tokens: they grow with every turn of a conversation, for ever."""

from __future__ import annotations

from time import time_ns
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Tokens:
    """Draws the tokens of one process.

    Args:
        clock: Nanoseconds of the time of day.

    Attributes:
        highest: The highest one that was drawn.
    """

    __slots__ = ("_clock", "highest")

    def __init__(self, clock: Callable[[], int] = time_ns) -> None:
        self.highest = 0
        self._clock = clock

    def draw(self, last: int) -> int:
        """Return a token above ``last``, its record's, and above every one drawn here before.

        The clock makes it grow over a record that was dropped, the highest one drawn makes it
        grow over a clock that was set back.
        """
        token = self._clock() // 1000
        if token <= self.highest:
            token = self.highest + 1
        if token <= last:
            token = last + 1
        self.highest = token
        return token
