"""What travels to and from Redis, without a Redis: the script and the replies."""

from __future__ import annotations

import hashlib
import re
from importlib import resources
from typing import TYPE_CHECKING, Any

import pytest

from nowserving.errors import CorruptLock, StoreUnavailable
from nowserving.protocol.status import NOT_ISSUED, PicturedTicket, State
from nowserving.stores.redis.replies import (
    NOTHING_MORE,
    error_of,
    parse_answer,
    parse_departure,
    parse_line,
    parse_poll,
    parse_progress,
    parse_status,
)
from nowserving.stores.redis.script import load_script, load_survey_script

if TYPE_CHECKING:
    from collections.abc import Callable

_FOLDER = resources.files("nowserving.stores.redis") / "lua"
_FILES = sorted(file.name for file in _FOLDER.iterdir() if file.name.endswith(".lua"))
_VERBS = (
    "absorb",
    "take",
    "redeem",
    "park",
    "renew",
    "poll",
    "leave",
    "leave_knowing",
    "superseded",
    "line",
    "save",
    "delete",
    "finish",
    "release",
    "process",
    "keep",
    "kept",
    "record",
    "events",
    "sweep",
)


def test_every_file_is_in_a_script_once() -> None:
    scripts = [load_script().source, load_survey_script().source]
    for name in _FILES:
        text = (_FOLDER / name).read_text("utf-8")
        assert {source.count(text) for source in scripts} <= {0, 1}
        assert any(text in source for source in scripts)
    assert all(source.rstrip().endswith("return replies") for source in scripts)


def test_every_verb_is_there() -> None:
    source = load_script().source
    assert sorted(re.findall(r"^function verbs\.(\w+)\(", source, re.MULTILINE)) == sorted(_VERBS)


def test_the_script_is_known_by_its_digest() -> None:
    script = load_script()
    assert script.sha == hashlib.sha1(script.source.encode()).hexdigest()  # noqa: S324 - Redis's name for it
    assert load_script() is script


def test_the_script_asks_for_no_list_of_keys() -> None:
    assert not re.search(r"'(KEYS|SCAN|HGETALL|HKEYS|HVALS)'", load_script().source)


def test_a_served_standing() -> None:
    status = parse_status("S 4 0 1500000 1500000 1795476169321423 expired")
    assert (status.state, status.number, status.ahead) == (State.SERVED, 4, 0)
    assert status.expires_in == status.blocked_for == 1.5
    assert (status.token, status.predecessor) == (1795476169321423, "expired")
    assert parse_status("I 4 0 1 1 7 none").state is State.INTERRUPTED


def test_a_waiting_standing() -> None:
    status = parse_status("W 4 2 1500000 -250000")
    assert (status.state, status.number, status.ahead) == (State.WAITING, 4, 2)
    assert (status.expires_in, status.blocked_for) == (1.5, -0.25)


def test_refused_standings() -> None:
    busy = parse_status("B 3 2500000 nonce.5")
    assert (busy.state, busy.number, busy.ahead) == (State.BUSY, NOT_ISSUED, 3)
    assert (busy.detail, busy.since) == ("nonce.5", 2.5)
    duplicate = parse_status("D waiting")
    assert (duplicate.state, duplicate.detail) == (State.DUPLICATE, "waiting")


def test_standings_of_what_is_not_there() -> None:
    assert parse_status("G 5").state is State.GONE
    assert parse_status("G 5").number == 5
    assert parse_status("G -1").number == NOT_ISSUED
    assert parse_status("X 5").state is State.SUPERSEDED
    assert parse_status("G 5").detail == ""
    assert parse_status("G 5 expired").detail == "expired"
    assert parse_status("G 5 any short text").detail == "any short text"
    assert parse_status("A 5 3").state is State.ABSORBED
    assert parse_status("A 5 3").detail == "absorbed:3"


def test_departures() -> None:
    assert parse_departure("1 0")[:2] == (True, False)
    assert parse_departure("0 1")[:2] == (False, True)
    assert parse_departure("0 1") == (False, True, "")
    assert parse_departure("0 0 G any short text") == (False, False, "any short text")
    assert parse_departure("0 1 X") == (False, True, "superseded")
    assert parse_departure("0 1 A 3") == (False, True, "absorbed:3")


def test_lines() -> None:
    assert parse_line(None) is None
    assert parse_line(["7", "-1"]) == (7, NOTHING_MORE, [])
    page = parse_line(
        ["9", "7", "5 1000000 2000000 nonce.1 -1 - -", "6 3000000 -1 - 4000000 a%20label m"]
    )
    assert parse_line(["9", "-1", "6 3000000 -1 nonce.2 4000000 - - absorbed"]) == (
        9,
        NOTHING_MORE,
        [PicturedTicket(6, 3.0, "nonce.2", None, 4.0, absorbed=True)],
    )
    served = PicturedTicket(5, 1.0, "nonce.1", 2.0)
    waiting = PicturedTicket(6, 3.0, "", None, 4.0, "a label", "m")
    assert page == (9, 7, [served, waiting])


@pytest.mark.parametrize(
    ("reply", "what"),
    [
        ("WRONGTYPE Operation against a key", "another type"),
        ("-WRONGTYPE Operation against a key", "another type"),
        ("CORRUPT its ticket 3 is not readable", "its ticket 3 is not readable"),
        ("ERR user_script:5: CORRUPT its field next is not a number", "its field next"),
    ],
)
def test_foreign_data_is_a_corrupt_lock_that_names_its_key(reply: str, what: str) -> None:
    error = error_of(reply, "lock:{name}")
    assert isinstance(error, CorruptLock)
    assert error.key == "lock:{name}"
    assert "'lock:{name}'" in str(error)
    assert what in str(error)


def test_another_error_of_redis_is_named() -> None:
    error = error_of("OOM command not allowed", "lock:{name}")
    assert isinstance(error, StoreUnavailable)
    assert "OOM command not allowed" in str(error)
    assert "lock:{name}" in str(error)


@pytest.mark.parametrize(
    ("read", "reply"),
    [
        (parse_status, "S 4 0 1500000"),
        (parse_status, "S four 0 1500000 1500000 1 none"),
        (parse_status, "W 4"),
        (parse_status, "Z 4"),
        (parse_status, "OK"),
        (parse_status, ""),
        (parse_departure, "1"),
        (parse_departure, "1 1 1"),
        (parse_departure, "S 4 0 1500000 1500000 1 none"),
        (parse_answer, "ok"),
        (parse_progress, "1 0"),
        (parse_poll, "12345"),
        (parse_poll, ["4", "0", "0", "-"]),
        (parse_poll, ["4", "soon", "0", "-", "-"]),
        (parse_poll, ["4", "0", "0", "-", "-", "G 4"]),
        (parse_line, "79"),
        (parse_line, ["7"]),
        (parse_line, ["9", "7", "5 1000000 2000000"]),
    ],
)
def test_a_reply_that_its_verb_never_gives_is_not_misread(
    read: Callable[[Any], object], reply: str | list[str]
) -> None:
    with pytest.raises(StoreUnavailable, match="makes no sense") as told:
        read(reply)
    assert told.value.__cause__ is told.value.__context__ is None, "it may quote anything"
