"""The judge itself: what it must find, and what it must not take for a violation."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from nowserving.verify.check import check
from nowserving.verify.turns import TurnRecord

if TYPE_CHECKING:
    from tests.verify.conftest import MakeTurn


def test_turns_one_after_another_are_fine(turn: MakeTurn) -> None:
    findings = check([turn(1, 10, 20), turn(0, 0, 10)], messages=2, locked=True)
    assert not findings.violated


def test_a_turn_inside_another_overlaps_and_is_counted_once(turn: MakeTurn) -> None:
    records = [turn(0, 0, 30), turn(1, 5, 40), turn(2, 8, 50), turn(3, 50, 60)]
    assert check(records, messages=4, locked=True).overlaps == {1, 2}


def test_turns_of_different_conversations_never_overlap(turn: MakeTurn) -> None:
    records = [turn(0, 0, 30), turn(1, 5, 40, conversation_id="d")]
    assert not check(records, messages=2, locked=True).violated


def test_a_turn_served_after_a_higher_token_is_out_of_order(turn: MakeTurn) -> None:
    records = [turn(0, 0, 1, token=5), turn(1, 2, 3, token=7), turn(2, 4, 5, token=6)]
    assert check(records, messages=3, locked=True).out_of_order == {2}


def test_a_token_that_is_issued_twice_is_out_of_order(turn: MakeTurn) -> None:
    records = [turn(0, 0, 1, token=5), turn(1, 2, 3, token=5)]
    assert check(records, messages=2, locked=True).out_of_order == {1}


def test_a_turn_without_a_token_proves_no_order(turn: MakeTurn) -> None:
    unproven = TurnRecord(1, "c", 1, fired=2, entered=2, left=3)
    assert check([turn(0, 0, 1), unproven], messages=2, locked=True).out_of_order == {1}


def test_numbers_may_start_again_after_an_idle_gap(turn: MakeTurn) -> None:
    records = [turn(0, 0, 1, number=8), turn(1, 2, 3, fired=1, number=0)]
    assert not check(records, messages=2, locked=True).violated


def test_numbers_must_rise_while_the_conversation_is_busy(turn: MakeTurn) -> None:
    records = [turn(0, 0, 10, number=8), turn(1, 12, 13, fired=9, number=0)]
    assert check(records, messages=2, locked=True).out_of_order == {1}


def test_one_worker_is_served_in_the_order_in_which_it_asked(turn: MakeTurn) -> None:
    records = [turn(0, 5, 6, fired=1, worker=3), turn(1, 7, 8, fired=0, worker=3)]
    assert check(records, messages=2, locked=True).out_of_order == {1}


def test_two_workers_may_reach_the_store_in_either_order(turn: MakeTurn) -> None:
    records = [turn(0, 5, 6, fired=1, worker=3), turn(1, 7, 8, fired=0, worker=4)]
    assert not check(records, messages=2, locked=True).violated


def test_without_a_lock_a_message_handled_before_an_earlier_one_was_is_out_of_order(
    turn: MakeTurn,
) -> None:
    begun_late = [turn(0, 5, 20, fired=0), turn(1, 1, 3)]
    ended_late = [turn(0, 0, 20), turn(1, 1, 3)]
    for records in (begun_late, ended_late):
        assert check(records, messages=2, locked=False).out_of_order == {0}


def test_without_a_lock_tokens_do_not_matter(turn: MakeTurn) -> None:
    records = [turn(0, 0, 1, token=9), turn(1, 1, 2, token=3)]
    assert not check(records, messages=2, locked=False).violated


def test_failed_unfinished_and_unheard_messages_are_lost(turn: MakeTurn) -> None:
    records = [
        turn(0, 0, 1),
        turn(1, 2, 3, error="LockLost: …"),
        TurnRecord(2, "c", 0, fired=4, error="LockError: …"),
    ]
    findings = check(records, messages=4, locked=True)
    assert findings.lost == {1, 2, 3}
    assert findings.violated


def test_a_failed_turn_still_overlaps(turn: MakeTurn) -> None:
    records = [turn(0, 0, 30, error="LockLost: …"), turn(1, 5, 40)]
    assert check(records, messages=2, locked=True).overlaps == {1}


intervals = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 15)), max_size=12)


@given(intervals)
def test_overlaps_agree_with_looking_at_every_pair(drawn: list[tuple[int, int]]) -> None:
    records = [
        TurnRecord(index, "c", 0, fired=entered, entered=entered, left=entered + length)
        for index, (entered, length) in enumerate(drawn)
    ]
    expected = {
        later
        for later, (began, _) in enumerate(drawn)
        for earlier, (start, length) in enumerate(drawn)
        if (start, earlier) < (began, later) and began < start + length
    }
    assert check(records, messages=len(drawn), locked=False).overlaps == expected


def test_a_message_is_answered_by_the_turn_that_took_its_place(turn: MakeTurn) -> None:
    superseded = TurnRecord(0, "c", 0, fired=0, superseded=True)
    winner = dataclasses.replace(turn(1, 2, 3), answers=(0,))
    assert not check([superseded, winner], messages=2, locked=True).violated


def test_a_message_for_which_nobody_answers_is_lost(turn: MakeTurn) -> None:
    superseded = TurnRecord(0, "c", 0, fired=0, superseded=True)
    assert check([superseded, turn(1, 2, 3)], messages=2, locked=True).lost == {0}
    failed = dataclasses.replace(turn(1, 2, 3), answers=(0,), error="it failed")
    assert check([superseded, failed], messages=2, locked=True).lost == {0, 1}


def test_a_message_that_two_turns_answer_for_is_found(turn: MakeTurn) -> None:
    records = [turn(0, 0, 1), dataclasses.replace(turn(1, 2, 3), answers=(0,))]
    findings = check(records, messages=2, locked=True)
    assert findings.twice == {0}
    assert findings.violated
