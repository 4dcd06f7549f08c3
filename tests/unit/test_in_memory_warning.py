"""An in-memory store can't serve several processes, and says so once."""

from __future__ import annotations

import logging

import pytest

from nowserving import InMemoryLockStore
from nowserving.stores.memory import store as memory


@pytest.fixture(autouse=True)
def _forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_warned", set())
    for name in ("TICKET_LOCK_WORKERS", "SANIC_WORKERS", "WEB_CONCURRENCY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", ["TICKET_LOCK_WORKERS", "SANIC_WORKERS", "WEB_CONCURRENCY"])
def test_several_workers_are_warned_of_once(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(name, "4")
    for _ in range(3):
        InMemoryLockStore()
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert f"{name}=4" in record.getMessage()


@pytest.mark.parametrize("count", ["", "0", "1", "many", "-3"])
def test_one_worker_is_fine(
    count: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", count)
    InMemoryLockStore()
    assert caplog.records == []
