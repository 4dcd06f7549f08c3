"""Turns that are really taken and handed over, by the script itself, on a key that is nobody's.

Each trial is a hand-off: one ticket is served, another waits behind it, the first one leaves, and
the second one is told so in the inbox. That times the calls, and the push from the moment at which
the leave was sent.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import hiredis

from nowserving._host.waits import result_within
from nowserving.errors import StoreUnavailable
from nowserving.protocol.status import State
from nowserving.stores.redis.examining import permissions
from nowserving.stores.redis.examining.interview import Interview, Refused, refused
from nowserving.stores.redis.header import Header
from nowserving.stores.redis.replies import parse_status
from nowserving.stores.redis.script import load_script

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nowserving.stores.redis.examining.place import Plan

_TURNS = 20
_LIFETIME = 10_000_000
"""Microseconds that a ticket of a trial lives, should we not come to give it back."""

_PUSHED_WITHIN = 1.0
"""Seconds after which a push counts as lost."""

_FIELDS = [
    *("next", "serving", "token", "kept_until", "superseded_below", "held_back", "version"),
    *("sweeping", "predecessor", "opened", "graves"),
    *(str(number) for number in range(2 * _TURNS + 2)),
]
"""What a record may have, to be taken away where PEXPIRE is denied."""


class TrialFailed(Exception):  # noqa: N818 - the project's vocabulary
    """The script could not do what it is for.

    Attributes:
        why: What Redis has against it; None if its answer made no sense.
    """

    def __init__(self, why: Refused | None) -> None:
        super().__init__("the trial failed")
        self.why = why


class Figures(NamedTuple):
    """What was measured.

    Attributes:
        calls: Seconds of each call of the script.
        pushes: Seconds from the sending of a leave to its push.
        missed: How many pushes did not come.
    """

    calls: list[float]
    pushes: list[float]
    missed: int

    @property
    def median_call(self) -> float:
        """The median of the calls."""
        return statistics.median(self.calls)

    @property
    def median_push(self) -> float:
        """The median of the pushes that came."""
        return statistics.median(self.pushes)


class Ear:
    """A subscription to an inbox channel.

    Args:
        interview: A connection; taken over.
        channel: The channel.
    """

    def __init__(self, interview: Interview, channel: str) -> None:
        self._interview = interview
        self._channel = channel
        self._heard: asyncio.Queue[tuple[float, Any]] = asyncio.Queue()

    async def subscribe(self) -> Refused | None:
        """Subscribe; return what the server has against that.

        Raises:
            Exception: If the connection ends, or no answer comes in time.
        """
        heard = self._heard
        protocol = self._interview.protocol
        protocol.take_over(
            lambda reply: heard.put_nowait((time.perf_counter(), reply)),
            lambda _: heard.put_nowait((0.0, None)),
        )
        protocol.send([("SUBSCRIBE", self._channel)])
        _, reply = await result_within(heard.get(), self._interview.limit)
        if reply is None:
            raise ConnectionError("the server closed the connection")
        return refused(str(reply)) if isinstance(reply, hiredis.ReplyError) else None

    async def hear(self, owner: str) -> float | None:
        """Wait for the push to an owner; return when it came, None if it did not."""
        end = time.perf_counter() + _PUSHED_WITHIN
        while (left := end - time.perf_counter()) > 0:
            try:
                at, reply = await result_within(self._heard.get(), left)
            except asyncio.TimeoutError:
                return None
            if reply is None:
                return None
            if isinstance(reply, list) and f" {owner} " in f" {reply[-1]} ":
                return at
        return None


class Trial:
    """Turns by the script itself.

    Args:
        interview: The server that has the key.
        plan: What is the same for all servers.
        key: The key, of no conversation.
        name: What owners begin with; the inbox is named by it.
    """

    def __init__(self, interview: Interview, plan: Plan, key: bytes, name: str) -> None:
        self._interview = interview
        self._key = key
        self._name = name
        self._script = load_script()
        self._header = Header(plan.channel_prefix, plan.timeout)
        self._times: list[float] = []

    async def run(self, ear: Ear | None) -> Figures:
        """Take some turns, hand each over, and leave nothing behind.

        Args:
            ear: Who hears pushes; None if nobody may.

        Raises:
            TrialFailed: If the script does not do its work.
            Exception: If the connection ends, or no answer comes in time.
        """
        pushes: list[float] = []
        missed = 0
        try:
            await self._load()
            for turn in range(_TURNS):
                took = await self._hand_over(turn, ear)
                if took is not None:
                    pushes.append(took)
                elif ear is not None:
                    missed += 1
                    ear = ear if missed < 2 else None  # noqa: PLR2004 - it has been said by then
        except BaseException:
            permissions.clear_at_once(self._interview, self._key, _FIELDS)
            raise
        await permissions.clear(self._interview, self._key, _FIELDS)
        return Figures(self._times, pushes, missed)

    async def _hand_over(self, turn: int, ear: Ear | None) -> float | None:
        first, second = f"{self._name}.{2 * turn}", f"{self._name}.{2 * turn + 1}"
        number = await self._take(first, State.SERVED)
        behind = await self._take(second, State.WAITING)
        began = time.perf_counter()
        await self._say("leave", number, first, "done")
        at = None if ear is None else await ear.hear(second)
        await self._say("leave", behind, second, "done")
        return None if at is None else at - began

    async def _take(self, owner: str, expected: State) -> int:
        reply = await self._say("take", owner, _LIFETIME, "c", "q", -1, "-", "-", "0")
        try:
            status = parse_status(str(reply).removeprefix("+"))
        except StoreUnavailable:
            raise TrialFailed(None) from None
        if status.state is not expected:
            raise TrialFailed(None)
        return status.number

    async def _load(self) -> None:
        """Have Redis know the script; a turn of one's own would be timed with it."""
        await self._call(("EVAL", self._script.source), ("line",))

    async def _say(self, *verb: object) -> Any:  # noqa: ANN401 - as the verb answers
        began = time.perf_counter()
        reply = await self._call(("EVALSHA", self._script.sha), verb)
        self._times.append(time.perf_counter() - began)
        return reply

    async def _call(self, by: tuple[str, str], verb: Sequence[object]) -> Any:  # noqa: ANN401
        words = (*by, 1, self._key, *self._header.words(), verb[0], len(verb) - 1, *verb[1:], "0")
        reply = await self._interview.ask(*words)
        if isinstance(reply, Refused):
            raise TrialFailed(reply)
        answer = reply[0] if isinstance(reply, list) and reply else ""
        if isinstance(answer, str) and answer.startswith("!"):
            raise TrialFailed(refused(answer[1:]))
        return answer
