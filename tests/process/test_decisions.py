"""The Lua verbs decide what ``_lines`` decides: the same steps to both, on one clock, compared.

After each verb its answer has to be the same, what was sent to owners, and all that is kept.
"""

from __future__ import annotations

import contextlib
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings

from nowserving.protocol.status import (
    NOT_ISSUED,
    Admission,
    IssuedTicket,
    State,
    TicketStatus,
)
from nowserving.stores.redis.script import load_script
from tests.support import scripts
from tests.support.decided_line import DecidedLine
from tests.support.line_steps import HISTORIES, OURS, TICK, Step, steps
from tests.support.lua_line import LineState, LuaLine, Mail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from nowserving.protocol.status import Absorption, LinePicture
    from nowserving.stores.redis.script import Script
    from tests.support.redis_server import RedisServer

BEGIN = 1_800_000_000.0
LATE = 5.0


class Shown(NamedTuple):
    """What an owner shows of a ticket."""

    number: int
    owner: str


def in_order(mail: Mail) -> Mail:
    """Return mail by owner; what is sent to one of them keeps its order."""
    return sorted(mail, key=itemgetter(0))


def assert_same_tickets(
    told: LinePicture | Absorption | None, expected: LinePicture | Absorption | None
) -> None:
    """Compare what is told of tickets; how long they wait is kept in hundredths of a second."""
    if told is None or expected is None:
        assert told == expected
        return
    pairs: Iterable[tuple[Any, Any]] = zip(told.tickets, expected.tickets, strict=True)
    for one, decided in pairs:
        assert one.waited == pytest.approx(decided.waited, abs=0.011)
        assert one._replace(waited=None) == decided._replace(waited=None)
    assert told._replace(tickets=()) == expected._replace(tickets=())


class Play:
    """Says the same to both sides, and compares."""

    def __init__(self, lua: LuaLine, decided: DecidedLine) -> None:
        self._lua = lua
        self._decided = decided
        self._now = BEGIN
        self._tickets: list[Shown] = []
        self._taken: set[str] = set()
        self._at(BEGIN)

    def step(self, verb: str, **arguments: Any) -> None:
        if "which" in arguments:
            if not self._tickets:
                return
            arguments["which"] %= len(self._tickets)
        getattr(self, f"_{verb}")(**arguments)
        self._compare(verb)

    def _at(self, now: float) -> None:
        self._now = self._decided.now = now
        self._lua.at(now, self._decided.highest_token)

    def _both(self, verb: str, *args: Any, **kwargs: Any) -> Any:
        self._lua.at(self._now, self._decided.highest_token)
        expected = getattr(self._decided, verb)(*args, **kwargs)
        answer = getattr(self._lua, verb)(*args, **kwargs)
        assert answer == expected
        return answer

    def _compare(self, verb: str) -> None:
        assert in_order(self._lua.mail()) == in_order(self._decided.mail()), verb
        known, expected = self._lua.state(self._now), self._decided.state()
        if known is None or expected is None:
            assert known == expected
            return
        for state in (known, expected):
            self._forget_what_is_not_known_any_more(state)
        assert known == expected
        assert self._lua.kept_until() >= self._must_be_kept_until(expected)

    def _forget_what_is_not_known_any_more(self, state: LineState) -> None:
        for message, at in list(state.messages.items()):
            until = at if isinstance(at, float) else state.tickets[at].expires
            if until <= self._now:
                del state.messages[message]

    def _must_be_kept_until(self, state: LineState) -> float:
        lives = (ticket.expires + ticket.lifetime for ticket in state.tickets.values())
        buried = [self._now + TICK] if state.tombstones else []
        return max([0.0, *lives, *buried])

    # Steps

    def _time(self, seconds: float) -> None:
        self._at(self._now + seconds)
        if self._lua.kept_until() <= self._now:
            self._lua.forget()
            self._decided.forget()

    def _take(self, *, owner: str, limit: int | None, full: Any, **how: Any) -> None:
        if self._decided.is_past(owner):
            return
        repeated = owner in self._taken
        self._taken.add(owner)
        message: str | None = how.pop("message")
        admission = Admission(max_waiting=limit, when_full=full, message_id=message, **how)
        self._learn(owner, self._both("take", owner, admission, repeated=repeated))

    def _redeem(
        self, *, which: int, shows: str, owner: str, message: str | None, **how: Any
    ) -> None:
        if self._decided.is_past(f"{owner}r"):
            return
        old = self._tickets[which]
        issued = IssuedTicket(old.number, {"its own": old.owner, "none": ""}.get(shows, shows))
        admission = Admission(message_id=message, **how)
        self._learn(f"{owner}r", self._both("redeem", issued, f"{owner}r", admission))

    def _park(self, *, which: int, shows: str, lifetime: float) -> None:
        old = self._tickets[which]
        issued = IssuedTicket(old.number, {"its own": old.owner, "none": ""}.get(shows, shows))
        self._both("park", old, issued, lifetime)

    def _absorb(self, *, which: int, most: int) -> None:
        holder = (self._decided.state() or LineState()).serving
        serves = [ticket for ticket in self._tickets if ticket.number == holder]
        # Mostly the holder asks; whoever else does is told where it stands.
        shown = serves[-1] if serves and which % 8 else self._tickets[which]
        self._lua.at(self._now, self._decided.highest_token)
        assert_same_tickets(self._lua.absorb(shown, most), self._decided.absorb(shown, most))

    def _learn(self, owner: str, status: TicketStatus) -> None:
        if status.state in {State.SERVED, State.WAITING, State.INTERRUPTED}:
            self._tickets.append(Shown(status.number, owner))

    def _leave(self, *, which: int, outcome: str, known: tuple[int, ...] | None = None) -> None:
        self._both("leave", self._tickets[which], outcome, known)

    def _leave_unanswered(self, *, owner: str) -> None:
        self._taken.add(owner)
        self._both("leave", Shown(NOT_ISSUED, owner), "abandoned")

    def _renew(self, *, which: int, lifetime: float) -> None:
        self._both("renew", self._tickets[which], lifetime)

    def _renew_unanswered(self, *, owner: str, lifetime: float) -> None:
        self._both("renew", Shown(NOT_ISSUED, owner), lifetime)

    def _poll(self, *, which: int) -> None:
        self._both("poll", list(dict.fromkeys(self._tickets[which:])))

    def _finish(self, *, which: int, shows: str, keep: bool) -> None:
        old = self._tickets[which]
        issued = IssuedTicket(old.number, {"its own": old.owner, "none": ""}.get(shows, shows))
        self._both("finish", issued, OURS, keep=keep)

    def _save(self, *, seen_below: int, lefts: dict[int, float]) -> None:
        state = self._decided.state() or LineState()
        last = max(0, state.next - 3)
        shown = {last + number: left for number, left in lefts.items()}
        self._both("save", shown, last + seen_below)

    def _line(self) -> None:
        self._lua.at(self._now, self._decided.highest_token)
        assert_same_tickets(self._lua.line(), self._decided.line())
        self._both("holder")

    def _release(self, *, which: int, reason: str) -> None:
        self._both("release", self._tickets[which], reason)

    def _delete(self) -> None:
        self._both("delete")


@pytest.fixture(params=[load_script, scripts.without_quick_steps])
def lua(request: pytest.FixtureRequest, server: RedisServer) -> Iterator[LuaLine]:
    script: Callable[[], Script] = request.param
    with contextlib.closing(server.client()) as client:
        line = LuaLine(client, scripts.on_our_clock(script()), LATE)
        with contextlib.closing(line):
            yield line
        line.forget_all()


@settings(
    max_examples=300,
    deadline=None,  # a busy machine is no failure
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps)
def test_lua_decides_the_same(lua: LuaLine, steps: list[Step]) -> None:
    play(lua, steps)


@pytest.mark.parametrize("history", HISTORIES)
def test_lua_decides_the_same_where_it_once_did_not(lua: LuaLine, history: str) -> None:
    play(lua, HISTORIES[history])


def play(lua: LuaLine, steps: list[Step]) -> None:
    lua.forget_all()
    lua.mail()
    with contextlib.closing(DecidedLine(LATE)) as decided:
        both = Play(lua, decided)
        for step in steps:
            both.step(**step)
