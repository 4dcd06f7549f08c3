"""Why somebody waited: who held the lock meanwhile, and what came between."""

from __future__ import annotations

from typing import Any

from nowserving import HistoryEvent
from nowserving.history.explain import duration, waits_of, words_of
from nowserving.history.turns import RecordedTurn, turns_of


def turn(
    number: int, asked: float, served: float | None, ended: float | None, **more: Any
) -> RecordedTurn:
    told: dict[str, Any] = {
        "outcome": "done" if ended is not None else "",
        "message_id": f"m{number}",
        **more,
    }
    moments: dict[str, Any] = {"asked": asked, "served": served, "ended": ended}
    return RecordedTurn(f"t{number}", "c", number, **moments, **told)


def words(*turns: RecordedTurn, now: float = 1000.0) -> list[str]:
    return [words_of(wait) for wait in waits_of(turns, now)]


def test_who_was_ahead_is_named_with_its_share() -> None:
    first = turn(41, 0, 0, 37.2, host="pod-7", pid=3, outcome="interrupted")
    second = turn(42, 0.2, 37.24, 50)
    (told,) = words(first, second)
    assert told == (
        "ticket 42, message m42 waited 37.0 s: 37.0 s behind ticket 41 on pod-7 (pid 3), message "
        "m41, which was interrupted, 40 ms while it was handed over"
    )


def test_several_ahead_are_told_in_their_order() -> None:
    turns = [turn(0, 0, 0, 10), turn(1, 1, 10, 30), turn(2, 2, 30, 31)]
    assert words(*turns)[-1] == (
        "ticket 2, message m2 waited 28.0 s: 8.0 s behind ticket 0, message m0, 20.0 s behind "
        "ticket 1, message m1"
    )


def test_who_does_not_wait_is_not_told() -> None:
    assert words(turn(0, 0, 0.001, 10), turn(1, 20, 20, 30)) == []


def test_a_ticket_that_nobody_gave_back_is_told() -> None:
    dead = turn(0, 0, 0, None)
    assert "which has not told its end" in words(dead, turn(1, 5, 60, 61, predecessor="expired"))[0]
    gap = words(turn(0, 0, 0, 1), turn(2, 5, 60, 61, predecessor="expired"))[0]
    assert "55.0 s until a ticket expired that nobody gave back" in gap


def test_nobody_waits_behind_a_turn_longer_than_until_the_next_one_is_served() -> None:
    killed = turn(0, 0, 0, None)
    lost_its_lock = turn(1, 5, 60, 200, lost=True, reason="released")  # and ran on
    told = words(killed, lost_its_lock, turn(2, 6, 80, 90), turn(3, 7, 90, 91))[-1]
    assert told == (
        "ticket 3, message m3 waited 83.0 s: 53.0 s behind ticket 0, message m0, which has not "
        "told its end, 20.0 s behind ticket 1, message m1, which lost its lock (released), 10.0 s "
        "behind ticket 2, message m2"
    )


def test_a_line_that_settles_is_told() -> None:
    (told,) = words(turn(0, 0, 2, 3, waiting=0.1))
    assert told == "ticket 0, message m0 waited 2.0 s: 2.0 s while the line settled"


def test_a_store_that_takes_its_time_is_told() -> None:
    (told,) = words(turn(0, 0, 2, 3))
    assert told == "ticket 0, message m0 waited 2.0 s: 2.0 s until the store answered"


def test_who_still_waits_and_who_waited_in_vain_is_told() -> None:
    holder = turn(0, 0, 0, None)
    waiting = turn(1, 10, None, None)
    vain = turn(2, 20, None, 30, outcome="timeout")
    told = words(holder, waiting, vain, now=110.0)
    still = "ticket 1, message m1 has waited 1 min 40 s, and still waits: 1 min 40 s behind"
    assert told[0].startswith(still)
    assert told[1].startswith("ticket 2, message m2 waited 10.0 s in vain (timeout): 10.0 s behind")


def test_the_pieces_of_a_wait_are_all_of_it() -> None:
    turns = [turn(n, n / 10, n * 1.03, n * 1.03 + 1) for n in range(20)]
    for wait in waits_of(turns, 1000.0):
        assert (
            sum(piece.seconds for piece in wait.pieces) == wait.seconds
            or abs(sum(piece.seconds for piece in wait.pieces) - wait.seconds) < 0.002
        )
        assert wait.as_dict()["because"]


def test_turns_are_put_together_from_their_events_in_any_order() -> None:
    own: dict[str, Any] = {"conversation_id": "c", "turn": "p.1", "message_id": "m"}
    events = [
        HistoryEvent("asked", 100.0, **own),
        HistoryEvent("waiting", 100.1, **own, number=7, ahead=2, waited=0.1),
        HistoryEvent("served", 105.0, **own, number=7, waited=5.0),
        HistoryEvent("left", 106.5, **own, number=7, waited=5.0, held=1.5, outcome="done"),
    ]
    for order in (events, events[::-1]):
        (found,) = turns_of(order)
        assert (found.number, found.asked, found.served, found.ended) == (7, 100.0, 105.0, 106.5)
        assert (found.ahead, found.waited, found.held, found.outcome) == (2, 5.0, 1.5, "done")
    (found,) = turns_of(events[-1:])  # the others are gone by now
    assert (found.asked, found.served) == (100.0, 105.0)


def test_durations_are_told_as_they_are_read() -> None:
    told = [duration(seconds) for seconds in (0, 0.0375, 2.25, 38, 125, 7260)]
    assert told == ["0 ms", "38 ms", "2.2 s", "38.0 s", "2 min 5 s", "2 h 1 min"]
