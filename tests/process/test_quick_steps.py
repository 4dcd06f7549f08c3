"""Quick steps decide what their verbs decide: one sequence through both, on a clock of our own."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any

import pytest

from nowserving.stores.redis.script import load_script
from tests.support import scripts
from tests.support.verbs import BEGIN, SECOND, Chance, Line, Regulars, play

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    from nowserving.stores.redis.script import Script
    from tests.support.redis_server import RedisServer
    from tests.support.verbs import Fields

WAYS = {"take S", "take W", "take handed on", "leave 1 0", "leave 1 1", "leave handed on"}
"""All that a quick step can do. ("1 1": the next one is served.)"""


@pytest.fixture
def client(server: RedisServer) -> Iterator[redis.Redis]:
    with contextlib.closing(server.client()) as client:
        yield client
        client.flushdb()  # what was noted has no TTL


@pytest.mark.parametrize(
    ("script", "crowd"),
    [
        (load_script, Chance),
        (load_script, Regulars),
        (scripts.sweeping_one_by_one, Regulars),
        (scripts.in_small_pieces, Regulars),
    ],
)
@pytest.mark.parametrize("seed", range(12))
def test_a_quick_step_decides_what_its_verb_decides(
    client: redis.Redis, seed: int, script: Callable[[], Script], crowd: type[Chance]
) -> None:
    noting = scripts.noting(scripts.on_our_clock(script()))
    quick = Line(client, "lock:{quick}", noting)
    slow = Line(client, "lock:{slow}", scripts.without_quick_steps(noting))
    for verb, reply, expected in play(client, crowd(seed), 250, quick, slow):
        assert (verb, reply) == (verb, expected)
        fields, noted, expected_notes = quick.fields(), quick.noted(), slow.noted()
        assert fields == slow.fields(), verb
        assert (noted.ends, noted.told) == (expected_notes.ends, expected_notes.told), verb
        assert last_end(fields) <= noted.ends, verb  # a record outlives its tickets
    assert abs(quick.ttl() - slow.ttl()) < 1000
    if crowd is Regulars:
        assert {way for way, count in quick.noted().steps.items() if count >= 5} == WAYS
    assert slow.noted().steps.keys() == {"take handed on", "leave handed on"}


TAKE = ("take", "n~0.9", SECOND, "c", "q", -1, "-", "-", 0)
LEAVE = ("leave", 0, "n~0.0", "done")
COUNTERS = ["next", "serving", "token", "kept_until", "superseded_below"]
FIELDS = [*COUNTERS, "sweeping", "graves", "0", "1"]
DAMAGE = ["", "many", "-1", "2.5", "7", "9" * 17, f"{BEGIN + SECOND} {9 * 10**12} 0 c n~0.1"]


@pytest.mark.parametrize("verb", [TAKE, LEAVE])
@pytest.mark.parametrize("in_line", [1, 2, 3])
@pytest.mark.parametrize("field", FIELDS)
def test_a_quick_step_goes_on_with_no_damage(
    client: redis.Redis, field: str, in_line: int, verb: tuple[Any, ...]
) -> None:
    """It says what its verb says, and writes nothing; or that field is none that it needs."""
    script = scripts.on_our_clock()
    quick = Line(client, "lock:{quick}", script)
    slow = Line(client, "lock:{slow}", scripts.without_quick_steps(script))
    scripts.set_clock(client, BEGIN)
    for number in range(in_line):
        quick.say("take", f"n~0.{number}", 9 * SECOND, "c", "q", -1, "-", "-", 0)
    whole = quick.fields()
    undamaged, then = quick.say(*verb), quick.fields()
    for damage in DAMAGE:
        damaged = {**whole, field: damage}
        quick.put(damaged)
        slow.put(damaged)
        reply, expected = quick.say(*verb), slow.say(*verb)
        if reply[0] == "!":
            assert reply == expected
            assert quick.fields() == damaged
        elif reply != expected or expected[0] == "!":
            assert reply == undamaged
            assert quick.fields() == {**then, field: damage}


def last_end(fields: Fields) -> int:
    """Return when the last ticket in a record expires."""
    tickets = (text for name, text in fields.items() if re.fullmatch(r"\d+", name))
    return max((int(text.split()[0]) for text in tickets), default=0)
