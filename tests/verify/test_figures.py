"""Longest line, hand-off, wait, throughput."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nowserving.verify.figures import Spread, measure, percentile

if TYPE_CHECKING:
    from tests.verify.conftest import MakeTurn

SECOND = 1_000_000_000


def test_the_longest_line_counts_the_holder_and_its_waiters(turn: MakeTurn) -> None:
    records = [turn(0, 0, 10), turn(1, 10, 20, fired=1), turn(2, 20, 30, fired=9)]
    assert measure(records).longest_line == 3


def test_who_comes_when_another_leaves_does_not_stand_in_line_with_it(turn: MakeTurn) -> None:
    records = [turn(0, 0, 10), turn(1, 10, 20), turn(2, 0, 20, conversation_id="d")]
    assert measure(records).longest_line == 1


def test_a_hand_off_needs_a_waiter(turn: MakeTurn) -> None:
    records = [
        turn(0, 0, 1 * SECOND),
        turn(1, 3 * SECOND, 4 * SECOND, fired=1),  # waited: handed off in 2 s
        turn(2, 9 * SECOND, 10 * SECOND, fired=8 * SECOND),  # came later: none
    ]
    assert measure(records).hand_off == Spread(count=1, p50=2.0, p99=2.0)


def test_waits_and_throughput(turn: MakeTurn) -> None:
    records = [
        turn(0, 1 * SECOND, 2 * SECOND, fired=0),
        turn(1, 5 * SECOND, 5 * SECOND, fired=2 * SECOND, error="LockLost: …"),
    ]
    figures = measure(records)
    assert figures.wait == Spread(count=2, p50=1.0, p99=3.0)
    assert figures.seconds == pytest.approx(5.0)
    assert figures.throughput == pytest.approx(1 / 5)


def test_nothing_recorded_measures_nothing() -> None:
    figures = measure([])
    assert figures.longest_line == 0
    assert figures.throughput == 0.0
    assert figures.wait == Spread(count=0, p50=None, p99=None)


@pytest.mark.parametrize(("percent", "expected"), [(1, 1), (50, 50), (99, 99), (100, 100)])
def test_percentiles_are_values_that_were_measured(percent: int, expected: int) -> None:
    ranked = [value * SECOND for value in range(1, 101)]
    assert percentile(ranked, percent) == expected
