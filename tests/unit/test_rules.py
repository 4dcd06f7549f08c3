from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nowserving._life import rules
from nowserving.errors import (
    DuplicateMessage,
    LockBusy,
    LockError,
    LockSuperseded,
    LockTimeout,
)
from nowserving.protocol.status import State, TicketStatus

_SERVED = TicketStatus(State.SERVED, 3, token=1)
_INTERRUPTED = TicketStatus(State.INTERRUPTED, 3, token=1)
_WAITING = TicketStatus(State.WAITING, 3, ahead=1, expires_in=60, blocked_for=50)


def _decide(
    status: TicketStatus,
    now: float = 100.0,
    *,
    lease_end: float = 160.0,
    deadline: float = math.inf,
    poll_at: float = math.inf,
) -> rules.Decision:
    return rules.decide(status, now, lease_end=lease_end, deadline=deadline, poll_at=poll_at)


@pytest.mark.parametrize("status", [_SERVED, _INTERRUPTED])
def test_who_is_served_enters_while_the_lease_lasts(status: TicketStatus) -> None:
    assert _decide(status) == rules.Enter()
    assert _decide(status, 159.999) == rules.Enter()


@pytest.mark.parametrize("status", [_SERVED, _INTERRUPTED])
@pytest.mark.parametrize("now", [160.0, 500.0])
def test_who_was_paused_past_the_lease_polls_first(status: TicketStatus, now: float) -> None:
    assert _decide(status, now) == rules.Ask()


def test_who_is_served_in_time_enters_although_the_wait_is_over() -> None:
    assert _decide(_SERVED, deadline=50.0) == rules.Enter()


@pytest.mark.parametrize(
    ("state", "error"),
    [
        (State.GONE, LockError),
        (State.SUPERSEDED, LockSuperseded),
        (State.BUSY, LockBusy),
        (State.DUPLICATE, DuplicateMessage),
    ],
)
@pytest.mark.parametrize("now", [100.0, 500.0])
def test_who_has_no_ticket_gives_up(state: State, error: type[LockError], now: float) -> None:
    assert _decide(TicketStatus(state), now, deadline=200.0) == rules.GiveUp(error)


def test_a_wait_that_takes_too_long_ends() -> None:
    assert _decide(_WAITING, 100.0, deadline=100.0) == rules.GiveUp(LockTimeout)
    assert _decide(_WAITING, 99.0, deadline=100.0) == rules.Sleep(1.0)


def test_a_waiter_sleeps_until_something_can_have_changed() -> None:
    assert _decide(_WAITING) == rules.Sleep(60.0)  # its own lease ends
    assert _decide(_WAITING, lease_end=110.0) == rules.Sleep(10.0)
    assert _decide(_WAITING, poll_at=101.0) == rules.Sleep(1.0)
    assert _decide(_WAITING, deadline=103.0) == rules.Sleep(3.0)


def test_a_waiter_polls_when_it_is_time_to() -> None:
    assert _decide(_WAITING, poll_at=100.0) == rules.Ask()
    assert _decide(_WAITING, poll_at=90.0) == rules.Ask()
    assert _decide(_WAITING, lease_end=100.0) == rules.Ask()


@given(
    now=st.floats(0, 1e6),
    lease=st.floats(-10, 100),
    deadline=st.floats(-10, 100) | st.just(math.inf),
    poll=st.floats(-10, 100) | st.just(math.inf),
    blocked=st.floats(-10, 100),
    state=st.sampled_from(State),
)
def test_a_decision_never_waits_in_the_past_nor_for_ever(
    now: float, lease: float, deadline: float, poll: float, blocked: float, state: State
) -> None:
    status = TicketStatus(state, 3, blocked_for=blocked)
    decision = _decide(
        status, now, lease_end=now + lease, deadline=now + deadline, poll_at=now + poll
    )
    if isinstance(decision, rules.Sleep):
        assert 0 <= decision.seconds <= 100
        assert decision.seconds >= rules.SHORTEST_SLEEP
    if isinstance(decision, rules.Enter):
        assert now < now + lease


@given(now=st.floats(0, 1e6), every=st.floats(0, 1e3))
def test_the_next_poll_is_within_one_interval(now: float, every: float) -> None:
    poll = rules.next_poll(now, every)
    every = max(every, rules.SHORTEST_SLEEP)
    assert now < poll + 1e-6
    assert poll <= now + every * 1.001 + 1e-6


def test_polls_of_one_interval_fall_together() -> None:
    assert {rules.next_poll(now, 2.0) for now in (10.0, 10.5, 11.0, 11.99)} == {12.0}
    assert rules.next_poll(12.0, 2.0) == 14.0


@pytest.mark.parametrize(("left", "ample"), [(6.0, True), (5.0, False), (-1.0, False)])
def test_a_turn_does_not_begin_on_the_rest_of_a_lease(left: float, *, ample: bool) -> None:
    assert rules.is_ample(left, 10.0) is ample
