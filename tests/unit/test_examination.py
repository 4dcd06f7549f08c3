"""What every store says of itself, and what a finding is as a value."""

from __future__ import annotations

import json

import pytest

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
