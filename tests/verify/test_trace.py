"""Traces: from files, with errors that help; and made up."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from nowserving.verify.trace import Message, TraceError, read_trace
from nowserving.verify.traffic import make_traffic

if TYPE_CHECKING:
    from pathlib import Path

    from tests.verify.conftest import WriteTrace


def test_messages_are_read_and_sorted_by_time(write_trace: WriteTrace) -> None:
    path = write_trace("2,b,ann,7", '1.5,"a, ;*[{} 🙂",bob,0', "2,a,cid,9")
    assert read_trace(path) == [
        Message(1.5, "a, ;*[{} 🙂", "bob", 0),
        Message(2.0, "b", "ann", 7),
        Message(2.0, "a", "cid", 9),
    ]


def test_the_first_messages_are_enough(write_trace: WriteTrace) -> None:
    path = write_trace("0,a,ann,1", "1,b,bob,2", "not read at all")
    assert [message.conversation_id for message in read_trace(path, 2)] == ["a", "b"]


def test_more_columns_in_any_order_are_fine(write_trace: WriteTrace) -> None:
    path = write_trace("x,5,ann,a,1", header="note,characters,sender,conversation_id,seconds")
    assert read_trace(path) == [Message(1.0, "a", "ann", 5)]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("soon,a,ann,1", "line 3, column seconds: 'soon'"),
        ("nan,a,ann,1", "line 3, column seconds: 'nan'"),
        ("-1,a,ann,1", "line 3, column seconds: '-1'"),
        ("1,,ann,1", "line 3, column conversation_id: empty"),
        ("1,a,ann,many", "line 3, column characters: 'many'"),
        ("1,a,ann", "line 3, column characters: missing"),
        ('1,"a', "line 3: not CSV"),
    ],
)
def test_a_bad_line_is_named(write_trace: WriteTrace, line: str, complaint: str) -> None:
    path = write_trace("0,a,ann,1", line)
    with pytest.raises(TraceError) as caught:
        read_trace(path)
    assert str(path) in str(caught.value)
    assert complaint in str(caught.value)


def test_missing_columns_are_named(write_trace: WriteTrace) -> None:
    path = write_trace("1,ann", header="seconds,sender")
    with pytest.raises(TraceError, match="line 1: no column conversation_id, characters"):
        read_trace(path)


def test_an_empty_trace_is_an_error(write_trace: WriteTrace) -> None:
    with pytest.raises(TraceError, match="no message"):
        read_trace(write_trace())


def test_a_file_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_bytes(b"seconds,conversation_id,sender,characters\n1,\xff\xfe,a,1\n")
    with pytest.raises(TraceError, match="not UTF-8"):
        read_trace(path)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"none\.csv: cannot be read"):
        read_trace(tmp_path / "none.csv")


def test_made_up_traffic_depends_on_its_seed_alone() -> None:
    assert make_traffic(200, seed=7) == make_traffic(200, seed=7)
    assert make_traffic(200, seed=7) != make_traffic(200, seed=8)


@pytest.mark.parametrize("count", [1, 2, 500])
def test_made_up_traffic_is_complete_and_sorted(count: int) -> None:
    messages = make_traffic(count)
    assert len(messages) == count
    assert all(one.seconds <= other.seconds for one, other in pairwise(messages))
    assert all(message.characters > 0 for message in messages)


def test_made_up_traffic_is_skewed_bursty_and_awkward() -> None:
    messages = make_traffic(2_000)
    sizes = Counter(message.conversation_id for message in messages).most_common()
    assert sizes[0][1] > 8 * sizes[len(sizes) // 2][1]
    assert all(any(sign in own for own, _ in sizes) for sign in ":;*[{} 🙂")
    last_seen: dict[str, float] = {}
    soon = 0
    for message in messages:
        soon += message.seconds - last_seen.get(message.conversation_id, -60.0) < 5.0
        last_seen[message.conversation_id] = message.seconds
    assert soon > len(messages) / 3
