"""Who gets which message when, and how long it works: decided before anything runs.

Pure: the same messages and options give the same plan.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from nowserving.verify.trace import Message

_FIXED_SHARE = 0.25
"""Part of the mean handler time that every message needs, whatever its length."""

_MESSAGES_PER_WORKER_SECOND = 250
"""More than this and a worker measures its own event loop rather than the locks."""

_RUSH = 5
"""Seconds for which more may come than the workers can do: then it waits for a while."""

_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True)
class Delivery:
    """One message as a worker gets it.

    Attributes:
        index: The message's place in the trace, 0 and up.
        conversation_id: The conversation whose lock it needs.
        worker: The worker that handles it, 0 and up.
        due: Nanoseconds after the common start at which it arrives.
        hold: Nanoseconds that handling it takes.
    """

    index: int
    conversation_id: str
    worker: int
    due: int
    hold: int


@dataclass(frozen=True)
class Plan:
    """All deliveries of a run, in the order in which they are due.

    Attributes:
        deliveries: The messages.
        workers: How many processes share them.
        speed: Trace seconds that pass in one second.
    """

    deliveries: tuple[Delivery, ...]
    workers: int
    speed: float

    def share_of(self, worker: int) -> list[Delivery]:
        """Return what ``worker`` has to do."""
        return [delivery for delivery in self.deliveries if delivery.worker == worker]

    @property
    def conversations(self) -> int:
        """How many different conversations there are."""
        return len({delivery.conversation_id for delivery in self.deliveries})

    @property
    def longest_work(self) -> float:
        """Seconds of work in the conversation that has most of it: no run can be shorter."""
        return _longest_work((item.conversation_id, item.hold) for item in self.deliveries)

    @property
    def longest_silence(self) -> float:
        """The most seconds in which nothing may happen: between two arrivals, or in a handler."""
        dues = [0, *(delivery.due for delivery in self.deliveries)]
        pauses = (later - earlier for earlier, later in pairwise(dues))
        holds = (delivery.hold for delivery in self.deliveries)
        return (max(pauses, default=0) + max(holds, default=0)) / _NANOSECONDS


def make_plan(
    messages: Sequence[Message],
    *,
    workers: int,
    handler_seconds: float,
    speed: float | None = None,
    seed: int = 0,
) -> Plan:
    """Plan the handling of ``messages``.

    Args:
        messages: Sorted by time, at least one.
        workers: How many workers share them, at least 1.
        handler_seconds: Mean time that handling a message takes.
        speed: Trace seconds that pass in one second; None chooses one that keeps the busiest
            conversation at work all the time, unless that asks more of the workers than they can
            do, on the whole or while most messages come.
        seed: Draws the worker of each message.
    """
    holds = [round(hold * _NANOSECONDS) for hold in hold_times(messages, handler_seconds)]
    chosen = _choose_speed(messages, holds, workers) if speed is None else speed
    first = messages[0].seconds
    deliveries = tuple(
        Delivery(
            index=index,
            conversation_id=message.conversation_id,
            worker=worker,
            due=round((message.seconds - first) / chosen * _NANOSECONDS),
            hold=hold,
        )
        for index, (message, hold, worker) in enumerate(
            zip(messages, holds, deal(workers, seed), strict=False)
        )
    )
    return Plan(deliveries=deliveries, workers=workers, speed=chosen)


def hold_times(messages: Sequence[Message], mean: float) -> list[float]:
    """Return how many seconds each message's handler works: ``mean`` on average.

    Like a model's answer: a fixed part, and a part that grows with the length of the text.
    """
    mean_length = sum(message.characters for message in messages) / len(messages)
    if mean_length == 0:
        return [mean] * len(messages)
    growing = (1 - _FIXED_SHARE) / mean_length
    return [mean * (_FIXED_SHARE + growing * message.characters) for message in messages]


def deal(workers: int, seed: int) -> Iterator[int]:
    """Yield the worker of each message, for ever, like a load balancer that knows no conversations.

    Each round gives every worker one message, in a new order: the shares are even, neighbours in
    a conversation mostly meet different workers and sometimes the same, and no rhythm of the
    trace can tie a conversation to a worker.
    """
    dice = random.Random(seed)  # noqa: S311 - a load balancer, not a secret
    round_ = list(range(workers))
    while True:
        dice.shuffle(round_)
        yield from round_


def _choose_speed(messages: Sequence[Message], holds: Sequence[int], workers: int) -> float:
    ids = (message.conversation_id for message in messages)
    busiest = _longest_work(zip(ids, holds, strict=True))
    fastest = len(messages) / (_MESSAGES_PER_WORKER_SECOND * workers)
    span = messages[-1].seconds - messages[0].seconds
    if not span:
        return 1.0
    return min(span / max(busiest, fastest), _rushing_speed(messages, workers))


def _rushing_speed(messages: Sequence[Message], workers: int) -> float:
    """Return the speed at which the workers can just follow when most messages come."""
    count = _MESSAGES_PER_WORKER_SECOND * workers * _RUSH
    moments = [message.seconds for message in messages]
    spans = (last - first for first, last in zip(moments, moments[count:], strict=False))
    return (min(spans, default=0.0) or math.inf) / _RUSH


def _longest_work(pieces: Iterable[tuple[str, int]]) -> float:
    """Return the seconds of the conversation with most work, from ids and nanoseconds."""
    work: Counter[str] = Counter()
    for conversation_id, hold in pieces:
        work[conversation_id] += hold
    return max(work.values()) / _NANOSECONDS
