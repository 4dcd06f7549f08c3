"""What a record in memory keeps, and for how long."""

from __future__ import annotations

from nowserving._host.identity import Owners
from nowserving.protocol.status import Admission, State
from nowserving.stores import _lines
from nowserving.stores._lines import Tokens
from nowserving.stores.memory.record import Record
from nowserving.stores.memory.ticket import MemoryTicket


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
