"""Made-up messages: a few busy conversations, many quiet ones, and people who type in bursts.

The same seed gives the same messages. The shape follows what chat logs show: how often a
conversation is written to falls off like a power of its rank, and a person sends a thought in
several short messages, which is when a second worker picks up a message of a busy conversation.
"""

from __future__ import annotations

import itertools
import math
import random
from typing import TYPE_CHECKING

from nowserving.verify.trace import Message

if TYPE_CHECKING:
    from collections.abc import Iterator

MESSAGES = 3_000
"""How many messages are made when nobody says how many."""

_MESSAGES_PER_CONVERSATION = 4
_SKEW = 0.6  # weight of the conversation of rank r is r ** -_SKEW
_MESSAGES_PER_SECOND = 15.0
_MESSAGES_PER_BURST = 2.5
_SECONDS_IN_BURST = 2.0  # between two messages of one burst
_RUSH_EVERY = 60.0  # seconds; the rate of bursts swings between a quarter and seven quarters
_RUSH_SWING = 0.75
_MEDIAN_CHARACTERS = 41.0
_SPREAD_CHARACTERS = 0.8  # of the logarithm
_LONGEST = 500

# Whatever a store uses as a separator, a pattern, a hash tag or a quote, some bot has in its ids.
_SHAPES = (
    "user-{}",
    "telegram:chat:{}",
    "room;{}",
    "team*{}?",
    "[group] {}",
    "{{slot}}{}",
    "två ord {}",
    "🙂 family {} 🎉",
    "'quoted' \"{}\"",
    "<b>&amp;{}</b>",
    "path/to\\{}",
    "100%{}\t#",
)


def make_traffic(count: int = MESSAGES, seed: int = 0) -> list[Message]:
    """Make ``count`` messages, sorted by time.

    Args:
        count: How many, at least 1.
        seed: Which ones; the same seed gives the same messages.
    """
    dice = random.Random(seed)  # noqa: S311 - traffic, not secrets
    names = [_name(rank) for rank in range(math.ceil(count / _MESSAGES_PER_CONVERSATION))]
    weights = list(itertools.accumulate((rank + 1) ** -_SKEW for rank in range(len(names))))
    messages: list[Message] = []
    for start in _burst_starts(dice):
        conversation_id = dice.choices(names, cum_weights=weights)[0]
        messages.extend(_burst(dice, start, conversation_id))
        if len(messages) >= count:
            break
    del messages[count:]  # a burst's tail, before sorting: what is cut off is always the same
    return sorted(messages, key=lambda message: message.seconds)


def _name(rank: int) -> str:
    return _SHAPES[rank % len(_SHAPES)].format(rank)


def _burst_starts(dice: random.Random) -> Iterator[float]:
    """Yield moments in seconds, for ever: crowded in the rush, sparse between."""
    now = 0.0
    while True:
        swing = 1 + _RUSH_SWING * math.sin(2 * math.pi * now / _RUSH_EVERY)
        now += dice.expovariate(swing * _MESSAGES_PER_SECOND / _MESSAGES_PER_BURST)
        yield now


def _burst(dice: random.Random, start: float, conversation_id: str) -> Iterator[Message]:
    sender = f"sender-{dice.randrange(3)}"
    moment = start
    while True:
        length = dice.lognormvariate(math.log(_MEDIAN_CHARACTERS), _SPREAD_CHARACTERS)
        yield Message(
            seconds=round(moment, 3),
            conversation_id=conversation_id,
            sender=sender,
            characters=min(_LONGEST, 1 + int(length)),
        )
        if dice.random() < 1 / _MESSAGES_PER_BURST:
            return
        moment += dice.expovariate(1 / _SECONDS_IN_BURST)
