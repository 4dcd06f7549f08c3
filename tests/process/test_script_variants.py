"""One sequence of verbs, said to scripts that have to decide the same, on a clock of our own."""

from __future__ import annotations

import contextlib
import random
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import scripts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    from nowserving.stores.redis.script import Script
    from tests.support.redis_server import RedisServer

BEGIN = 1_800_000_000_000_000  # microseconds
SECOND = 1_000_000
LATE = 5 * SECOND
BEYOND = 2**53 - 1

Fields = dict[str, str]


class Line:
    """One conversation, by one script.

    Args:
        client: Where it is.
        key: Its record.
        script: Who decides.
    """

    def __init__(self, client: redis.Redis, key: str, script: Script) -> None:
        self._client = client
        self._key = key
        self._script = client.register_script(script.source)
        self._left_over = False

    def say(self, verb: str, *args: object) -> Any:
        """Say a verb until it has an answer."""
        reply = self._once(verb, *args)
        while isinstance(reply, str) and reply.startswith("?"):
            reply = self._once(verb, *args, reply[1:])
        while verb == "save" and reply != "ok":
            reply = self._once(verb, args[0], reply, *args[2:])
        while verb == "line" and reply and reply[1] != "-1":
            _, reply[1], *more = self._once(verb, reply[1]) or ["", "-1"]
            reply += more
        if verb == "delete" or (verb == "finish" and args[2] == 0):
            self.sweep()
        return reply

    def _once(self, verb: str, *args: object) -> Any:
        header: list[Any] = [0, "in:", LATE, verb, len(args), *args]
        reply = self._script(keys=[self._key], args=header)[0]
        if isinstance(reply, list):
            return [reply[0].removeprefix("+"), *reply[1:]]
        return reply.removeprefix("+") if isinstance(reply, str) else reply

    def sweep(self) -> None:
        while self._script(keys=[self._key], args=[0, "in:", LATE, "sweep", 0]) == ["+ok"]:
            pass

    def fields(self) -> Fields:
        found: Any = self._client.hgetall(self._key)
        return dict(found)

    def ttl(self) -> int:
        left: Any = self._client.pttl(self._key)
        return int(left)


class Chance:
    """Draws verbs that a crowd of some owners could say."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._owners = 0
        self._first_attempts: set[str] = set()
        self._known: list[tuple[str, int]] = []  # owners and the numbers that they were told

    def moment(self, now: int) -> int:
        """Let some time pass; now and then, set the clock back or forth."""
        step = self._random.random()
        if step < 0.02:
            return now - 3600 * SECOND
        if step < 0.04:
            return now + 3600 * SECOND
        return now + self._random.choice([1, 40, 5000, SECOND // 3, 2 * SECOND])

    def learn(self, owner: str, reply: str) -> None:
        if reply[0] in "SW":
            self._known.append((owner, int(reply.split()[1])))

    def verb(self) -> tuple[Any, ...]:
        choose = self._random.choice
        weighted = ["take"] * 9 + ["leave"] * 6 + ["renew", "poll", "redeem", "finish", "line"]
        name = choose([*weighted, "save", "delete"] if choose(range(4)) == 0 else weighted)
        args: tuple[Any, ...] = getattr(self, f"_{name}")()
        return (name, *args)

    def _someone(self) -> tuple[str, int]:
        return self._random.choice(self._known) if self._known else ("n~0.none", 0)

    def _lifetime(self) -> int:
        return self._random.choice([1, 2, 3, 9]) * SECOND

    def _take(self) -> tuple[Any, ...]:
        choose = self._random.choice
        self._owners += choose([0, 1, 1, 1, 1])
        owner = f"n~{self._owners % 2}.{self._owners}"
        again = int(owner in self._first_attempts or choose(range(6)) == 0)
        if not again:  # there is only one, which may come late
            self._first_attempts.add(owner)
        how = choose(["c", "c", "cr", "-"]), choose("qqqqqqqqrli")
        limit, message = choose([-1, -1, -1, -1, 0, 1, 3]), choose("-----mn")
        return (owner, self._lifetime(), *how, limit, message, again)

    def _leave(self) -> tuple[Any, ...]:
        (owner, number), choose = self._someone(), self._random.choice
        outcome = choose(["done", "done", "failed", "abandoned"])
        return choose([number, number, number, -1]), owner, outcome

    def _renew(self) -> tuple[Any, ...]:
        (owner, number), choose = self._someone(), self._random.choice
        return choose([number, number, -1]), owner, choose([0, self._lifetime()])

    def _poll(self) -> tuple[Any, ...]:
        return tuple(word for owner, number in self._known[-5:] for word in (number, owner))

    def _redeem(self) -> tuple[Any, ...]:
        (owner, number), choose = self._someone(), self._random.choice
        return number, choose(["-", owner]), f"{owner}r", self._lifetime(), "c", choose("--m")

    def _finish(self) -> tuple[Any, ...]:
        (owner, number), choose = self._someone(), self._random.choice
        return number, choose(["-", owner]), choose([0, 1]), "n"

    def _line(self) -> tuple[Any, ...]:
        return (-1,)

    def _delete(self) -> tuple[Any, ...]:
        return ()

    def _save(self) -> tuple[Any, ...]:
        choose = self._random.choice
        picture = sorted({choose(range(20)) for _ in range(choose(range(4)))})
        lefts = [(number, choose([-1, 1, 4]) * SECOND) for number in picture]
        last = max([number for number, left in lefts if left > 0], default=-1)
        text = " ".join(f"{number} {left}" for number, left in lefts)
        return choose([0, 3, 9]), 0, BEYOND, 1, picture[0] if picture else 0, last, text


@pytest.fixture
def client(server: RedisServer) -> Iterator[redis.Redis]:
    with contextlib.closing(server.client()) as client:
        yield client


def play(client: redis.Redis, seed: int, steps: int, *lines: Line) -> Iterator[tuple[Any, ...]]:
    chance, now = Chance(seed), BEGIN
    scripts.set_clock(client, now)
    for _ in range(steps):
        before, now = now, chance.moment(now)
        if not before < now < before + SECOND:
            for line in lines:
                line.sweep()  # nothing is left for so long: how late it is, is counted from then
        scripts.set_clock(client, now)
        verb = chance.verb()
        replies = [line.say(*verb) for line in lines]
        if verb[0] == "take":
            chance.learn(str(verb[1]), replies[0])
        yield verb, *replies


@pytest.mark.parametrize("seed", range(20))
def test_a_quick_step_decides_what_its_verb_decides(client: redis.Redis, seed: int) -> None:
    quick = Line(client, "lock:{quick}", scripts.on_our_clock())
    slow = Line(client, "lock:{slow}", scripts.on_our_clock(scripts.without_quick_steps()))
    for verb, reply, expected in play(client, seed, 150, quick, slow):
        assert (verb, reply) == (verb, expected)
        assert quick.fields() == slow.fields(), verb
        assert abs(quick.ttl() - slow.ttl()) < 1000


@pytest.mark.parametrize("variant", [scripts.sweeping_one_by_one, scripts.in_small_pieces])
@pytest.mark.parametrize("seed", range(20))
def test_what_is_done_in_pieces_is_decided_as_in_one(
    client: redis.Redis, seed: int, variant: Callable[[], Script]
) -> None:
    whole = Line(client, "lock:{whole}", scripts.on_our_clock())
    pieces = Line(client, "lock:{pieces}", scripts.on_our_clock(variant()))
    for verb, in_one, in_many in play(client, seed, 150, whole, pieces):
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
    return re.sub(r"\b1[78]\d{14}\b", "a moment", said) if said else said
