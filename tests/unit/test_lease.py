"""The law of a lease: it never ends later than its question was sent plus what the answer said.

A small store is played here: a ticket that waits, is served, is renewed, and dies when its time is
over. Questions are sent, answered and read at moments of their own, in any order; a push is read at
any time, or never. Whatever is read when, the lease must not outlive the ticket.
"""

from __future__ import annotations

import contextvars
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from nowserving._turns.lease import Lease
from nowserving._turns.options import Options
from nowserving.protocol.handle import TicketHandle
from nowserving.protocol.status import LineUpdate, State, TicketStatus

LIFETIME = 10.0


class LeaseHost:
    """What a lease needs of its runtime, for leases that are never lost here."""

    pushes = False
    leaving: Any = None

    def tell_expiring(self, lease: Lease) -> None:
        raise AssertionError(lease)


class Asked(NamedTuple):
    """A question: how it is asked, and when it is sent, answered and read."""

    how: str
    sent: float
    answered: float
    read: float


class Story(NamedTuple):
    """What happens to one ticket: all moments are seconds after it was asked for."""

    questions: list[Asked]
    served: float
    push_read: float


moments = st.integers(0, 30).map(float)
delays = st.integers(0, 5).map(float)


@st.composite
def questions(draw: st.DrawFn, ways: str) -> Asked:
    sent, way = draw(moments), draw(delays)
    answered = sent + way
    return Asked(draw(st.sampled_from(ways)), sent, answered, answered + draw(delays))


@st.composite
def stories(draw: st.DrawFn, ways: str) -> Story:
    take = Asked("t", 0.0, way := draw(delays), way + draw(delays))
    others = draw(st.lists(questions(ways), max_size=6))
    later = [asked for asked in others if asked.answered >= take.answered]
    return Story([take, *later], draw(moments), draw(moments))


class Ticket:
    """The ticket in the store, played from its first moment to its last.

    Attributes:
        dies: When it is gone.
    """

    def __init__(self, story: Story, *, renewed: bool) -> None:
        self.story = story
        issued = story.questions[0].answered
        self.served = max(story.served, issued)
        events = [(asked.answered, asked.how) for asked in story.questions[1:]]
        events += [] if renewed else [(self.served, "served")]
        self.expiries = [(issued, issued + LIFETIME)]
        for moment, what in sorted(events):
            if moment >= self.expiries[-1][1]:
                break  # gone: nothing brings it back
            if what in {"r", "served"}:
                self.expiries.append((moment, moment + LIFETIME))
        self.dies = self.expiries[-1][1]

    def status(self, moment: float) -> TicketStatus:
        if moment >= self.dies:
            return TicketStatus(State.GONE, 3)
        expires = [end for since, end in self.expiries if since <= moment][-1]
        left = expires - moment
        if moment < self.served:
            return TicketStatus(State.WAITING, 3, 1, left, 1.0)
        return TicketStatus(State.SERVED, 3, 0, left, left, token=1)


def lease_of(*, renewed: bool) -> Lease:
    handle = TicketHandle("c", "me.1")
    handle.number = 3
    request = Options(auto_renew=renewed).request(LIFETIME, 1.0)
    return Lease(LeaseHost(), handle, request, "key", None, None, 0.0)


def play(story: Story, *, renewed: bool) -> None:
    ticket, lease = Ticket(story, renewed=renewed), lease_of(renewed=renewed)
    reads: list[tuple[float, Asked | None]] = [(asked.read, asked) for asked in story.questions[1:]]
    pushed = ticket.served + story.push_read
    if ticket.served < ticket.dies:
        reads.append((pushed, None))
    take = story.questions[0]
    lease.answered(take.sent, ticket.status(take.answered))
    assert lease.ends_at <= ticket.dies
    for moment, asked in sorted(reads, key=lambda read: read[0]):
        if moment < take.read:
            continue  # nobody reads news of a ticket whose take is not answered
        if asked is None:
            if lease.served is None:
                lease.pushed(ticket.status(ticket.served))
        else:
            tell(lease, asked, ticket.status(asked.answered))
        assert lease.ends_at <= ticket.dies + 1e-9, (moment, asked)


def tell(lease: Lease, asked: Asked, status: TicketStatus) -> None:
    if status.state is State.GONE:
        return
    if asked.how == "l":
        waits = status.state is State.WAITING
        news = {} if waits else {lease.handle.owner: status}
        lease.seen(LineUpdate(0, 1.0, news), asked.sent)
        rung = lease.handle.take_news()
        if rung is not None and lease.served is None:
            lease.pushed(rung)  # the turn can't tell who has rung
    elif asked.how == "s":
        lease.wait_on(status, asked.sent)
    else:
        lease.answered(asked.sent, status)
    if status.state is State.SERVED and lease.served is None:
        lease.begin(status, asked.read)


@settings(max_examples=1000)
@given(stories("ls"))
def test_no_order_of_answers_and_pushes_makes_a_lease_outlive_its_ticket(story: Story) -> None:
    play(story, renewed=False)


@settings(max_examples=1000)
@given(stories("lsr"))
def test_nor_does_one_with_renewals(story: Story) -> None:
    play(story, renewed=True)


def test_a_look_that_finds_it_served_counts_by_what_it_says() -> None:
    """The push was lost: the turn began before the look, nobody knows when."""
    lease = lease_of(renewed=False)
    lease.answered(0.0, TicketStatus(State.WAITING, 3, 1, 9.9, 5.0))
    lease.seen(LineUpdate(3, 0.0, {"me.1": TicketStatus(State.SERVED, 3, 0, 4.0, 4.0)}), 8.0)
    assert lease.ends_at == 12.0
    lease.pushed(TicketStatus(State.SERVED, 3, 0, 10.0, 10.0))  # late, or what the look has rung
    assert lease.ends_at == 12.0


def test_a_push_counts_from_the_last_question_that_found_it_waiting() -> None:
    lease = lease_of(renewed=False)
    lease.answered(0.0, TicketStatus(State.WAITING, 3, 2, 9.9, 5.0))
    lease.seen(LineUpdate(1, 5.0, {}), 8.0)
    lease.pushed(TicketStatus(State.SERVED, 3, 0, 10.0, 10.0))
    assert lease.ends_at == 18.0


def test_a_push_gives_a_renewed_ticket_nothing() -> None:
    lease = lease_of(renewed=True)
    lease.answered(0.0, TicketStatus(State.WAITING, 3, 2, 9.9, 5.0))
    lease.seen(LineUpdate(1, 5.0, {}), 8.0)
    lease.pushed(TicketStatus(State.SERVED, 3, 0, 10.0, 10.0))
    assert lease.ends_at == 9.9


def test_what_is_told_of_a_turn_is_told_in_its_context() -> None:
    request_id = contextvars.ContextVar("request_id", default="nobody's")

    def enter() -> Lease:
        request_id.set("a")
        return lease_of(renewed=False)

    lease = contextvars.copy_context().run(enter)
    assert (request_id.get(), lease.in_its_context(request_id.get)) == ("nobody's", "a")
    lease.context = None  # its turn is over
    assert lease.in_its_context(request_id.get) == "nobody's"
