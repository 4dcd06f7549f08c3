"""What was asked for and is not on its way yet."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from collections.abc import Set as AbstractSet

    from nowserving.stores._remote.call import Call


class Backlog:
    """Calls in order; looks, which change nothing and wait for nobody, behind all others.

    With many waiters on a busy machine a hand-off would otherwise travel behind flights of looks,
    and each look that comes late makes for more of them.

    Attributes:
        calls: What has an order.
        looks: What has none.
    """

    __slots__ = ("calls", "looks")

    def __init__(self) -> None:
        self.calls: deque[Call] = deque()
        self.looks: deque[Call] = deque()

    def __bool__(self) -> bool:
        return bool(self.calls or self.looks)

    def __iter__(self) -> Iterator[Call]:
        yield from self.calls
        yield from self.looks

    def put_back(self, calls: list[Call]) -> None:
        """Put calls before all others: their turn had come already."""
        self.calls.extendleft(reversed(calls))

    def take_out(self, wanted: Callable[[Call], bool]) -> list[Call]:
        """Take out and return what is wanted."""
        found = [call for call in self if wanted(call)]
        if found:
            self.calls = deque(call for call in self.calls if not wanted(call))
            self.looks = deque(call for call in self.looks if not wanted(call))
        return found

    def next_batch(
        self, limit: int, *, looks: bool, busy: AbstractSet[bytes] = frozenset()
    ) -> list[Call]:
        """Return what goes out together next: some verbs, or one plain command.

        Args:
            limit: How many at the most.
            looks: Whether looks may go as well.
            busy: The records whose calls have to wait.
        """
        batch: list[Call] = []
        for queue in (self.calls, self.looks) if looks else (self.calls,):
            kept: list[Call] = []
            while queue and len(batch) < limit:
                call = queue.popleft()
                if call.future.done():  # cancelled: whoever cancels a take leaves by its owner
                    call.drop()
                elif not call.key:
                    limit = 0  # a plain command is a round trip of its own
                    (kept if batch else batch).append(call)
                elif busy and call.key in busy:
                    kept.append(call)
                else:
                    batch.append(call)
            queue.extendleft(reversed(kept))
        return batch
