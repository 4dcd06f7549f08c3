from __future__ import annotations

import pickle

import pytest

from nowserving import errors
from nowserving.protocol.refusals import REFUSALS, refusal
from nowserving.protocol.status import State, TicketStatus

_CHILDREN = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.LockError)
]


@pytest.mark.parametrize("kind", _CHILDREN)
def test_every_lock_error_travels_between_processes(kind: type[errors.LockError]) -> None:
    error = kind("what happened", conversation_id="c", number=3, position=2, waited=1.5)
    error.__dict__.update(state="done", holder="h", held_since=2.0, key="k")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - made in the line before
    assert type(copy) is kind
    assert str(copy) == copy.message == "what happened"
    assert copy.__dict__ == error.__dict__


def test_a_configuration_error_is_a_value_error_too() -> None:
    assert issubclass(errors.ConfigurationError, (errors.RasaException, ValueError))


@pytest.mark.parametrize(("state", "kind"), REFUSALS.items())
def test_every_final_standing_has_an_error(state: State, kind: type[errors.LockError]) -> None:
    error = refusal(kind, "a name", TicketStatus(state, 4), message_id="m", waited=0.5)
    assert type(error) is kind
    assert str(error).startswith("Could not acquire lock for conversation_id 'a name'")
    assert (error.conversation_id, error.number, error.waited) == ("a name", 4, 0.5)


def test_busy_says_who_is_served_since_when() -> None:
    status = TicketStatus(State.BUSY, ahead=3, detail="somebody", since=5.0)
    error = refusal(errors.LockBusy, "c", status)
    assert isinstance(error, errors.LockBusy)
    assert (error.holder, error.position, error.number) == ("somebody", 3, None)
    assert error.held_since is not None
    assert "3 in line, somebody is served for 5 s" in str(error)


@pytest.mark.parametrize("nobody", ["", "-"])
def test_busy_with_a_ticket_of_nobody(nobody: str) -> None:
    error = refusal(errors.LockBusy, "c", TicketStatus(State.BUSY, ahead=1, detail=nobody))
    assert "a ticket that nobody has redeemed is served" in str(error)


def test_a_duplicate_says_how_far_the_message_is() -> None:
    status = TicketStatus(State.DUPLICATE, detail="working")
    error = refusal(errors.DuplicateMessage, "c", status, message_id="m 1")
    assert isinstance(error, errors.DuplicateMessage)
    assert error.state == "working"
    assert "'m 1' is working" in str(error)


def test_a_timeout_says_position_and_wait() -> None:
    status = TicketStatus(State.WAITING, 7, ahead=2)
    error = refusal(errors.LockTimeout, "c", status, waited=1.25)
    assert (error.position, error.waited, error.number) == (2, 1.25, 7)
    assert "2 ahead" in str(error)
    assert "1.25 s" in str(error)
