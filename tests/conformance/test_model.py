"""Random interleavings of a queue's verbs against the model of a line."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nowserving.protocol.queue import status_of
from nowserving.protocol.status import (
    ANSWERS,
    NOT_ISSUED,
    Admission,
    IssuedTicket,
    State,
    TicketStatus,
)
from nowserving.stores.memory.queue import MemoryQueue
from nowserving.stores.redis import queue
from nowserving.stores.redis.script import load_script
from tests.conformance.line_model import Answer, LineModel
from tests.conformance.stores import STORES
from tests.support import scripts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from nowserving import LockStore
    from nowserving.protocol.handle import TicketHandle
    from nowserving.protocol.queue import TicketQueue
    from nowserving.protocol.status import LinePicture, Outcome
    from tests.support.redis_server import RedisServer

    OpenQueue = Callable[[], AbstractAsyncContextManager[TicketQueue[Any]]]

_LIFETIME = 600.0  # seconds: nothing expires here
_GONE = {"GONE", "SUPERSEDED", "ABSORBED"}
_OUTCOMES: tuple[Outcome, ...] = ("done", "failed", "interrupted", "released", "abandoned")

which = st.integers(0, 11)  # one of the handles so far, counted round and round
takes = st.fixed_dictionaries(
    {
        "verb": st.just("take"),
        "when_busy": st.sampled_from(["queue", "queue", "reject", "latest", "interrupt"]),
        "limit": st.sampled_from([None, None, 0, 1, 2]),
        "settle": st.sampled_from([False, False, False, True]),
        "when_full": st.sampled_from(["reject", "drop_oldest"]),
        "message": st.sampled_from([None, None, "a", "b"]),
        "claimed": st.booleans(),
        "renewed": st.booleans(),
    }
)
leaves = st.fixed_dictionaries(
    {"verb": st.just("leave"), "which": which, "outcome": st.sampled_from(_OUTCOMES)}
)
questions = st.fixed_dictionaries(
    {"verb": st.sampled_from(["status", "renew", "poll", "superseded"]), "which": which}
)
redeems = st.fixed_dictionaries(
    {
        "verb": st.just("redeem"),
        "which": which,
        "secret": st.sampled_from(["its own", "its own", "none", "wrong"]),
        "renewed": st.booleans(),
    }
)
parks = st.fixed_dictionaries(
    {
        "verb": st.just("park"),
        "which": which,
        "shows": st.sampled_from(["a new one", "a new one", "its own", "none"]),
    }
)
absorbs = st.fixed_dictionaries(
    {"verb": st.just("absorb"), "which": which, "most": st.sampled_from([0, 1, 2, 250])}
)
finishes = st.fixed_dictionaries(
    {
        "verb": st.just("finish"),
        "which": which,
        "secret": st.sampled_from(["its own", "none", "wrong"]),
        "keep": st.booleans(),
    }
)
releases = st.fixed_dictionaries(
    {"verb": st.just("release"), "which": which, "reason": st.sampled_from(["", "a: reason"])}
)
deletes = st.just({"verb": "delete"})
_VERBS = [
    *[takes] * 9,
    *[leaves] * 4,
    *[questions] * 3,
    *[redeems] * 3,
    *[absorbs] * 3,
    *[parks, finishes, releases, deletes],
]
steps = st.lists(  # mostly arrivals: what is to be found, is found in a line
    st.integers(0, len(_VERBS) - 1).flatmap(_VERBS.__getitem__), min_size=6, max_size=40
)


class _Play:
    """Plays the same steps on a queue and on the model, and compares every answer."""

    def __init__(self, queue: TicketQueue[Any]) -> None:
        self._queue = queue
        # In memory the ticket itself has the note, and one that is parked is another.
        self._model = LineModel(knows_parked=not isinstance(queue, MemoryQueue))
        self._name = f"model-{secrets.token_hex(6)}"
        self._handles: list[TicketHandle] = []
        self._issued: dict[int, str] = {}  # the secrets, by the position of the handle

    async def step(self, verb: str, **arguments: Any) -> None:
        if verb in {"take", "delete"}:
            await getattr(self, f"_{verb}")(**arguments)
        elif self._handles:
            arguments["which"] %= len(self._handles)
            await getattr(self, f"_{verb}")(**arguments)
        line = await self._queue.line(self._name)
        assert _read_line(line) == self._model.line()

    async def _take(
        self,
        *,
        when_busy: Any,
        limit: int | None,
        when_full: Any,
        message: str | None,
        claimed: bool,
        renewed: bool,
        settle: bool,
    ) -> None:
        handle = self._queue.handle(self._name)
        if not claimed:
            handle = self._queue.handle(self._name, secrets.token_hex(6))
            self._issued[len(self._handles)] = handle.owner
        admission = Admission(
            lifetime=_LIFETIME,
            renewed=renewed and claimed,
            when_busy=when_busy,
            max_waiting=limit,
            when_full=when_full,
            settle=_LIFETIME / 2 if settle else None,
            message_id=message,
            claimed=claimed,
        )
        status = await self._queue.take(handle, admission)
        expected = self._model.take(
            handle.owner, when_busy, limit, when_full, message, claimed=claimed, settle=settle
        )
        assert _read(status) == expected
        if handle.number != NOT_ISSUED:
            self._handles.append(handle)
        else:
            self._issued.pop(len(self._handles), None)

    async def _redeem(self, *, which: int, secret: str, renewed: bool) -> None:
        old = self._handles[which]
        known = {"its own": self._issued.get(which, old.owner), "none": "", "wrong": "wrong"}
        issued = IssuedTicket(old.number, known[secret])
        handle = self._queue.handle(self._name)
        admission = Admission(lifetime=_LIFETIME, renewed=renewed, redeem=issued)
        status = await self._queue.take(handle, admission)
        expected = self._model.redeem(old.number, issued.secret, handle.owner)
        if issued.secret == old.owner and which not in self._issued and expected.state in _GONE:
            # It shows an owner, which never was a secret: what that is told is up to the store.
            assert _read(status).state in _GONE
        else:
            assert _read(status) == expected
        if status.state.name not in _GONE:
            assert handle.number == old.number
            self._handles.append(handle)
            # Whoever redeems a ticket takes it from a handle that no turn has and nobody polls
            # for; so a line's version need not say so, and this handle may not rely on it.
            old.clear_line_version()

    async def _park(self, *, which: int, shows: str) -> None:
        old = self._handles[which]
        parked = self._queue.handle(self._name, secrets.token_hex(6))
        its_own = self._issued.get(which, old.owner)
        known = {"a new one": parked.owner, "its own": its_own, "none": ""}
        issued = IssuedTicket(old.number, known[shows])
        status = await self._queue.park(old, issued, _LIFETIME)
        assert _read(status) == self._model.park(old.number, issued.secret, old.owner)
        old.clear_line_version()  # nobody polls for it any more
        if shows == "a new one":
            parked.number = old.number
            self._issued[len(self._handles)] = parked.owner
            self._handles.append(parked)

    async def _absorb(self, *, which: int, most: int) -> None:
        handle = self._handles[which]
        if self._model.tickets:  # mostly the holder asks
            served = [h for h in self._handles if h.owner == self._model.tickets[0].owner]
            handle = served[-1] if served and which % 4 else handle
        absorption = await self._queue.absorb(handle, most)
        holder, taken, more, absorbed = self._model.absorb(handle.number, handle.owner, most)
        assert _read(absorption.holder) == holder
        assert (absorption.taken, absorption.more) == (taken, more)
        assert [one.number for one in absorption.tickets] == absorbed

    async def _status(self, *, which: int) -> None:
        handle = self._handles[which]
        status = await status_of(self._queue, handle)
        assert _read(status) == self._model.status(handle.number, handle.owner)

    async def _renew(self, *, which: int) -> None:
        chosen = self._handles[which:]
        statuses = await self._queue.renew([(handle, _LIFETIME) for handle in chosen])
        for handle, status in zip(chosen, statuses, strict=True):
            assert isinstance(status, TicketStatus)
            assert _read(status) == self._model.status(handle.number, handle.owner)

    async def _superseded(self, *, which: int) -> None:
        handle = self._handles[which]
        expected = self._model.superseded(handle.number, handle.owner)
        status = await status_of(self._queue, handle)
        if expected and status.state in {State.SERVED, State.INTERRUPTED}:
            assert status.detail == ANSWERS  # or nobody would ask
        superseded = await self._queue.superseded(handle)
        assert (list(superseded), superseded.count) == (expected, len(expected))

    async def _poll(self, *, which: int) -> None:
        chosen = self._handles[which:]  # two of them may have one number, if one was redeemed
        line_update = await self._queue.poll(self._name, chosen)
        expected = {p.owner: self._model.status(p.number, p.owner) for p in chosen}
        waiting = [answer for answer in expected.values() if answer.state == "WAITING"]
        assert {owner: _read(news) for owner, news in line_update.news.items()} == {
            owner: answer for owner, answer in expected.items() if answer not in waiting
        }
        if waiting:
            assert line_update.serving == self._model.tickets[0].number
            assert 0 < line_update.blocked_for <= _LIFETIME

    async def _leave(self, *, which: int, outcome: Outcome) -> None:
        handle = self._handles[which]
        departure = await self._queue.leave(handle, outcome)
        left = self._model.leave(handle.number, handle.owner, outcome)
        assert departure[:2] == left
        if not left[0]:
            assert departure.why == self._model.why_gone(handle.number, handle.owner)

    async def _finish(self, *, which: int, secret: str, keep: bool) -> None:
        handle = self._handles[which]
        known = {"its own": self._issued.get(which, handle.owner), "none": "", "wrong": "wrong"}
        arguments = (handle.number, known[secret])
        waiting = await self._queue.finish(self._name, *arguments, keep=keep)
        assert waiting == self._model.finish(*arguments, keep=keep)

    async def _release(self, *, which: int, reason: str) -> None:
        handle = self._handles[which]
        released = await self._queue.release(self._name, handle.number, handle.owner, reason)
        expected = self._model.release(handle.number, handle.owner, reason)
        assert expected in {None, released}

    async def _delete(self) -> None:
        await self._queue.delete(self._name)
        self._model.delete()


def _read(status: TicketStatus) -> Answer:
    state = status.state.name
    if status.state in {State.SERVED, State.INTERRUPTED}:
        assert status.token > 0
        assert 0 < status.expires_in <= _LIFETIME + 1e-6  # (now + x) - now is not quite x
        return Answer(state, status.number, status.ahead, status.predecessor)
    if status.state is State.WAITING:
        assert 0 < status.blocked_for <= _LIFETIME
        return Answer(state, status.number, status.ahead)
    if status.state is State.BUSY:
        return Answer(state, ahead=status.ahead, detail=status.detail)
    if status.state is State.DUPLICATE:
        return Answer(state, detail=status.detail)
    return Answer(state, status.number, detail=status.detail)


def _read_line(line: LinePicture | None) -> list[tuple[int, str, bool]] | None:
    if line is None:
        return None
    return [(t.number, t.owner, t.served_for is not None) for t in line.tickets]


_SCRIPTS = {
    "redis": load_script(),
    "redis, sweeping one by one": scripts.sweeping_one_by_one(),
    "redis, in small pieces": scripts.in_small_pieces(),
    "redis, without quick steps": scripts.without_quick_steps(),
}


def _of_a_store(make: Callable[..., LockStore]) -> OpenQueue:
    @contextlib.asynccontextmanager
    async def open_queue() -> AsyncIterator[TicketQueue[Any]]:
        async with make() as store:
            yield store._runtime.queue

    return open_queue


class _Shared:
    """Two queues over one file, as two processes have them: either of them takes each step."""

    def __init__(self, *queues: TicketQueue[Any]) -> None:
        self._queues = queues
        self._dice = random.Random(0)

    def __getattr__(self, name: str) -> Any:
        # By its number a process finishes only its own tickets.
        own = name in {"handle", "finish", "guarantees"}
        return getattr(self._queues[0] if own else self._dice.choice(self._queues), name)


@contextlib.asynccontextmanager
async def _open_shared(make: Callable[..., LockStore]) -> AsyncIterator[TicketQueue[Any]]:
    async with make() as one, make() as other:
        yield cast("TicketQueue[Any]", _Shared(one._runtime.queue, other._runtime.queue))


@pytest.fixture(params=["memory", "sqlite", "sqlite, shared", *_SCRIPTS])
def open_queue(
    request: pytest.FixtureRequest,
    redis_server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
) -> OpenQueue:
    if request.param in {"memory", "sqlite"}:
        return _of_a_store(STORES[request.param](redis_server))
    if request.param == "sqlite, shared":
        return partial(_open_shared, STORES["sqlite"](redis_server))
    monkeypatch.setattr(queue, "load_script", lambda: _SCRIPTS[request.param])
    return _of_a_store(STORES["redis"](redis_server))


@settings(
    max_examples=150,
    deadline=None,  # a busy machine is no failure
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps)
def test_a_queue_agrees_with_the_model(open_queue: OpenQueue, steps: list[dict[str, Any]]) -> None:
    async def play() -> None:
        async with open_queue() as queue:
            game = _Play(queue)
            for step in steps:
                await game.step(**step)

    asyncio.run(play())
