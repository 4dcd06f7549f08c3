"""Attempts of a take that arrive in any order, said to Redis just as they would arrive."""

from __future__ import annotations

import contextlib
import random
import time
from typing import TYPE_CHECKING, Any

import pytest

from nowserving.stores.redis.script import load_script

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.redis_server import RedisServer

KEY = "lock:{c}"
LIFETIME = 60_000_000  # microseconds
LATE = 60_000_000
SOON = 50_000


class Verbs:
    """The verbs as they are written to Redis.

    Attributes:
        late: For how long an attempt of a take may be late, in microseconds.
    """

    def __init__(self, server: RedisServer) -> None:
        self.client = server.client()
        self._script = self.client.register_script(load_script().source)
        self.late = LATE

    def say(self, *verb: object) -> Any:
        args: list[Any] = [0, "in:", self.late, verb[0], len(verb) - 1, *verb[1:]]
        return self._script(keys=[KEY], args=args)[0]

    def take(
        self, owner: str, again: int = 0, policy: str = "q", limit: int = -1, message: str = "-"
    ) -> str:
        reply = self.say("take", owner, LIFETIME, "c", policy, limit, message, "-", again)
        return str(reply)

    def issue(self, secret: str, lifetime: int = LIFETIME, message: str = "-") -> str:
        return str(self.say("take", secret, lifetime, "-", "q", -1, message, "-", 0))

    def redeem(self, number: int, owner: str, message: str = "-") -> str:
        return str(self.say("redeem", number, "secret", owner, LIFETIME, "c", message, "-"))

    def leave(self, number: int, owner: str) -> str:
        return str(self.say("leave", number, owner, "done"))

    def fields(self) -> dict[str, str]:
        fields: Any = self.client.hgetall(KEY)
        return {str(name): str(value) for name, value in fields.items()}

    def in_line(self) -> list[str]:
        _, _, *line = self.say("line", -1) or ["", ""]
        return [ticket.split()[3] for ticket in line]

    def sweep(self) -> None:
        """Do all that the verb before has left over."""
        while self.say("sweep") != "ok":
            pass

    def graves(self) -> int:
        return sum(name[:2] in {"x:", "g:"} for name in self.fields())


@pytest.fixture
def verbs(server: RedisServer) -> Iterator[Verbs]:
    verbs = Verbs(server)
    with contextlib.closing(verbs.client):
        yield verbs


def test_once_a_take_was_left_none_of_its_attempts_is_carried_out(verbs: Verbs) -> None:
    assert verbs.leave(-1, "a.1") == "0 0"
    for again in (0, 0, 1, 0, 1):
        assert verbs.take("a.1", again) == "G -1"
    assert verbs.in_line() == []


def test_nor_when_the_leave_found_a_ticket(verbs: Verbs) -> None:
    verbs.take("a.1")
    assert verbs.leave(-1, "a.1") == "1 0"
    for again in (0, 1):
        assert verbs.take("a.1", again) == "G -1"
    assert verbs.in_line() == []


def test_a_repetition_that_comes_after_the_turn_is_late_too(verbs: Verbs) -> None:
    assert verbs.take("a.1", again=1).startswith("S 0 ")
    assert verbs.take("a.1", again=1).startswith("S 0 "), "its own ticket"
    assert verbs.take("a.1") == "G -1"
    assert verbs.leave(0, "a.1") == "1 0"
    for again in (0, 1):
        assert verbs.take("a.1", again)[:2] == "G "
    assert verbs.in_line() == []


def test_a_take_that_found_its_ticket_issues_no_second_one(verbs: Verbs) -> None:
    verbs.take("h.1")
    assert verbs.take("a.1").startswith("W 1 ")
    assert verbs.take("a.1", again=1).startswith("W 1 ")
    assert verbs.take("a.1") == "G -1"
    assert verbs.in_line() == ["h.1", "a.1"]


@pytest.mark.parametrize("refusal", [{"policy": "r"}, {"limit": 0}, {"message": "m"}])
def test_a_refused_take_is_refused_whenever_it_is_repeated(
    verbs: Verbs, refusal: dict[str, Any]
) -> None:
    verbs.take("h.1", message="m")
    first = verbs.take("a.1", again=1, **refusal)
    assert first[0] in "BD"
    assert verbs.take("a.1", again=1, **refusal)[0] == first[0]
    assert verbs.take("a.1", **refusal) == "G -1"
    verbs.say("leave", 0, "h.1", "failed")
    for again in (0, 1):
        assert verbs.take("a.1", again, **refusal) == "G -1"
    assert verbs.in_line() == []


@pytest.mark.parametrize("policy", ["l", "i"])
@pytest.mark.parametrize("older", ["q", "l", "i"])
def test_a_superseded_take_that_is_repeated_supersedes_nobody(
    verbs: Verbs, older: str, policy: str
) -> None:
    verbs.take("h.1")
    verbs.take("a.1", policy=older)
    verbs.take("b.1", policy=policy)
    for _ in range(2):
        assert verbs.take("a.1", again=1, policy=older) == "X 1"
    assert verbs.take("a.1", policy=older) == "G -1"
    assert verbs.in_line() == ["h.1", "b.1"]


def test_a_repeated_redeeming_is_still_told_that_it_was_superseded(verbs: Verbs) -> None:
    verbs.take("h.1")
    verbs.issue("secret")
    assert verbs.redeem(1, "a.1").startswith("W 1 ")
    verbs.take("b.1", policy="l")
    assert verbs.redeem(1, "a.1") == "X 1"


def test_a_redeeming_that_comes_late_leaves_the_ticket_as_it_is(verbs: Verbs) -> None:
    verbs.issue("secret")
    verbs.leave(-1, "a.1")
    before = verbs.fields()
    assert verbs.redeem(0, "a.1", "m") == "G -1"
    assert verbs.fields() == before
    assert verbs.redeem(0, "a.2", "m").startswith("S 0 ")


def test_an_expired_ticket_is_redeemed_by_nobody(verbs: Verbs) -> None:
    verbs.take("h.1")
    verbs.issue("secret", SOON, "m")
    time.sleep(0.1)
    assert verbs.redeem(1, "a.1") == "G 1"
    assert verbs.in_line() == ["h.1"]


def test_the_record_outlives_its_tombstones(verbs: Verbs) -> None:
    verbs.take("h.1")
    verbs.late = 100 * LIFETIME
    verbs.leave(-1, "a.1")
    lives: Any = verbs.client.pttl(KEY)
    assert lives * 1000 >= verbs.late


def test_a_take_whose_ticket_was_released_does_not_join_anew(verbs: Verbs) -> None:
    """Told of it by its push, it would not either."""
    verbs.take("h.1")
    verbs.take("a.1")
    verbs.say("delete")
    verbs.sweep()
    assert verbs.take("a.1", again=1) == "G 1 released"
    assert verbs.take("a.1") == "G -1"
    assert verbs.in_line() == []


def test_a_ticket_that_is_deleted_and_not_swept_yet_is_told_so(verbs: Verbs) -> None:
    """A long line is swept little by little. Nobody may say meanwhile that it expired."""
    owners = [f"a.{number}" for number in range(2000)]
    for owner in owners:
        verbs.take(owner)
    verbs.say("delete")
    assert "sweeping" in verbs.fields()
    assert verbs.say("renew", 1999, owners[-1], LIFETIME) == "+G 1999 released"
    assert verbs.say("poll", 1998, owners[-2])[-1] == "0 G 1998 released"
    assert verbs.leave(1997, owners[-3]) == "+0 0 G released"
    assert verbs.take(owners[-4], again=1) == "+G 1996 released"
    verbs.sweep()
    assert verbs.say("renew", 1000, owners[1000], LIFETIME) == "G 1000 released"
    assert verbs.take("b.1").startswith("S 0 ")


def test_a_tombstone_of_the_version_before_is_none_the_worse(verbs: Verbs) -> None:
    verbs.take("h.1")
    verbs.client.hset(KEY, "x:a.1", "1")
    verbs.client.hset(KEY, "x:a.2", "1")
    assert verbs.take("a.1") == "G -1"
    assert verbs.take("a.1", again=1) == "G -1"
    assert verbs.leave(-1, "a.1") == "0 1"
    assert verbs.take("a.2", again=1, policy="l") == "G -1"
    assert verbs.in_line() == ["h.1"]


def test_tombstones_are_swept_by_those_that_are_made(verbs: Verbs) -> None:
    verbs.take("h.1")
    verbs.late = SOON
    for index in range(30):
        verbs.leave(-1, f"a.{index}")
        verbs.leave(-1, f"a.{index}")  # a leave that is repeated buries again
    assert verbs.graves() == 90
    time.sleep(0.1)
    verbs.late = LATE
    for index in range(15):
        verbs.leave(-1, f"b.{index}")
    assert verbs.graves() == 30
    assert all(verbs.take(f"b.{index}") == "G -1" for index in range(15))


def test_a_crowd_that_was_superseded_is_swept_by_usual_turns(verbs: Verbs) -> None:
    verbs.take("h.1")
    before = verbs.fields().keys()
    for index in range(1500):
        verbs.take(f"a.{index}")
    verbs.late = 500_000
    verbs.take("b.1", policy="l")
    assert verbs.take("a.1400", again=1, policy="l") == "+X 1401", "not swept yet"
    verbs.sweep()
    assert verbs.graves() == 3000
    assert verbs.take("a.700", again=1, policy="l") == "X 701"
    number = 1501
    verbs.leave(0, "h.1")
    time.sleep(0.6)
    for index in range(400):
        verbs.take(f"c.{index}")
        verbs.leave(number, "b.1" if index == 0 else f"c.{index - 1}")
        number += 1
    assert verbs.graves() == 0
    assert "graves" not in verbs.fields()
    assert set(verbs.fields()) - set(before) == {"superseded_below", "predecessor", str(number)}


def test_a_take_is_left_and_a_ticket_kept_though_the_memory_is_full(
    verbs: Verbs, server: RedisServer
) -> None:
    verbs.take("h.1")
    verbs.take("a.1")
    server.cli("CONFIG", "SET", "maxmemory", "1")
    assert verbs.take("b.1").startswith("!")
    assert verbs.leave(-1, "b.1") == "0 1"
    assert verbs.take("a.1", again=1).startswith("W 1 ")
    assert verbs.take("c.1", again=1, policy="r").startswith("B ")
    assert verbs.take("d.1", again=1).startswith("!")
    server.cli("CONFIG", "SET", "maxmemory", "0")
    for late in ("a.1", "b.1", "c.1"):
        assert verbs.take(late) == "G -1"
    assert verbs.in_line() == ["h.1", "a.1"]


@pytest.mark.parametrize("damage", ["{}", "1 2", "0 1 1e999", "x 1 2"])
def test_a_sweep_of_a_damaged_record_writes_nothing(verbs: Verbs, damage: str) -> None:
    verbs.take("h.1")
    verbs.client.hset(KEY, "graves", damage)
    before = verbs.fields()
    for reply in (verbs.leave(-1, "a.1"), verbs.take("a.1"), verbs.take("a.1", again=1)):
        assert "CORRUPT its field graves" in reply
    assert verbs.fields() == before


class Visitor:
    """Takes part once. It reads the reply to the last of its attempts, or gives up."""

    def __init__(self, verbs: Verbs, index: int, random_: random.Random) -> None:
        self._verbs = verbs
        self.owner = f"a.{index}"
        self._args: dict[str, Any] = {
            "policy": random_.choice("qqrli"),
            "limit": random_.choice([-1, -1, 0, 1]),
            "message": random_.choice(["-", "-", "m", "n"]),
        }
        self.under_way = list(range(random_.choice([1, 2, 2, 3])))
        self._last = self.under_way[-1]
        self._number: int | None = None
        self.gone = False

    def deliver(self, attempt: int) -> None:
        """Let one of the attempts arrive, whichever."""
        self.under_way.remove(attempt)
        reply = self._verbs.take(self.owner, int(attempt > 0), **self._args)
        assert not reply.startswith("!")
        if attempt == self._last and not self.gone:
            self.gone = reply[0] not in "SIW"
            self._number = None if self.gone else int(reply.split()[1])

    def go(self) -> None:
        """End the turn or the wait, whatever was heard of the take until then."""
        self._verbs.leave(-1 if self._number is None else self._number, self.owner)
        self.gone = True


@pytest.mark.parametrize("seed", range(40))
def test_whatever_order_attempts_arrive_in_nobody_has_two_places_or_one_when_gone(
    verbs: Verbs, seed: int
) -> None:
    random_ = random.Random(seed)
    visitors: list[Visitor] = []
    for index in range(100):
        under_way = [(one, attempt) for one in visitors for attempt in one.under_way]
        present = [one for one in visitors if not one.gone]
        step = random_.random()
        if step < 0.3:
            visitors.append(Visitor(verbs, index, random_))
        elif step < 0.8 and under_way:
            one, attempt = random_.choice(under_way)
            one.deliver(attempt)
        elif present:
            random_.choice(present).go()
        line = verbs.in_line()
        assert len(line) == len(set(line))
        assert not {one.owner for one in visitors if one.gone} & set(line)
