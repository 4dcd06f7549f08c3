"""The law of a lease: it never ends later than its question was sent plus what the answer said.

A small store is played here: a ticket that waits, is served, is renewed, and dies when its time is
over. Questions are sent, answered and read at moments of their own, in any order; a push is read at
any time, or never. Whatever is read when, the lease must not outlive the ticket.
"""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from nowserving._config.options import Options
from nowserving._life.life import Life, TellWait, Wake
from nowserving.protocol.handle import TicketHandle
from nowserving.protocol.status import LineUpdate, State, TicketStatus

LIFETIME = 10.0


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


def life_of(*, renewed: bool) -> Life:
    handle = TicketHandle("c", "me.1")
    handle.number = 3
    request = Options(auto_renew=renewed).request(LIFETIME, 1.0)
    return Life(handle, request, 0.0)


def play(story: Story, *, renewed: bool) -> None:
    ticket, life = Ticket(story, renewed=renewed), life_of(renewed=renewed)
    reads: list[tuple[float, Asked | None]] = [(asked.read, asked) for asked in story.questions[1:]]
    pushed = ticket.served + story.push_read
    if ticket.served < ticket.dies:
        reads.append((pushed, None))
    take = story.questions[0]
    life.confirm(take.sent, ticket.status(take.answered))
    assert life.ends_at <= ticket.dies
    for moment, asked in sorted(reads, key=lambda read: read[0]):
        if moment < take.read:
            continue  # nobody reads news of a ticket whose take is not answered
        if asked is None:
            if life.served is None:
                life.trust_push(ticket.status(ticket.served), moment)
        else:
            tell(life, asked, ticket.status(asked.answered), moment)
        assert life.ends_at <= ticket.dies + 1e-9, (moment, asked)


def tell(life: Life, asked: Asked, status: TicketStatus, now: float) -> None:
    if status.state is State.GONE:
        return
    if asked.how == "l":
        waits = status.state is State.WAITING
        news = {} if waits else {life.handle.owner: status}
        for effect in life.seen(LineUpdate(0, 1.0, news), asked.sent):
            if isinstance(effect, Wake):
                life.trust_push(effect.news, now)  # the turn can't tell who has rung
    elif asked.how == "s":
        life.wait_on(asked.sent, status)
    elif asked.how == "r":
        life.confirm_renewal(asked.sent, status)
    else:
        life.confirm(asked.sent, status)
    if status.state is State.SERVED and life.served is None:
        life.begin(status, asked.read)


@settings(max_examples=1000)
@given(stories("ls"))
def test_no_order_of_answers_and_pushes_makes_a_lease_outlive_its_ticket(story: Story) -> None:
    play(story, renewed=False)


@settings(max_examples=1000)
@given(stories("lsr"))
def test_nor_does_one_with_renewals(story: Story) -> None:
    play(story, renewed=True)


def test_a_poll_that_finds_it_served_counts_by_what_it_says() -> None:
    """The push was lost: the turn began before the poll, nobody knows when."""
    life = life_of(renewed=False)
    life.confirm(0.0, TicketStatus(State.WAITING, 3, 1, 9.9, 5.0))
    served = TicketStatus(State.SERVED, 3, 0, 4.0, 4.0)
    assert life.seen(LineUpdate(3, 0.0, {"me.1": served}), 8.0) == (Wake(served),)
    assert life.ends_at == 12.0
    # A push that is late, or what the poll has rung:
    life.trust_push(TicketStatus(State.SERVED, 3, 0, 10.0, 10.0), 9.0)
    assert life.ends_at == 12.0


def test_a_push_counts_from_the_last_question_that_found_it_waiting() -> None:
    life = life_of(renewed=False)
    life.confirm(0.0, TicketStatus(State.WAITING, 3, 2, 9.9, 5.0))
    assert life.seen(LineUpdate(1, 5.0, {}), 8.0) == (TellWait(2),)
    life.trust_push(TicketStatus(State.SERVED, 3, 0, 10.0, 10.0), 9.0)
    assert life.ends_at == 18.0


def test_a_push_gives_a_renewed_ticket_nothing() -> None:
    life = life_of(renewed=True)
    life.confirm(0.0, TicketStatus(State.WAITING, 3, 2, 9.9, 5.0))
    life.seen(LineUpdate(1, 5.0, {}), 8.0)
    life.trust_push(TicketStatus(State.SERVED, 3, 0, 10.0, 10.0), 9.0)
    assert life.ends_at == 9.9


def test_a_turn_does_not_begin_on_a_push_that_leaves_too_little() -> None:
    life = life_of(renewed=True)
    life.confirm(0.0, TicketStatus(State.WAITING, 3, 2, 10.0, 5.0))
    served = TicketStatus(State.SERVED, 3, 0, 10.0, 10.0)
    assert life.trust_push(served, 4.0)
    assert not life.trust_push(served, 6.0)
    assert life.trust_push(TicketStatus(State.SUPERSEDED, 3), 6.0)


def test_the_answer_to_an_older_question_changes_nothing() -> None:
    life = life_of(renewed=True)
    life.confirm(2.0, TicketStatus(State.SERVED, 3, 0, 10.0, 10.0))
    life.confirm(1.0, TicketStatus(State.SERVED, 3, 0, 30.0, 30.0))
    assert life.ends_at == 12.0
    life.confirm_renewal(1.5, TicketStatus(State.SERVED, 3, 0, 40.0, 40.0))
    assert life.ends_at == 12.0
    life.confirm_renewal(3.0, TicketStatus(State.SERVED, 3, 0, 5.0, 5.0))
    assert life.ends_at == 8.0
    life.confirm_renewal(2.5, TicketStatus(State.SERVED, 3, 0, 50.0, 50.0))
    assert life.ends_at == 8.0
