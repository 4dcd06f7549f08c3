"""Records in which nobody may be any more: when each is checked, to be dropped."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nowserving.stores.memory.record import Record

_EVERY = 60.0
"""Seconds after which an entry is checked, however long its record stays."""

_AT_ONCE = 16
"""Entries one take checks: it adds one at most, so the list shrinks, and no take pays for all."""


class IdleList(deque[tuple[float, str]]):
    """When to check which conversation's record, the earliest mostly first."""

    def enter(self, name: str, record: Record, now: float) -> None:
        """Have a record checked some time after now."""
        record.in_idle_list = True
        due = now + _EVERY
        self.append((due if record.tickets else min(due, record.kept_until), name))

    def take_due(self, now: float) -> Iterator[str]:
        """Take out and return some of those whose time has come."""
        for _ in range(_AT_ONCE):
            if not self or self[0][0] > now:
                return
            _, name = self.popleft()
            yield name
