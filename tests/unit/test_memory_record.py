"""What a record in memory keeps, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nowserving._host.identity import Owners
from nowserving.protocol.status import Admission, State
from nowserving.stores import _lines
from nowserving.stores._lines import Tokens
from nowserving.stores.memory import MemoryQueue, queue
from nowserving.stores.memory.record import Record
from nowserving.stores.memory.ticket import MemoryTicket

if TYPE_CHECKING:
    from nowserving.protocol.status import Outcome


def handle(record: Record, owners: Owners, message_id: str, lifetime: float, now: float) -> None:
    ticket = MemoryTicket("c", owners)
    admission = Admission(lifetime=lifetime, message_id=message_id)
    status = _lines.take(record, ticket, admission, now)
    assert status.state is State.SERVED
    _lines.leave(record, ticket, "done", now)


def test_messages_of_a_short_lifetime_do_not_pile_up_behind_one_of_a_long_one() -> None:
    record, owners = Record(Tokens()), Owners()
    handle(record, owners, "long", 3600.0, now=0.0)
    for moment in range(1000):
        handle(record, owners, f"m{moment}", 2.0, now=float(moment))
    assert len(record._messages) == len(record._remembered) <= 4
    assert "long" in record._messages


def test_a_message_that_came_again_is_remembered_for_as_long_as_the_last_time() -> None:
    record, owners = Record(Tokens()), Owners()
    handle(record, owners, "m", 2.0, now=0.0)
    handle(record, owners, "m", 2.0, now=2.0)
    ticket, admission = MemoryTicket("c", owners), Admission(lifetime=2.0, message_id="m")
    refused = _lines.take(record, ticket, admission, now=3.9)
    assert (refused.state, refused.detail) == (State.DUPLICATE, "done")
    handle(record, owners, "m", 2.0, now=4.0)


def look_of(record: Record, *tickets: MemoryTicket) -> list[object]:
    """Return all that a record and tickets say of themselves."""
    numbers = sorted(record.tickets)
    fields = [
        getattr(record, name) for name in Record.__slots__ if name not in {"tickets", "tokens"}
    ]
    names = ["number", "expires", "lifetime", "claimed", "renewed", "served_at", "interrupted"]
    return [numbers, *fields, *(getattr(ticket, name) for ticket in tickets for name in names)]


@pytest.mark.parametrize("outcome", ["done", "failed", "abandoned"])
@pytest.mark.parametrize("claimed", [True, False])
@pytest.mark.parametrize("renewed", [True, False])
@pytest.mark.parametrize("left_at", [101.0, 103.0])
def test_the_steps_of_one_who_is_alone_decide_as_any_do(
    outcome: Outcome, *, claimed: bool, renewed: bool, left_at: float
) -> None:
    admission = Admission(lifetime=2.0, claimed=claimed, renewed=renewed)
    owners = Owners()
    one, other = (Record(Tokens(lambda: 5_000_000_000)) for _ in range(2))
    quick, slow = MemoryTicket("c", owners), MemoryTicket("c", owners)
    status = one.take_alone(quick, admission, 100.0)
    assert status == _lines.take(other, slow, admission, 100.0)
    assert look_of(one, quick) == look_of(other, slow)
    departure = _lines.leave(other, slow, outcome, left_at)
    assert departure[:2] == (left_at < quick.expires, False)
    if one.leave_alone(quick, outcome, left_at):
        assert look_of(one) == look_of(other)
    else:
        assert left_at >= quick.expires


def test_a_ticket_that_nobody_redeems_keeps_its_record_no_longer_than_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr(queue, "monotonic", lambda: now)
    memory = MemoryQueue()
    issued = Admission(lifetime=50.0, claimed=False)
    for index in range(100):
        memory.take_now(memory.handle(f"issued {index}", "secret"), issued)
    now += 65.0
    for index in range(10):
        turn = memory.handle(f"turn {index}")
        memory.take_now(turn, Admission(lifetime=1.0))
        memory.leave_now(turn, "done")
    now += 65.0
    for _ in range(20):
        turn = memory.handle("turn")
        memory.take_now(turn, Admission(lifetime=1.0))
        memory.leave_now(turn, "done")
    assert list(memory._records) == ["turn"]


def test_the_first_waiter_is_told_once_whose_end_it_waits_for() -> None:
    record, owners = Record(Tokens()), Owners()
    tickets = [MemoryTicket("c", owners) for _ in range(5)]
    told = []

    def step(now: float) -> None:
        record.mail.clear()
        record.tell_first_waiter(now)
        told.append([ticket.number for ticket, _ in record.mail])

    for ticket in tickets:
        _lines.take(record, ticket, Admission(lifetime=9.0), 1.0)
        if len(record.tickets) > 1:
            step(1.0)
    _lines.leave(record, tickets[2], "abandoned", 2.0)
    step(2.0)
    _lines.leave(record, tickets[1], "abandoned", 2.0)
    step(2.0)
    _lines.leave(record, tickets[0], "done", 2.0)
    step(2.0)
    assert told == [[1], [], [], [], [], [3], [4]]


def test_a_line_that_begins_anew_has_its_first_waiter_told_anew() -> None:
    record, owners = Record(Tokens()), Owners()
    for _ in range(2):
        for number in range(2):
            ticket = MemoryTicket("c", owners)
            assert _lines.take(record, ticket, Admission(lifetime=9.0), 1.0).number == number
        record.mail.clear()
        record.tell_first_waiter(1.0)
        assert [ticket.number for ticket, _ in record.mail] == [1]
        _lines.delete(record, 1.0)


def test_a_picture_may_leave_gaps_of_any_size() -> None:
    record, owners = Record(Tokens()), Owners()
    lefts = dict.fromkeys((10**12, 10**15, 10**15 + 1), 9.0)
    _lines.save(record, lefts, 0, lambda: MemoryTicket("c", owners, ""), 1.0)
    assert record.serving == 10**12
    record.tell_first_waiter(1.0)
    line = _lines.picture(record, 2.0)
    assert line is not None
    assert [ticket.number for ticket in line.tickets] == list(lefts)
    _lines.save(record, {10**15 + 1: 9.0}, 10**15 + 1, lambda: MemoryTicket("c", owners), 2.0)
    assert record.serving == 10**15 + 1
