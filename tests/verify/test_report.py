"""The page: self-contained, escaped, and honest about what was violated."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

from nowserving.verify.plan import make_plan
from nowserving.verify.replay import Replay
from nowserving.verify.report import render, write_report
from nowserving.verify.result import Result, Settings
from nowserving.verify.trace import Message

if TYPE_CHECKING:
    from pathlib import Path

    from nowserving.verify.turns import TurnRecord
    from tests.verify.conftest import MakeTurn

MILLISECOND = 1_000_000
VOID = {"meta", "path", "rect", "link", "br"}


class Page(HTMLParser):
    """Collects the texts of elements by tag, and checks that elements are closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: dict[str, list[str]] = {}
        self.classes: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.classes += (dict(attrs).get("class") or "").split()
        if tag not in VOID | {"td", "th"}:  # whose end tags HTML lets us leave out
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts.setdefault(self._open[-1], []).append(data)


def result(*records: TurnRecord, store: str | None = "redis://host/0") -> Result:
    messages = [Message(0.0, record.conversation_id, "ann", 9) for record in records]
    plan = make_plan(messages, workers=3, handler_seconds=0.01)
    settings = Settings(source="trace.csv", store=store, handler_ms=10, lifetime=60, seed=0)
    return Result.of(settings, plan, Replay(start=0, records=list(records)))


def test_a_good_run_shows_turns_and_no_violations(turn: MakeTurn) -> None:
    records = [turn(index, index * MILLISECOND, (index + 1) * MILLISECOND) for index in range(5)]
    html = render(result(*records))
    page = Page(html)
    assert page.texts["h1"] == ["One turn at a time, in order, none lost."]
    assert page.classes.count("bar") == 5
    assert not {"clash", "lost", "wrong"} & set(page.classes)
    assert "<section hidden>" in html


def test_violations_are_red_and_listed(turn: MakeTurn) -> None:
    records = [
        turn(0, 0, 5 * MILLISECOND),
        turn(1, 2 * MILLISECOND, 3 * MILLISECOND),
        turn(2, 6 * MILLISECOND, 7 * MILLISECOND, error="LockLost: gone"),
    ]
    html = render(result(*records))
    page = Page(html)
    assert page.texts["h1"] == ["Violated: 1 overlaps, 1 out of order, 1 lost."]
    assert page.classes.count("clash") == 1
    assert page.classes.count("wrong") == 3
    assert "OVERLAPS AN EARLIER TURN" in html
    assert "<section >" in html


def test_messages_that_nobody_finished_are_marked(turn: MakeTurn) -> None:
    good = result(turn(0, 0, MILLISECOND), turn(1, MILLISECOND, 2 * MILLISECOND))
    dead = Result.of(good.settings, good.plan, Replay(start=0, records=good.replay.records[:1]))
    assert Page(render(dead)).classes.count("lost") == 1


def test_nothing_of_a_trace_becomes_markup(turn: MakeTurn) -> None:
    awkward = "<script>alert('$x')</script>&\"🙂 {} ${verdict}"
    record = turn(0, 0, MILLISECOND, conversation_id=awkward, error="<b>bad</b>")
    html = render(result(record))
    assert "<script>alert" not in html
    assert "<b>bad" not in html
    assert awkward + " " in "".join(Page(html).texts["h3"])


def test_a_long_id_is_shortened_on_the_page(turn: MakeTurn) -> None:
    html = render(result(turn(0, 0, MILLISECOND, conversation_id="x" * 10_000)))
    assert "x" * 80 + "…" in html


def test_figures_stay_inside_their_cards_at_every_width(turn: MakeTurn) -> None:
    slow = turn(1, 100 * MILLISECOND, 3_000 * MILLISECOND)
    html = render(result(turn(0, 0, MILLISECOND), slow))
    # A card is as narrow as its page, and a line may break between any two figures.
    assert "minmax(min(100%, 14rem), 1fr)" in html
    (rule,) = re.findall(r"\.card dd \{(.*?)\}", html, re.DOTALL)
    assert "nowrap" not in rule
    values = re.findall(r"<dd>(.*?)</dd>", html)
    assert len(values) == 9
    for value in values:
        assert re.fullmatch(r"<span>[^<]*</span>( <span>[^<]*</span>)?", value)
    assert any(re.search(r"ms /</span> <span>", value) for value in values)


def test_the_page_needs_no_network(turn: MakeTurn) -> None:
    html = render(result(turn(0, 0, MILLISECOND)))
    assert re.findall(r"(?:src|href)=|@import|url\(|https?://", html) == []


def test_a_run_in_which_nothing_happened_has_a_page(turn: MakeTurn) -> None:
    good = result(turn(0, 0, MILLISECOND))
    nothing = Result.of(good.settings, good.plan, Replay())
    assert Page(render(nothing)).texts["h1"] == ["Violated: 1 lost."]


def test_the_busiest_conversations_and_the_violated_ones_come_first(turn: MakeTurn) -> None:
    records = [
        turn(
            index, index * MILLISECOND, (index + 1) * MILLISECOND, conversation_id=f"c{index % 20}"
        )
        for index in range(50)
    ]
    records[19] = turn(19, 0, MILLISECOND, conversation_id="c19", error="LockLost: gone")
    headings = Page(render(result(*records))).texts["h3"]
    assert [heading.strip() for heading in headings][:3] == ["c19", "c0", "c1"]
    assert len(headings) == 12


def test_the_page_is_written(turn: MakeTurn, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write_report(result(turn(0, 0, MILLISECOND), store=None), path)
    assert "without a lock" in path.read_text(encoding="utf-8")
