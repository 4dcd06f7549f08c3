"""Who gets which message when, and how long it works."""

from __future__ import annotations

from itertools import islice, pairwise

import pytest

from nowserving.verify.plan import deal, hold_times, make_plan
from nowserving.verify.trace import Message

SECOND = 1_000_000_000


def messages(*arrivals: tuple[float, str], characters: int = 10) -> list[Message]:
    return [Message(seconds, own, "ann", characters) for seconds, own in arrivals]


def test_holds_have_the_mean_that_was_asked_for_and_grow_with_the_text() -> None:
    texts = [Message(0.0, "a", "ann", characters) for characters in (1, 10, 400)]
    holds = hold_times(texts, 0.25)
    assert sum(holds) / 3 == pytest.approx(0.25)
    assert holds == sorted(holds)
    assert holds[0] > 0.25 / 5


def test_empty_texts_take_the_mean() -> None:
    assert hold_times(messages((0.0, "a"), characters=0), 0.25) == [0.25]


def test_every_worker_gets_one_message_a_round() -> None:
    dealt = list(islice(deal(3, seed=1), 300))
    assert all(sorted(dealt[turn : turn + 3]) == [0, 1, 2] for turn in range(0, 300, 3))
    neighbours = [one == other for one, other in pairwise(dealt)]
    assert any(neighbours)


def test_speed_shortens_the_pauses() -> None:
    plan = make_plan(
        messages((100.0, "a"), (104.0, "b")), workers=2, handler_seconds=0.1, speed=8.0
    )
    assert [delivery.due for delivery in plan.deliveries] == [0, SECOND // 2]


def test_the_chosen_speed_keeps_the_busiest_conversation_at_work() -> None:
    log = messages(*((float(second), "a" if second % 2 else "b") for second in range(41)))
    plan = make_plan(log, workers=2, handler_seconds=0.5)
    assert plan.longest_work == pytest.approx(21 * 0.5)
    assert plan.deliveries[-1].due == pytest.approx(21 * 0.5 * SECOND)


def test_the_chosen_speed_asks_no_more_of_a_worker_than_it_can_do() -> None:
    log = messages(*((second / 10, f"c{second}") for second in range(1_001)))
    plan = make_plan(log, workers=1, handler_seconds=0.0)
    assert plan.deliveries[-1].due == pytest.approx(1_001 / 250 * SECOND)


def test_the_chosen_speed_asks_no_more_while_most_messages_come() -> None:
    rush = [(second / 1_000, f"c{second}") for second in range(2_000)]
    log = messages(*rush, (3_600.0, "a"))
    plan = make_plan(log, workers=1, handler_seconds=0.0)
    assert plan.deliveries[1_250].due == pytest.approx(5.0 * SECOND)
    few = messages(*rush[:1_000], (3_600.0, "a"))  # these may wait
    plan = make_plan(few, workers=1, handler_seconds=0.0)
    assert plan.deliveries[-1].due == pytest.approx(1_001 / 250 * SECOND)


def test_messages_that_came_all_at_once_stay_so() -> None:
    plan = make_plan(messages((5.0, "a"), (5.0, "b")), workers=1, handler_seconds=0.1)
    assert [delivery.due for delivery in plan.deliveries] == [0, 0]


def test_shares_are_the_whole_and_in_order() -> None:
    plan = make_plan(
        messages(*((float(second), "a") for second in range(50))), workers=4, handler_seconds=0.1
    )
    shares = [plan.share_of(worker) for worker in range(4)]
    assert sorted(item.index for share in shares for item in share) == list(range(50))
    assert all(share == sorted(share, key=lambda item: item.due) for share in shares)
    assert plan.conversations == 1
