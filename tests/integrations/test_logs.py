"""The records that are logged of turns."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from nowserving import InMemoryLockStore, LockBusy, LockTimeout, StoreEvent, TicketEvent
from nowserving.integrations import logs
from nowserving.integrations.logs import LEVELS, _Logs
from nowserving.testing.harness import log_records

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KNOWN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return what ``extra=`` has added, as a formatter for JSON finds it."""
    return {name: value for name, value in vars(record).items() if name not in KNOWN}


@pytest.fixture
def records() -> Iterator[list[logging.LogRecord]]:
    with log_records(logging.DEBUG) as kept:
        yield kept


async def test_one_record_an_event_with_its_facts(records: list[logging.LogRecord]) -> None:
    async with InMemoryLockStore() as store:
        logs.observe(store, "bot")

        async def turn(error: type[BaseException], **options: Any) -> None:
            with contextlib.suppress(error):
                async with store.lock("anna", message_id="m", label="l", **options):
                    pass

        async with store.lock("anna"):
            await asyncio.create_task(turn(LockBusy, when_busy="reject"))
            await asyncio.create_task(turn(LockTimeout, timeout=0.01))
            waiter = asyncio.create_task(turn(LockTimeout))
            await asyncio.sleep(0.01)
        await waiter
    ours = [record for record in records if record.name == "nowserving.events"]
    told = [(fields(record)["event"], record.levelno) for record in ours]
    waits = [("asked", 10), ("waiting", 10)]
    assert told == [
        *[("asked", 10), ("served", 10)],
        *[("asked", 10), ("refused", 20)],
        *[*waits, ("left", 20)],
        *[*waits, ("left", 20), ("served", 10), ("left", 20)],
    ]
    assert len({fields(record)["turn"] for record in ours}) == 4
    last = fields(ours[-1])
    assert json.loads(json.dumps(last)) == last
    assert last.pop("waited_seconds") >= 0.0
    assert last.pop("held_seconds") >= 0.0
    assert isinstance(last.pop("turn"), int)
    assert isinstance(last.pop("fencing_token"), int)
    names = {"store": "bot", "conversation_id": "anna", "message_id": "m", "label": "l"}
    assert last == {**names, "event": "left", "ticket": 2, "outcome": "done"}


EVENT = TicketEvent(
    *(1, "an\nna\x1b[31m\u202e", 3, 0.0, "la\rbel", "mes\nsage"),
    held=1.0,
    outcome="done",
    reason="rea\nson",
)


@pytest.mark.parametrize("kind", [name for name in LEVELS if not name.startswith("store")])
def test_no_id_gets_into_a_log_as_it_is(kind: str, records: list[logging.LogRecord]) -> None:
    observer = _Logs(logging.getLogger("nowserving.events"), "bot", LEVELS)
    getattr(observer, kind)(EVENT)
    (record,) = records
    for text in (record.getMessage(), *map(str, fields(record).values())):
        assert text.isprintable(), text
    assert fields(record)["conversation_id"] == r"an\nna\x1b[31m\u202e"


def test_outages_are_told(records: list[logging.LogRecord]) -> None:
    observer = _Logs(logging.getLogger("nowserving.events"), "bot", LEVELS)
    observer.store_down(StoreEvent(0.0, "redis://here:1", "refused"))
    observer.store_up(StoreEvent(3.0, "redis://here:1", lasted=3.0))
    assert [record.getMessage() for record in records] == [
        "The store does not serve at redis://here:1: refused",
        "The store serves again at redis://here:1, after 3.000 s",
    ]
    assert fields(records[1])["down_seconds"] == 3.0


def test_levels_can_be_chosen(records: list[logging.LogRecord]) -> None:
    logger = logging.getLogger("nowserving.events.other")
    with InMemoryLockStore() as store:
        logs.observe(store, logger=logger, levels={"left": logging.ERROR})
        with store.lock("anna"):
            pass
    assert [record.levelno for record in records if record.name == logger.name] == [10, 10, 40]


@pytest.mark.parametrize(
    ("levels", "error"),
    [({"gone": 10}, ValueError), ({"left": "INFO"}, TypeError), ({"left": True}, TypeError)],
)
def test_wrong_levels_are_refused(levels: Mapping[str, int], error: type[Exception]) -> None:
    with InMemoryLockStore() as store, pytest.raises(error, match="levels: "):
        logs.observe(store, levels=levels)
