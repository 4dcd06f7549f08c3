"""What every store says of itself, and what a finding is as a value."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

import nowserving
from nowserving import (
    Examination,
    Finding,
    InMemoryLockStore,
    LockStore,
    StoreClosed,
    TicketLock,
    Verdict,
)


class Dictionary(LockStore):
    """A custom store, as it is written for Rasa."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, str] = {}

    def get_lock(self, conversation_id: str) -> TicketLock | None:
        text = self.kept.get(conversation_id)
        return None if text is None else TicketLock.from_dict(json.loads(text))

    def save_lock(self, lock: TicketLock) -> None:
        self.kept[lock.conversation_id] = lock.dumps()

    def delete_lock(self, conversation_id: str) -> None:
        self.kept.pop(conversation_id, None)


def finding(verdict: Verdict) -> Finding:
    return Finding("check", "subject", verdict, "found", "meaning")


def test_the_verdict_of_an_examination_is_the_worst_of_its_findings() -> None:
    def verdict(*verdicts: Verdict) -> Verdict:
        return Examination("a store", tuple(map(finding, verdicts))).verdict

    assert verdict() == "fine"
    assert verdict("fine", "note") == "note"
    assert verdict("warning", "note", "fine") == "warning"
    assert verdict("note", "broken", "warning") == "broken"


def test_an_examination_is_json() -> None:
    told = Examination("a store", (finding("note"),)).as_dict()
    assert json.loads(json.dumps(told)) == told
    assert told["verdict"] == "note"
    assert told["findings"][0]["check"] == "check"


async def test_in_memory_says_that_it_is_of_this_process_only() -> None:
    async with InMemoryLockStore() as store:
        examination = await store.examine()
    assert examination.store == "in memory"
    assert examination.verdict == "note"
    assert {each.check for each in examination.findings} == {"reach", "keeping"}


async def test_in_memory_is_broken_where_several_workers_are_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "4")
    async with InMemoryLockStore() as store:
        examination = await store.examine()
    (broken,) = [each for each in examination.findings if each.verdict == "broken"]
    assert broken.check == "workers"
    assert "WEB_CONCURRENCY=4" in broken.found
    assert "RedisLockStore" in broken.remedy


def test_a_custom_store_says_what_it_lacks_without_an_event_loop() -> None:
    with Dictionary() as store:
        examination = store.blocking.examine()
    assert "Dictionary" in examination.store
    assert examination.verdict == "warning"
    assert all(each.remedy for each in examination.findings if each.verdict == "warning")
    assert any("when_busy" in each.meaning for each in examination.findings)


async def test_a_closed_store_is_not_examined() -> None:
    store = InMemoryLockStore()
    await store.aclose()
    with pytest.raises(StoreClosed):
        await store.examine()


_MAKERS = {"Finding", "told.finding", "told.untold"}


def _checks() -> set[str]:
    """Return the first argument of everything that makes a finding."""
    found = set()
    stores = Path(nowserving.__file__).parent / "stores"
    for path in (*stores.rglob("examining.py"), *stores.rglob("examining/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in _MAKERS:
                first = node.args[0]
                if isinstance(first, ast.Constant):  # else it is handed on
                    found.add(str(first.value))
    return found


def test_every_check_is_on_its_page_and_no_other() -> None:
    page = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text(encoding="utf-8")
    found = page.partition("## What it finds")[2]
    assert set(re.findall(r"^\| `([\w -]+)` \|", found, re.MULTILINE)) == _checks()
