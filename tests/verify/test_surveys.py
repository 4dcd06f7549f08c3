"""What ``survey``, ``status`` and ``top`` tell while workers work, against what those recorded."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, NamedTuple

import pytest

from nowserving import LockStore
from nowserving.verify.check import check
from nowserving.verify.plan import make_plan
from nowserving.verify.replay import replay
from nowserving.verify.traffic import make_traffic
from tests.support.terminal import Terminal, nowserving

if TYPE_CHECKING:
    from pathlib import Path

    from nowserving.verify.turns import TurnRecord
    from tests.support.redis_server import RedisServer

MESSAGES, WORKERS = 400, 4
SLACK = 2_000_000_000
"""Nanoseconds within which a turn that has ended is surely over in the store, too, also on a busy
machine."""
STALE = 3_000_000_000
"""Nanoseconds that what ``top`` shows may be old, likewise."""

HEADLINE = re.compile(r"([\d,]+) conversations? in use, ([\d,]+) held, ([\d,]+) waiting")


class Figures(NamedTuple):
    """What was told, of a moment between two."""

    since: int
    until: int
    conversations: int
    held: int
    waiting: int


@pytest.fixture(params=["redis", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'locks.db'}"
    server: RedisServer = request.getfixturevalue("redis_server")
    return server.url(db=5)


async def survey_on(url: str, told: list[Figures], names: list[set[str]]) -> None:
    async with LockStore.create(url) as store:
        while True:
            since = time.monotonic_ns()
            seen = await store.survey(10_000)
            until = time.monotonic_ns()
            told.append(Figures(since, until, seen.conversations, seen.held, seen.waiting))
            names.append({line.conversation_id.partition(" ")[2] for line in seen.lines})
            assert len(names[-1]) == len(seen.lines) == seen.conversations
            assert sum(line.waiting for line in seen.lines) == seen.waiting
            assert sum(each.waiting for each in seen.processes) == seen.waiting
            assert sum(each.holding for each in seen.processes) == seen.held
            await asyncio.sleep(0.05)


async def watch(terminal: Terminal, told: list[Figures]) -> None:
    while True:
        until = time.monotonic_ns()
        found = HEADLINE.search(terminal.text)
        if found:
            figures = [int(number.replace(",", "")) for number in found.groups()]
            told.append(Figures(until - STALE, until, *figures))
        await asyncio.sleep(0.1)


async def test_what_is_told_agrees_with_what_the_workers_did(url: str) -> None:
    plan = make_plan(make_traffic(MESSAGES, seed=7), workers=WORKERS, handler_seconds=0.15)
    async with LockStore.create(url) as store, store.lock("verify-before"):
        pass  # whoever only looks makes no database
    surveyed: list[Figures] = []
    names: list[set[str]] = []
    shown: list[Figures] = []
    with Terminal(*nowserving("top", "--store", url, "--every", "0.2")) as terminal:
        await asyncio.to_thread(terminal.until, "0 conversations in use")
        looking: list[asyncio.Future[None]] = []

        def look(_: object) -> None:  # now, when they have warmed up
            looking.append(asyncio.ensure_future(survey_on(url, surveyed, names)))
            looking.append(asyncio.ensure_future(watch(terminal, shown)))

        outcome = await replay(plan, store=url, lifetime=30, on_start=look)
        for each in looking:
            each.cancel()
        ends = await asyncio.gather(*looking, return_exceptions=True)
        assert [type(end) for end in ends] == [asyncio.CancelledError] * len(looking), ends
        await asyncio.to_thread(terminal.until, "0 conversations in use")
        terminal.type("q")
        assert await asyncio.to_thread(terminal.wait) == 0
    assert not check(outcome.records, messages=MESSAGES, locked=True).violated
    for figures, seen in zip(surveyed, names, strict=True):
        assert conversations(held_throughout(outcome.records, figures)) <= seen
        assert seen <= conversations(maybe_in_line(outcome.records, figures))
    for figures in (*surveyed, *shown):
        maybe = maybe_in_line(outcome.records, figures)
        held = conversations(held_throughout(outcome.records, figures))
        assert len(held) <= figures.held <= figures.conversations <= len(conversations(maybe))
        assert figures.waiting <= len(maybe)
    assert len(surveyed) > 5
    for told in (surveyed, shown):
        assert max(figures.held for figures in told) > 1
        assert max(figures.waiting for figures in told) > 0


def held_throughout(records: list[TurnRecord], when: Figures) -> list[TurnRecord]:
    """Return the turns whose bodies ran all the time."""
    return [
        record
        for record in records
        if record.entered is not None
        and record.left is not None
        and record.entered <= when.since
        and record.left >= when.until
    ]


def maybe_in_line(records: list[TurnRecord], when: Figures) -> list[TurnRecord]:
    """Return those who may have been in line at any time of it."""
    return [
        record
        for record in records
        if record.left is not None
        and record.fired <= when.until
        and record.left + SLACK >= when.since
    ]


def conversations(records: list[TurnRecord]) -> set[str]:
    """Return whose turns these are."""
    return {record.conversation_id for record in records}
