"""One conversation as a script keeps it, and verbs for it to carry out, on a clock of our own."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING, Any

from tests.support import scripts

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

    from nowserving.stores.redis.script import Script

BEGIN = 1_800_000_000_000_000  # microseconds
SECOND = 1_000_000
LATE = 5 * SECOND
BEYOND = 2**53 - 1

_SETTLING = ["", "", "", "", f"~{SECOND // 2}~", f"~{2 * SECOND}~{3 * SECOND}"]

Fields = dict[str, str]


class Line:
    """One conversation, by one script.

    Args:
        client: Where it is.
        key: Its record.
        script: Who decides.

    Attributes:
        seen_token: The highest fencing token that whoever says a verb has seen.
    """

    def __init__(self, client: redis.Redis, key: str, script: Script) -> None:
        self._client = client
        self._key = key
        self._script = client.register_script(script.source)
        self.seen_token = 0
        for known in client.scan_iter(f"{key}:*"):
            client.delete(known)

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
        header: list[Any] = [self.seen_token, "in:", LATE, verb, len(args), *args]
        reply = self._script(keys=[self._key], args=header)[0]
        if isinstance(reply, list):
            return [reply[0].removeprefix("+"), *reply[1:]]
        return reply.removeprefix("+") if isinstance(reply, str) else reply

    def sweep(self) -> None:
        while self._script(keys=[self._key], args=[0, "in:", LATE, "sweep", 0]) == ["+ok"]:
            pass

    def put(self, fields: Fields) -> None:
        """Have a record with these fields."""
        self._client.delete(self._key)
        values: Any = fields
        self._client.hset(self._key, mapping=values)
        self._client.expire(self._key, 600)

    def fields(self) -> Fields:
        found: Any = self._client.hgetall(self._key)
        return dict(found)

    def ttl(self) -> int:
        left: Any = self._client.pttl(self._key)
        return int(left)

    def noted(self) -> scripts.Noted:
        """Return what was noted by a script that does so."""
        return scripts.noted(self._client, self._key)


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
        if step < 0.04:
            self._owners += 1  # no attempt of a take comes an hour late
            return now + (-3600 if step < 0.02 else 3600) * SECOND
        return now + self._random.choice([1, 40, 5000, SECOND // 3, 2 * SECOND])

    def token(self, now: int) -> int:
        """Return the highest token that was seen: it may come from a server whose clock is fast."""
        return now + SECOND if self._random.random() < 0.02 else 0

    def learn(self, owner: str, reply: str) -> None:
        if reply[0] in "SW":
            self._known.append((owner, int(reply.split()[1])))

    def verb(self) -> tuple[Any, ...]:
        choose = self._random.choice
        weighted = (
            ["take"] * 9 + ["leave"] * 6 + ["renew", "poll", "redeem", "park", "finish", "line"]
        )
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
        how = choose(["c", "c", "cr", "-"]), choose("qqqqqqqqrlid") + choose(_SETTLING)
        limit, message = choose([-1, -1, -1, -1, 0, 1, 3]), choose("-----mn")
        extras = choose(["-", "-", "-", "label -", "label m"])
        return (owner, self._lifetime(), *how, limit, message, extras, again)

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
        how = "c", choose("--m"), choose(["-", "-", "anew -"])
        return number, choose(["-", owner]), f"{owner}r", self._lifetime(), *how

    def _park(self) -> tuple[Any, ...]:
        (owner, number), choose = self._someone(), self._random.choice
        return number, f"{owner}{choose(['r', ''])}", choose(["-", owner]), self._lifetime()

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


class Regulars(Chance):
    """Mostly says what nearly all turns are made of: takes, leaves by number, renewals."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._queued: list[tuple[str, int]] = []  # as far as they were told
        # How likely somebody leaves, for each in line: hardly a line, some, and many in it.
        self._hurry = itertools.cycle([0.7] * 25 + [0.15] * 25 + [0.03] * 25)

    def moment(self, now: int) -> int:
        if self._random.random() < 0.02:
            return now + self._random.choice([-3600 * SECOND, -2 * SECOND, 1, 3600 * SECOND])
        # On a grid, and sometimes none: so that much ends in the very moment in which it is met.
        return now + self._random.choice([0, 0, 0, SECOND // 4, SECOND // 4, SECOND])

    def learn(self, owner: str, reply: str) -> None:
        super().learn(owner, reply)
        if reply[0] == "S":
            self._queued.clear()
        if reply[0] in "SW":
            self._queued.append((owner, int(reply.split()[1])))

    def verb(self) -> tuple[Any, ...]:
        chance, hurry = self._random.random(), next(self._hurry)
        if chance < 0.1:
            return super().verb()
        if chance < 0.2:
            owner, number = self._someone()
            return "renew", number, owner, self._lifetime()
        if chance < 0.2 + hurry * len(self._queued):
            # The holder, nearly always; or a waiter, who leaves a gap behind.
            which = 0 if self._random.random() < 0.9 else -1
            owner, number = self._queued.pop(which)
            outcome = self._random.choice(["done"] * 6 + ["failed", "abandoned"])
            return "leave", number, owner, outcome
        self._owners += 1
        owner = f"n~{self._owners % 2}.{self._owners}"
        message = self._random.choice(["-"] * 9 + ["m"])
        flags = self._random.choice(["c", "c", "cr", "-"])
        return "take", owner, self._lifetime(), flags, "q", -1, message, "-", 0


def play(
    client: redis.Redis, chance: Chance, steps: int, *lines: Line
) -> Iterator[tuple[Any, ...]]:
    """Say the same verbs to some lines, and tell each with the replies to it."""
    now = BEGIN
    scripts.set_clock(client, now)
    for _ in range(steps):
        before, now = now, chance.moment(now)
        if not before <= now < before + SECOND:
            for line in lines:
                line.sweep()  # nothing is left for so long: how late it is, is counted from then
        scripts.set_clock(client, now)
        verb, token = chance.verb(), chance.token(now)
        for line in lines:
            line.seen_token = token
        replies = [line.say(*verb) for line in lines]
        if verb[0] == "take":
            chance.learn(str(verb[1]), replies[0])
        yield verb, *replies
