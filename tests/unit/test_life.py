"""A ticket's tables, driven through all orders of events against what must never happen."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from nowserving import LockInterrupted, LockLost
from nowserving._config.options import Options
from nowserving._life import rules
from nowserving._life.body import BODY
from nowserving._life.lease import LEASE
from nowserving._life.life import CancelBody, Effect, GiveBack, Life, TellExpiring, TellLoss, Wake
from nowserving._life.poll import POLL
from nowserving._life.stay import STAY
from nowserving.protocol.handle import TicketHandle
from nowserving.protocol.status import (
    ALIVE,
    EXPIRED,
    RELEASED,
    UNKNOWN,
    LineUpdate,
    State,
    TicketStatus,
)

LIFETIME = 10.0

TABLES: dict[str, tuple[dict[Any, dict[Any, Any]], str, set[str]]] = {
    "stay": (STAY, "asked", {"gone"}),
    "lease": (LEASE, "running", {"lost"}),
    "body": (BODY, "not begun", {"ended"}),
    "poll": (POLL, "unwatched", {"off"}),
}


def status_of(state: State, left: float = LIFETIME, detail: str = "") -> TicketStatus:
    alive = state in ALIVE
    return TicketStatus(
        state, 3, int(state is State.WAITING), left if alive else 0.0, 1.0, 7, detail=detail
    )


@pytest.mark.parametrize("name", TABLES)
def test_every_state_is_reached_and_leads_to_an_end(name: str) -> None:
    table, first, ends = TABLES[name]
    reached, fresh = {first}, [first]
    while fresh:
        new = set(table[fresh.pop()].values()) - reached
        reached |= new
        fresh += new
    assert reached == set(table)
    for state in table:
        seen, front = {state}, [state]
        while front and not seen & ends:
            after = set(table[front.pop()].values()) - seen
            seen |= after
            front += after
        assert seen & ends, f"{name}: {state} never ends"


def life_of(**options: Any) -> Life:
    handle = TicketHandle("c", "me.1")
    handle.number = 3
    return Life(handle, Options(**options).request(LIFETIME, 1.0), 0.0)


@pytest.mark.parametrize("state", BODY)
def test_the_end_of_a_body_is_what_its_table_says(state: Any) -> None:
    life = life_of()
    life.body, life.stay = state, "holding"
    assert life.end_body("done")
    assert life.body == BODY[state].get("end", "ended")
    assert life.stay == STAY["holding"]["ended"]


def test_a_beginning_is_what_the_tables_say() -> None:
    for before in ("asked", "waiting"):
        life = life_of()
        life.stay = before
        life.begin(status_of(State.SERVED), 1.0)
        assert (life.stay, life.body) == (STAY[before]["served"], BODY["not begun"]["begin"])


@pytest.mark.parametrize("state", [state for state in STAY if state != "gone"])
def test_its_end_is_what_the_table_says(state: Any) -> None:
    life = life_of()
    life.stay = state
    life.over()
    assert life.stay == STAY[state]["forked"] == "gone"


def test_whoever_sees_it_hold_from_another_thread_sees_since_when() -> None:
    class Seen(Life):
        def __setattr__(self, name: str, value: object) -> None:
            super().__setattr__(name, value)
            if self.stay == "holding":
                seen.append((self.held_since, self.served))

    seen: list[object] = []
    life = life_of()
    life.__class__ = Seen
    status = status_of(State.SERVED)
    life.begin(status, 1.0)
    assert set(seen) == {(1.0, status)}


class Lives(RuleBasedStateMachine):
    """One ticket; whoever could have to do with it does what it likes, in any order."""

    @initialize(
        renewed=st.booleans(),
        max_hold=st.sampled_from([None, 3.0, 30.0]),
        pushes=st.booleans(),
    )
    def take(self, *, renewed: bool, max_hold: float | None, pushes: bool) -> None:
        self.life = life_of(auto_renew=renewed, max_hold=max_hold)
        self.life.pushes = pushes
        self.now = 0.0
        self.news = status_of(State.WAITING)
        self.outcomes: list[str] = []
        self.cancelled = self.told_expiring = self.told_lost = 0
        self.entered = False

    def do(self, effects: tuple[Effect, ...]) -> None:
        gone = self.life.stay == "gone"
        for effect in effects:
            assert not gone, f"{effect} after the end"
            self.cancelled += isinstance(effect, CancelBody)
            self.told_expiring += isinstance(effect, TellExpiring)
            self.told_lost += isinstance(effect, TellLoss)
            if isinstance(effect, CancelBody):
                assert self.life.body == "stopping"
            if isinstance(effect, GiveBack):
                assert self.life.is_holding()
            if isinstance(effect, Wake):
                assert self.life.served is None
                self.news = effect.news

    # Time

    @rule(seconds=st.sampled_from([0.01, 1.0, 3.0, 11.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    # Its owner

    @precondition(lambda self: not self.entered and self.life.stay in {"asked", "waiting"})
    @rule(state=st.sampled_from(State), late=st.sampled_from([0.0, 2.0, 12.0]))
    def a_question_of_the_owners_is_answered(self, state: State, late: float) -> None:
        asked = max(self.now - late, 0.0)
        self.news = status_of(state)
        if state is State.WAITING:
            self.life.wait_on(asked, self.news)
        elif state in ALIVE:  # after any other one it decides at once, and gives up
            self.life.confirm(asked, self.news)

    @precondition(lambda self: not self.entered and self.life.stay in {"asked", "waiting"})
    @rule(state=st.sampled_from(State))
    def a_push_arrives_while_it_waits(self, state: State) -> None:
        if self.life.trust_push(status_of(state), self.now):
            self.news = status_of(state)

    @precondition(lambda self: not self.entered and self.life.stay in {"asked", "waiting"})
    @rule()
    def it_decides(self) -> None:
        life = self.life
        decision = rules.decide(
            self.news,
            self.now,
            lease_end=life.ends_at,
            deadline=rules.NEVER,
            poll_at=rules.NEVER,
        )
        if isinstance(decision, rules.Sleep):
            # Whoever waits asks again when its lease ends: no wait outlives it unasked.
            assert self.now + decision.seconds <= max(life.ends_at, self.now + 0.005) + 1e-9
        if isinstance(decision, rules.Enter):
            assert self.news.state in {State.SERVED, State.INTERRUPTED}
            assert self.now < life.ends_at
            self.entered = True
            self.do(life.begin(self.news, self.now))
        if isinstance(decision, rules.GiveUp) and life.give_up():
            self.outcomes.append("abandoned")

    @rule(outcome=st.sampled_from(["done", "failed"]))
    def the_body_ends(self, outcome: Any) -> None:
        if self.life.end_body(outcome):
            assert self.entered
            self.outcomes.append(outcome)

    @rule()
    def it_is_given_up(self) -> None:
        if self.life.give_up():
            self.outcomes.append("abandoned")

    @precondition(lambda self: self.life.stay == "leaving")
    @rule(there=st.booleans())
    def the_leave_is_answered(self, *, there: bool) -> None:
        if not there:
            self.do(self.life.lose("its ticket expired"))
        self.life.over()

    @rule()
    def it_is_forked(self) -> None:
        self.life.over()

    # Others

    @rule(state=st.sampled_from(State), asked_before=st.sampled_from([None, 0.0, 2.0]))
    def news_arrives(self, state: State, asked_before: float | None) -> None:
        asked = None if asked_before is None else max(self.now - asked_before, 0.0)
        if self.life.served is not None:
            self.do(self.life.hear(status_of(state), asked))

    @rule(state=st.sampled_from([None, *State]))
    def a_poll_is_answered(self, state: State | None) -> None:
        if self.life.move_poll("ask"):
            news = {} if state is None else {"me.1": status_of(state)}
            update = LineUpdate(2, 1.0, news)
            if self.life.move_poll("answered"):
                self.do(self.life.seen(update, self.now))

    @rule(late=st.sampled_from([0.0, 2.0, 12.0]))
    def a_renewal_is_answered(self, late: float) -> None:
        if self.life.renewed and self.life.needs_renewal(self.now, margin=0.1):
            self.life.confirm_renewal(max(self.now - late, 0.0), status_of(State.SERVED))

    @rule()
    def the_watch_wakes(self) -> None:
        self.do(self.life.tick(self.now))
        self.do(self.life.poll_failed(self.now, "silence"))
        self.life.move_poll("watch")
        moment = self.life.next_poll(self.now)
        assert moment > self.now
        if self.life.lease != "lost" and self.life.is_in_line():
            # It is watched again in time for whatever nobody pushes.
            assert moment <= max(self.life.ends_at, self.now + 0.005) + 1e-9

    @rule()
    def the_store_is_closed(self) -> None:
        if self.life.is_holding():
            self.do(self.life.lose("the store was closed"))

    @rule()
    def the_loop_hears_of_the_loss(self) -> None:
        if self.life.lease == "lost":
            self.do(self.life.stop_body(LockLost))

    # What always holds

    @invariant()
    def one_outcome_and_told_once(self) -> None:
        if not hasattr(self, "life"):
            return
        assert len(self.outcomes) <= 1
        assert self.life.outcome in {None, *self.outcomes}
        assert self.cancelled <= 1
        assert self.told_expiring <= 1
        assert self.told_lost <= 1
        assert self.life.is_lost(self.now) or self.told_lost == 0
        if self.life.stay in {"leaving", "gone"}:
            assert not self.life.is_listening()
            assert self.life.poll == "off"


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=300, stateful_step_count=30, deadline=None)


def test_an_interruption_cancels_the_body_once_and_a_loss_no_second_time() -> None:
    life = life_of(on_lost="cancel")
    life.begin(status_of(State.SERVED), 1.0)
    assert life.hear(status_of(State.INTERRUPTED)) == (CancelBody(LockInterrupted),)
    assert life.hear(status_of(State.INTERRUPTED)) == ()
    assert life.hear(status_of(State.GONE, detail="released")) == (
        TellLoss("its ticket was released by someone else"),
    )
    assert life.stop_body() == ()


def test_nothing_is_told_of_a_turn_whose_body_has_ended() -> None:
    life = life_of()
    life.begin(status_of(State.SERVED), 1.0)
    assert life.end_body("done")
    assert life.hear(status_of(State.INTERRUPTED)) == ()
    assert life.hear(status_of(State.GONE, detail="expired")) == ()
    assert not life.end_body("failed")
    assert life.outcome == "done"


@pytest.mark.parametrize("asked", [None, 2.0, 1000.0])
@pytest.mark.parametrize(
    ("state", "detail", "why"),
    [
        (State.GONE, "expired", EXPIRED),
        (State.GONE, "released", RELEASED),
        (State.GONE, "moved to another line", "moved to another line"),
        (State.GONE, "", UNKNOWN),
        (State.SUPERSEDED, "superseded", EXPIRED),
        (State.ABSORBED, "absorbed", EXPIRED),
    ],
)
def test_why_a_lock_is_lost_is_what_the_store_says(
    state: State, detail: str, why: str, asked: float | None
) -> None:
    """However it was told, and whatever our clock says of the lease."""
    life = life_of()
    life.begin(status_of(State.SERVED), 1.0)
    assert life.hear(status_of(state, detail=detail), asked) == (TellLoss(why),)
