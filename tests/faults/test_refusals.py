"""Redis refuses for a second or two while holders hold and waiters wait.

The patient, whose ``socket_timeout`` is longer, go on where they were. The hasty are told in time
and with the reason. No body runs without the lock.
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING

import pytest

from nowserving import LockStore, StoreUnavailable
from tests.support.crew import assert_exact
from tests.support.refusals import REFUSALS, Refusal
from tests.support.tasks import Turns, until

if TYPE_CHECKING:
    from tests.faults.conftest import Told
    from tests.support.redis_server import RedisServer

SOON = 0.6  # the socket_timeout of the hasty: a server that loads answers every 35 ms
LIFE = 1.0  # the lifetime of their tickets
ROOM = 1.0


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=list(REFUSALS))
async def test_a_refusal_in_mid_use(server: RedisServer, told: Told, refusal: Refusal) -> None:
    await asyncio.to_thread(refusal.prepare, server)
    async with (
        LockStore.create(server.url(socket_timeout=8)) as patient,
        LockStore.create(server.url(socket_timeout=SOON)) as hasty,
    ):
        calm = Turns(patient, "patient")
        calm.start(hold=1.5, wait=0.1, auto_renew=True)
        calm.start(4, hold=0.01, wait=0.1)
        calm.start(4, hold=0.01, wait=0.1, auto_renew=True)
        await calm.until_in_line(9)
        hurried = Turns(hasty, "hasty")
        hurried.start(hold=0.8, wait=0.1, lifetime=LIFE)
        hurried.start(4, wait=0.1, lifetime=LIFE)
        hurried.start(4, wait=0.1, lifetime=LIFE, auto_renew=True)
        await hurried.until_in_line(9)
        during = refusal.during(server)
        await asyncio.to_thread(during.__enter__)
        try:
            began = time.monotonic()
            late = Turns(hasty, "late")
            late.start(3)
            if not refusal.at_once:
                calm.start(3, hold=0.01, wait=0.1)
            await late.finish()
            assert time.monotonic() - began < SOON + ROOM
            await hurried.finish()
            assert time.monotonic() - began < LIFE + SOON + ROOM
            if refusal.to_all:  # they are told where they ask, which a busy machine may hold up
                await until(lambda: len(calm.errors) == 8)
        finally:
            await asyncio.to_thread(during.__exit__, None, None, None)
        await calm.finish()

        count = 1 if refusal.to_all else 9 if refusal.at_once else 12
        assert [turn.number for turn in calm.done] == list(range(count))
        assert_exact(calm.done)
        assert len(calm.errors) == (8 if refusal.to_all else 0)
        assert not late.done
        assert [turn.number for turn in hurried.done] == [0], "only the one that held it before"
        assert len(hurried.errors) == 8
        errors = [*calm.errors, *late.errors, *hurried.errors]
        assert {type(error) for error in errors} == {StoreUnavailable}
        plain = [str(error) for error in errors]
        assert all(re.search("did not answer in time|refused", text) for text in plain), plain
        assert any(re.search(refusal.reason, text) for text in plain), plain

        begun = await _until_it_serves(told, hasty=hasty, late=hasty, patient=patient)
    assert (begun > 0) == (not refusal.at_once or refusal.to_all), "not serving one verb is none"


async def _until_it_serves(told: Told, **stores: LockStore) -> int:
    """Take turns until every outage is over, and return how many had begun.

    A call of the outage that fails only now begins it once more, until the next answer.
    """
    give_up = time.monotonic() + 5.0
    while True:
        for conversation, store in stores.items():
            again = Turns(store, conversation)
            again.start(3)
            await again.finish(5.0)
            assert not again.errors
            assert_exact(again.done)
        begun = told.times("does not serve")
        if told.times("serves again, after") == begun:
            return begun
        assert time.monotonic() < give_up
