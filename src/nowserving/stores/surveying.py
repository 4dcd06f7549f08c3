"""A store from afar: how much of it is in use, where it is worst, and whose tickets those are."""

from __future__ import annotations

import heapq
import itertools
import time
from typing import TYPE_CHECKING, Any

from nowserving.protocol.survey import LineSummary, ProcessSummary, Survey, owner_name
from nowserving.stores.operating import OperatingMethods, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from nowserving._host.process import Process
    from nowserving.protocol.queue import TicketQueue
    from nowserving.protocol.survey import LineSight, SurveyOrder

_MOST_LINES = 10_000

_Rank = tuple[float, float]


def _by_waiting(line: LineSight) -> _Rank:
    return line.waiting, line.waited or 0.0


def _by_oldest_wait(line: LineSight) -> _Rank:
    return line.waited if line.waited is not None else -1.0, line.waiting


def _by_held_for(line: LineSight) -> _Rank:
    held_for = None if line.holder is None else line.holder.served_for
    return -1.0 if held_for is None else held_for, line.waiting


_RANKS: dict[str, Callable[[LineSight], _Rank]] = {
    "waiting": _by_waiting,
    "oldest_wait": _by_oldest_wait,
    "held_for": _by_held_for,
}


class SurveyingMethods(OperatingMethods):
    """Looks over all lines of a store."""

    async def survey(self, longest: int = 20, order: SurveyOrder = "waiting") -> Survey:
        """Look over all lines in which somebody is. Nothing is changed by that.

        However many they are, nobody is held up: it reads a few hundred lines at a time, and lets
        everybody else go between. So it shows no one moment: a line that comes, goes or moves
        meanwhile may be missing.

        Args:
            longest: How many lines to show, 0 to 10,000. All are counted.
            order: Which ones come first: with ``"waiting"`` those in which most wait, with
                ``"oldest_wait"`` and ``"held_for"`` those that have waited, or have been held, for
                longest.

        Returns:
            What is in use.

        Raises:
            TypeError: If ``longest`` is no ``int``.
            ValueError: If an argument is out of range.
            LockError: If the store can't know its lines: a custom store.
            StoreClosed: If the store is closed.
            StoreUnavailable: If the store does not answer in time.
        """
        rank = _rank_of(order)
        tally = _Tally(_count_of(longest), rank)
        queue = self._operated()
        self._refuse_without_policies(queue, "survey()")
        unreadable = await queue.survey(tally.add)
        return await tally.survey(queue, unreadable)


def _rank_of(order: object) -> Callable[[LineSight], _Rank]:
    if isinstance(order, str) and order in _RANKS:
        return _RANKS[order]
    known = ", ".join(map(repr, _RANKS))
    raise ValueError(f"order={order!r} is not known; give one of {known}")


def _count_of(longest: Any) -> int:  # noqa: ANN401 - whatever a caller gives
    if not isinstance(longest, int) or isinstance(longest, bool):
        raise TypeError(f"longest={longest!r} must be an int: how many lines to show")
    if not 0 <= longest <= _MOST_LINES:
        raise ValueError(f"longest={longest} is out of range; give 0 to {_MOST_LINES}")
    return longest


class _Tally:
    """What was seen so far.

    Args:
        longest: How many lines to keep.
        rank: Which ones: those of the highest rank.
    """

    def __init__(self, longest: int, rank: Callable[[LineSight], _Rank]) -> None:
        self._longest = longest
        self._rank = rank
        self._conversations = self._held = self._waiting = 0
        self._oldest_wait: float | None = None
        self._kept: list[tuple[_Rank, int, LineSight]] = []  # a heap; the lowest rank is its first
        self._seen = itertools.count(0, -1)  # of equals, the first that was seen stays
        self._owned: dict[str, list[int]] = {}  # by what owners begin with: holding, waiting

    def add(self, line: LineSight) -> None:
        """Note a line."""
        self._conversations += 1
        self._waiting += line.waiting
        if line.waited is not None and line.waited > (self._oldest_wait or -1.0):
            self._oldest_wait = line.waited
        if line.holder is not None:
            self._held += 1
            self._of(owner_name(line.holder.owner))[0] += 1
        for name, count in line.waiters.items():
            self._of(name)[1] += count
        if not self._longest:
            return
        entry = self._rank(line), next(self._seen), line
        if len(self._kept) < self._longest:
            heapq.heappush(self._kept, entry)
        elif entry > self._kept[0]:
            heapq.heapreplace(self._kept, entry)

    def _of(self, name: str) -> list[int]:
        counts = self._owned.get(name)
        if counts is None:
            counts = self._owned[name] = [0, 0]
        return counts

    async def survey(self, queue: TicketQueue[Any], unreadable: int) -> Survey:
        """Return all of it, once it is known which processes those are."""
        owners = {name: f"{name}." for name in self._owned if name}
        known = await queue.processes(list(owners.values()))
        processes = {name: known.get(owner) for name, owner in owners.items()}
        now = time.time()
        return Survey(
            conversations=self._conversations,
            held=self._held,
            waiting=self._waiting,
            oldest_wait=self._oldest_wait,
            lines=tuple(
                _summary(line, processes, now) for _, _, line in sorted(self._kept, reverse=True)
            ),
            processes=self._summed_up(processes),
            unreadable=unreadable,
        )

    def _summed_up(self, processes: dict[str, Process | None]) -> tuple[ProcessSummary, ...]:
        # A process has a name for each of its event loops and stores.
        summed: dict[tuple[str | None, int | None], list[int]] = {}
        for name, process in processes.items():
            key = (None, None) if process is None else (process.host, process.pid)
            counts = summed.setdefault(key, [0, 0])
            holding, waiting = self._owned[name]
            counts[0], counts[1] = counts[0] + holding, counts[1] + waiting
        summaries = (ProcessSummary(host, pid, *counts) for (host, pid), counts in summed.items())
        return tuple(sorted(summaries, key=_busiest_first))


def _busiest_first(process: ProcessSummary) -> tuple[bool, int, int, str, int]:
    return (
        process.host is None,
        -process.holding,
        -process.waiting,
        process.host or "",
        process.pid or 0,
    )


def _summary(line: LineSight, processes: dict[str, Process | None], now: float) -> LineSummary:
    holder = line.holder
    if holder is None:
        return LineSummary(line.conversation_id, line.waiting, line.waited, None)
    process = processes.get(owner_name(holder.owner))
    return LineSummary(line.conversation_id, line.waiting, line.waited, shown(holder, process, now))
