"""What a verb costs in rows does not grow with the line: no verb reads one that need not."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from nowserving.protocol.status import Admission, IssuedTicket
from nowserving.stores import _lines
from tests.toys.rows import Rows, RowTicket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.toys.rows import RowLine

FEW, MANY = 20, 3_000
NOW = 1000.0
LIVES = Admission(lifetime=60.0)


class Shown(NamedTuple):
    number: int
    owner: str


def newcomer(**how: object) -> tuple[RowTicket, Admission]:
    return RowTicket(owner="new.1"), Admission(lifetime=60.0, **how)  # type: ignore[arg-type]


VERBS: dict[str, Callable[[RowLine], object]] = {
    "take": lambda line: _lines.take(line, *newcomer(), NOW),
    "take a message": lambda line: _lines.take(line, *newcomer(message_id="m"), NOW),
    "take up to a limit": lambda line: _lines.take(line, *newcomer(max_waiting=5), NOW),
    "repeat a take": lambda line: _lines.attempt_take(line, *newcomer(), NOW, repeated=True),
    "redeem": lambda line: _lines.redeem(line, IssuedTicket(7, "o.7"), *newcomer(), NOW),
    "hand off": lambda line: _lines.leave(line, Shown(0, "o.0"), "done", NOW),
    "leave while waiting": lambda line: _lines.leave(line, Shown(9, "o.9"), "abandoned", NOW),
    "leave by owner": lambda line: _lines.attempt_leave(line, Shown(-1, "o.9"), "done", NOW),
    "renew": lambda line: _lines.renew(line, Shown(9, "o.9"), 60.0, NOW),
    "poll": lambda line: _lines.poll(line, [Shown(n, f"o.{n}") for n in range(5)], NOW),
    "finish": lambda line: _lines.finish(line, IssuedTicket(0, "o.0"), "", NOW, keep=False),
}


@pytest.fixture
def rows() -> Iterator[Rows]:
    rows = Rows(_lines.Tokens())
    yield rows
    rows.close()


def cost(rows: Rows, waiters: int, verb: Callable[[RowLine], object]) -> int:
    """Return how many instructions of SQLite a verb takes, in a line of so many."""
    with rows.step(f"{waiters}", create=True) as line:
        assert line is not None
        for number in range(waiters):
            how = Admission(lifetime=60.0, message_id=f"m.{number}", claimed=number != 7)
            _lines.take(line, RowTicket(owner=f"o.{number}"), how, NOW)
    with rows.counting() as count, rows.step(f"{waiters}") as line:
        assert line is not None
        verb(line)
    return count()


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb(rows: Rows, verb: str) -> None:
    few, many = cost(rows, FEW, VERBS[verb]), cost(rows, MANY, VERBS[verb])
    assert many < few * 1.2 + 50


def test_many_leave_in_a_few_statements(rows: Rows) -> None:
    for verb in (
        lambda line: _lines.take(line, *newcomer(when_busy="latest"), NOW),
        lambda line: _lines.delete(line, NOW),
        lambda line: _lines.leave(line, Shown(0, "o.0"), "done", NOW + 61.0),
    ):
        with rows.step("c", create=True) as line:
            assert line is not None
            _lines.delete(line, NOW)
            for number in range(MANY):
                _lines.take(line, RowTicket(owner=f"o.{number}"), LIVES, NOW)
        with rows.step("c") as line:
            verb(line)
        assert rows.statements < 20
