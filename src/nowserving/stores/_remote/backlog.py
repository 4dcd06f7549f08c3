"""What was asked for and is not on its way yet."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from collections.abc import Set as AbstractSet

    from nowserving.stores._remote.call import Call


class Backlog:
    """Calls in order, and behind them all lazy ones: polls, renewals and sweeps, in no order.

    With many waiters on a busy machine a hand-off would otherwise travel behind batches of polls,
    and each poll that comes late makes for more of them.

    Attributes:
        calls: What has an order.
        lazy: What has none.
    """

    __slots__ = ("calls", "lazy")

    def __init__(self) -> None:
        self.calls: deque[Call] = deque()
        self.lazy: deque[Call] = deque()

    def __bool__(self) -> bool:
        return bool(self.calls or self.lazy)

    def __iter__(self) -> Iterator[Call]:
        yield from self.calls
        yield from self.lazy

    def put_back(self, calls: list[Call]) -> None:
        """Put calls before all others: their turn had come already."""
        self.calls.extendleft(reversed(calls))

    def take_out(self, wanted: Callable[[Call], bool]) -> list[Call]:
        """Take out and return what is wanted."""
        found = [call for call in self if wanted(call)]
        if found:
            self.calls = deque(call for call in self.calls if not wanted(call))
            self.lazy = deque(call for call in self.lazy if not wanted(call))
        return found

    def next_batch(
        self, limit: int, *, lazy: bool, busy: AbstractSet[bytes] = frozenset()
    ) -> list[Call]:
        """Return what goes out together next: some verbs, or one call that goes alone.

        Args:
            limit: How many at the most.
            lazy: Whether lazy ones may go as well.
            busy: The records whose calls have to wait.
        """
        batch: list[Call] = []
        for queue in (self.calls, self.lazy) if lazy else (self.calls,):
            kept: list[Call] = []
            while queue and len(batch) < limit:
                call = queue.popleft()
                if call.future.done():  # cancelled: whoever cancels a take leaves by its owner
                    call.drop()
                elif not call.key or call.alone:
                    limit = 0  # a round trip of its own
                    (kept if batch else batch).append(call)
                elif busy and call.key in busy:
                    kept.append(call)
                else:
                    batch.append(call)
            queue.extendleft(reversed(kept))
        return batch
