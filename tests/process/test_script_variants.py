"""What is done in pieces is decided as in one, on a clock of our own."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import scripts
from tests.support.verbs import Chance, Line, play

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    from nowserving.stores.redis.script import Script
    from tests.support.redis_server import RedisServer


@pytest.fixture
def client(server: RedisServer) -> Iterator[redis.Redis]:
    with contextlib.closing(server.client()) as client:
        yield client


@pytest.mark.parametrize("variant", [scripts.sweeping_one_by_one, scripts.in_small_pieces])
@pytest.mark.parametrize("seed", range(20))
def test_what_is_done_in_pieces_is_decided_as_in_one(
    client: redis.Redis, seed: int, variant: Callable[[], Script]
) -> None:
    whole = Line(client, "lock:{whole}", scripts.on_our_clock())
    pieces = Line(client, "lock:{pieces}", scripts.on_our_clock(variant()))
    for verb, in_one, in_many in play(client, Chance(seed), 150, whole, pieces):
        expected, reply = in_one, in_many
        # While it is not known who is next, this is what a waiter is told: to ask again at once.
        assert pieces.say("line", -1) == whole.say("line", -1), verb
        if verb[0] == "poll":
            expected, reply = whole.say(*verb), pieces.say(*verb)
        elif verb[0] in {"take", "renew"} and reply[0] == "W":
            again = ("renew", reply.split()[1], verb[1] if verb[0] == "take" else verb[2], 0)
            expected, reply = whole.say(*again), pieces.say(*again)
        assert without_counts(reply) == without_counts(expected), verb
    pieces.sweep()
    assert without_counts(pieces.fields()) == without_counts(whole.fields())


def without_counts(said: Any) -> Any:
    """Leave out what tells in how many pieces something was done, and so in which order."""
    if isinstance(said, dict):
        counts = {"token", "version", "graves", "remembered", "kept_until"}
        return {n: text for n, text in said.items() if n not in counts and n[1:2] != ":"}
    if isinstance(said, list):
        return [without_counts(text) for text in said]
    return re.sub(r"\b2?1[78]\d{14}\b", "a moment", said) if said else said
