from __future__ import annotations

import json
import time
from collections import deque

import pytest

from nowserving import NO_TICKET_ISSUED, Ticket, TicketLock


def _future(seconds: float = 60.0) -> float:
    return time.time() + seconds


_PAST = 1.0


def test_a_ticket_as_json() -> None:
    ticket = Ticket(3, 12.5)
    assert ticket.as_dict() == {"number": 3, "expires": 12.5}
    assert json.loads(ticket.dumps()) == ticket.as_dict()
    assert Ticket.from_dict(json.loads(ticket.dumps())) == ticket
    assert ticket != Ticket(3, 13)
    assert ticket != (3, 12.5)
    assert repr(ticket) == "Ticket(number=3, expires=12.5)"


@pytest.mark.parametrize("data", [{}, {"number": 1}, {"expires": 1.0}])
def test_a_ticket_without_its_facts(data: dict[str, float]) -> None:
    with pytest.raises(KeyError):
        Ticket.from_dict(data)


def test_a_ticket_expires() -> None:
    assert Ticket(0, _PAST).has_expired()
    assert not Ticket(0, _future()).has_expired()


def test_a_ticket_can_be_given_more_time() -> None:
    ticket = Ticket(0, _PAST)
    ticket.expires = _future()
    assert not ticket.has_expired()


def test_a_lock_as_json_is_the_references() -> None:
    expires = _future()
    lock = TicketLock("a ü 🦄", deque([Ticket(1, expires), Ticket(2, expires)]))
    data = json.loads(lock.dumps())
    assert data == {
        "conversation_id": "a ü 🦄",
        "tickets": [
            json.dumps({"number": 1, "expires": expires}),
            json.dumps({"number": 2, "expires": expires}),
        ],
    }
    copy = TicketLock.from_dict(data)
    assert copy.conversation_id == lock.conversation_id
    assert copy.tickets == lock.tickets
    assert isinstance(copy.tickets, deque)


@pytest.mark.parametrize("tickets", [{}, {"tickets": None}, {"tickets": []}])
def test_a_lock_without_tickets_as_json(tickets: dict[str, None]) -> None:
    lock = TicketLock.from_dict({"conversation_id": "c", **tickets})
    assert list(lock.tickets) == []


def test_an_empty_lock() -> None:
    lock = TicketLock("c")
    assert lock.last_issued == NO_TICKET_ISSUED == -1
    assert lock.now_serving == 0
    assert not lock.is_someone_waiting()
    assert not lock.is_locked(0)
    assert lock.is_locked(1)
    assert lock.has_lock_expired(0)
    lock.remove_ticket_for(0)
    lock.remove_expired_tickets()
    assert "'c'" in repr(lock)


def test_tickets_are_issued_one_above_the_last() -> None:
    lock = TicketLock("c")
    assert [lock.issue_ticket(60), lock.issue_ticket(60)] == [0, 1]
    assert TicketLock("c", deque([Ticket(7, _future())])).issue_ticket(60) == 8
    assert lock.tickets[0].expires == pytest.approx(_future(), abs=2.0)


def test_expired_tickets_count_for_nothing() -> None:
    lock = TicketLock("c", deque([Ticket(0, _PAST), Ticket(1, _future()), Ticket(2, _PAST)]))
    assert lock.now_serving == 1
    assert lock.last_issued == 1
    assert [ticket.number for ticket in lock.tickets] == [1]
    lock = TicketLock("c", deque([Ticket(5, _PAST)]))
    assert lock.issue_ticket(60) == 0
    assert not TicketLock("c", deque([Ticket(5, _PAST)])).is_someone_waiting()


def test_whoever_holds_the_tickets_sees_what_happens_to_them() -> None:
    tickets = deque([Ticket(0, _PAST), Ticket(1, _future())])
    lock = TicketLock("c", tickets)
    assert lock.tickets is tickets
    lock.remove_expired_tickets()
    assert len(tickets) == 1


def test_the_first_ticket_is_served() -> None:
    lock = TicketLock("c", deque([Ticket(3, _future()), Ticket(4, _future())]))
    assert not lock.is_locked(3)
    assert lock.is_locked(4)
    assert lock.is_someone_waiting()
    assert not lock.has_lock_expired(3)
    assert lock.has_lock_expired(5)


def test_a_ticket_is_removed_by_its_number() -> None:
    lock = TicketLock("c", [Ticket(3, _future()), Ticket(4, _future())])
    lock.remove_ticket_for(3)
    lock.remove_ticket_for(99)
    assert [ticket.number for ticket in lock.tickets] == [4]
