"""Random histories of absorbing: each message is handled once, or whoever sent it is told."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest

from nowserving.protocol.status import Admission, State
from tests.conformance.stores import STORES
from tests.support.executables import LONG

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from nowserving.protocol.handle import TicketHandle
    from nowserving.protocol.queue import TicketQueue
    from nowserving.protocol.status import Outcome, TicketStatus
    from tests.support.redis_server import RedisServer

_LIFETIME = 600.0  # seconds: who dies is taken out by an operator, as its expiry would
_HISTORIES = {"memory": 10_000, "redis": 10_000 if LONG else 200}
_ENDS: tuple[Outcome, ...] = ("done", "done", "failed", "interrupted", "released")


class _History:
    """One conversation, played at random; what became of each message is written down.

    Attributes:
        handled: How often each message was handled by a turn that ended well.
        told: Which senders were told that their message was not handled in a turn of its own.
    """

    def __init__(self, queue: TicketQueue[Any], name: str, rng: random.Random) -> None:
        self.handled: dict[str, int] = {}
        self.told: dict[str, str] = {}
        self._queue = queue
        self._name = name
        self._rng = rng
        self._alive: dict[str, TicketHandle] = {}  # by message
        self._taken_in: dict[str, set[str]] = {}  # by the holder's message: what it has absorbed
        self._count = 0

    async def play(self, steps: int) -> None:
        verbs: list[Callable[[], Awaitable[None]]] = [
            *[self._arrive] * 5,
            *[self._absorb] * 3,
            *[self._end_turn] * 3,
            *[self._give_up, self._die, self._see],
        ]
        for _ in range(steps):
            await self._rng.choice(verbs)()
        while self._alive:
            before = len(self._alive)
            await self._end_turn()
            await self._see()
            assert len(self._alive) < before  # the line moves on, always

    def check(self) -> None:
        for number in range(self._count):
            message = f"m{number}"
            times = self.handled.get(message, 0)
            told = self.told.get(message)
            if told is None or told.startswith("absorbed"):
                assert times == 1, message
            else:
                # Its sender knows; a holder that had it already may have handled it as well.
                assert times <= 1, message

    async def _arrive(self) -> None:
        message = f"m{self._count}"
        self._count += 1
        when_busy: Any = self._rng.choice(["queue", "queue", "queue", "latest"])
        handle = self._queue.handle(self._name)
        admission = Admission(_LIFETIME, when_busy=when_busy, message_id=message)
        status = await self._queue.take(handle, admission)
        assert status.state in {State.SERVED, State.WAITING}
        self._alive[message] = handle

    async def _statuses(self) -> dict[str, TicketStatus]:
        asked = list(self._alive.items())
        answers: Any = await self._queue.renew([(handle, 0.0) for _, handle in asked])
        return {message: status for (message, _), status in zip(asked, answers, strict=True)}

    async def _see(self) -> None:
        """Have all owners hear what became of their tickets."""
        for message, status in (await self._statuses()).items():
            if status.state not in {State.SERVED, State.WAITING, State.INTERRUPTED}:
                self.told[message] = status.detail
                del self._alive[message]

    async def _holder(self) -> tuple[str, TicketHandle] | None:
        for message, status in (await self._statuses()).items():
            if status.state is State.SERVED:
                return message, self._alive[message]
        return None

    async def _absorb(self) -> None:
        holder = await self._holder()
        if holder is None:
            return
        message, handle = holder
        taken_in = self._taken_in.setdefault(message, set())
        most = self._rng.choice([0, len(taken_in) + 1, 250])
        absorption = await self._queue.absorb(handle, most)
        if self._rng.random() < 0.2:
            return  # the answer is lost: the holder asks again before its turn ends, or never
        taken_in.update(str(one.message_id) for one in absorption.tickets)

    async def _end_turn(self) -> None:
        holder = await self._holder()
        if holder is None:
            return
        message, handle = holder
        outcome = self._rng.choice(_ENDS)
        if outcome == "done":  # whoever lost an answer asks once more before it ends well
            absorption = await self._queue.absorb(handle, 0)
            taken_in = self._taken_in.setdefault(message, set())
            taken_in.update(str(one.message_id) for one in absorption.tickets)
        departure = await self._queue.leave(handle, outcome)
        if self._rng.random() < 0.2:  # the answer is lost, and the leave is repeated
            await self._queue.leave(handle, outcome)
        del self._alive[message]
        if departure.left and outcome == "done":
            for each in {message, *self._taken_in.get(message, ())}:
                self.handled[each] = self.handled.get(each, 0) + 1
        else:
            self.told[message] = outcome

    async def _give_up(self) -> None:
        waiters = [m for m, s in (await self._statuses()).items() if s.state is State.WAITING]
        if waiters:
            message = self._rng.choice(waiters)
            await self._queue.leave(self._alive.pop(message), "abandoned")
            self.told[message] = "cancelled"

    async def _die(self) -> None:
        """The process of a holder ends, and its ticket with it."""
        holder = await self._holder()
        if holder is not None:
            message, handle = holder
            await self._queue.finish(self._name, handle.number, handle.owner, keep=True)
            del self._alive[message]
            self.told[message] = "died"


@pytest.mark.parametrize("kind", _HISTORIES)
def test_each_message_is_handled_once_or_its_sender_is_told(
    kind: str, redis_server: RedisServer
) -> None:
    async def play() -> None:
        async with STORES[kind](redis_server)() as store:
            for seed in range(_HISTORIES[kind]):
                rng = random.Random(seed)
                history = _History(store._runtime.queue, f"history-{seed}", rng)
                try:
                    await history.play(rng.randint(3, 25))
                    history.check()
                except AssertionError as failure:
                    msg = f"in the history with seed {seed}: {failure}"
                    raise AssertionError(msg) from failure

    asyncio.run(play())
