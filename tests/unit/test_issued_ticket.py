from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nowserving import IssuedTicket


@given(st.integers(0, 2**53), st.text("abcXYZ019_-.", max_size=20))
def test_it_travels(number: int, secret: str) -> None:
    ticket = IssuedTicket(number, secret)
    for copied in (
        pickle.loads(pickle.dumps(ticket)),  # noqa: S301 - made in this line
        copy.copy(ticket),
        copy.deepcopy(ticket),
        IssuedTicket.parse(str(ticket)),
        IssuedTicket.parse(ticket),
    ):
        assert type(copied) is IssuedTicket
        assert (int(copied), copied.secret) == (number, secret)


@pytest.mark.parametrize("secret", ["\ud800", "é", "a b", "a\n", "٣"])
def test_a_secret_that_nobody_drew_is_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(ValueError, match=r"ticket='7\.…' is not a ticket") as refused:
        IssuedTicket.parse(f"7.{secret}")
    assert secret not in str(refused.value)


def test_it_is_its_number() -> None:
    ticket = IssuedTicket(3, "secret")
    assert ticket == 3
    assert hash(ticket) == hash(3)
    assert ticket + 1 == 4
    assert [10, 11, 12, 13][ticket] == 13
    assert json.dumps({"ticket": ticket}) == '{"ticket": 3}'


def test_its_secret_stays_out_of_logs() -> None:
    ticket = IssuedTicket(3, "secret")
    assert f"{ticket}" == f"{ticket:d}" == repr(ticket) == "%d" % ticket == "3"  # noqa: UP031 - logging's
    assert f"{ticket:05d}" == "00003"
    assert str(ticket) == "3.secret"


@pytest.mark.parametrize(
    ("given_as", "number", "secret"),
    [(3, 3, ""), ("3", 3, ""), ("3.abc", 3, "abc"), ("3.a.b", 3, "a.b"), (0, 0, "")],
)
def test_it_is_read_from_numbers_and_text(given_as: Any, number: int, secret: str) -> None:
    ticket = IssuedTicket.parse(given_as)
    assert (int(ticket), ticket.secret) == (number, secret)


@pytest.mark.parametrize(
    "wrong",
    ["", ".", ".secret", "-1", "-1.secret", "x", "e3", "٣", 1.5, True, None, b"3", -1],
)
def test_what_is_no_ticket_is_named(wrong: Any) -> None:
    with pytest.raises(ValueError, match="is not a ticket") as error:
        IssuedTicket.parse(wrong)
    shown = wrong.replace("secret", "…") if isinstance(wrong, str) else wrong
    assert repr(shown) in str(error.value)
