"""Random histories of one line: whatever befalls those in it, what becomes of each message."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from nowserving.protocol.status import ALIVE, Admission, IssuedTicket, State, TicketStatus

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable

    from nowserving.protocol.handle import TicketHandle
    from nowserving.protocol.queue import TicketQueue
    from nowserving.protocol.status import Outcome, WhenBusy

LIFETIME = 8.0
_DAY = 86_400.0
_ROUNDS = 500
_ENDS: tuple[Outcome, ...] = ("done", "done", "done", "failed")
_POLICIES: tuple[WhenBusy, ...] = ("queue", "queue", "queue", "latest", "interrupt", "reject")
_OF_ITS_OWN = {"cancelled", "died", "expired", "lost", "failed", "interrupted", "released", ""}
"""What may be told of a message that a holder has handled all the same, which had absorbed it."""


class Clock(Protocol):
    """The store's clock, which the histories move."""

    def advance(self, seconds: float) -> None: ...


@dataclass
class Sender:
    """Whoever sends a message, and waits for its turn, or holds it.

    Attributes:
        handle: Its ticket, or what it can be redeemed by.
        secret: By which it was issued; empty if it was not.
        is_issued: Nobody has claimed it at present.
        is_silent: Its process is paused.
        taken_in: The messages that its body was told to have absorbed, by number.
        unanswered: Whether an answer of an absorbing was lost.
    """

    message: str
    handle: TicketHandle
    secret: str = ""
    is_issued: bool = False
    is_silent: bool = False
    taken_in: dict[int, str] = field(default_factory=dict)
    unanswered: bool = False

    def note_known(self) -> None:
        """Do as the holder does whose absorbing is asked for, or answered."""
        self.handle.known_absorbed = tuple(self.taken_in) if self.unanswered else None


class History:
    """One conversation, played at random.

    Args:
        queue: Whose line it is.
        clock: The clock of that.
        name: The conversation.
        rng: Decides what happens.
        flush: Has the store lose everything; None where it can't.

    Attributes:
        handled: How often each message was handled by a turn that ended well.
        told: What the sender was told whose message was not handled in a turn of its own.
        absorbed: What was ever taken into somebody's turn.
    """

    def __init__(
        self,
        queue: TicketQueue[Any],
        clock: Clock,
        name: str,
        rng: random.Random,
        flush: Callable[[], None] | None,
    ) -> None:
        self.handled: dict[str, int] = {}
        self.told: dict[str, str] = {}
        self.absorbed: set[str] = set()
        self._queue = queue
        self._clock = clock
        self._name = name
        self._rng = rng
        self._flush = flush
        self._senders: list[Sender] = []
        self._late: list[tuple[TicketHandle, int]] = []
        self._count = 0
        self._released: set[str] = set()
        self._parked: set[str] = set()
        self._flushed = False

    async def play(self, steps: int) -> None:
        """Have something happen so many times; then see to it that everybody has his end."""
        verbs: list[Callable[[], Awaitable[object]]] = [
            *[self._arrive] * 8,
            *[self._absorb] * 5,
            *[self._end_turn] * 4,
            *[self._redeem, self._let_time_pass] * 2,
            *[self._park, self._arrive_late, self._give_up, self._kill, self._pause],
            *[self._resume, self._release, self._see],
        ]
        for _ in range(steps):
            await self._rng.choice(verbs)()
            if self._flush is not None and self._rng.random() < 0.01:
                self._flush()
                self._flushed = True
        for _ in range(_ROUNDS):
            if not self._senders:
                break
            for sender in self._senders:
                sender.is_silent = False
            await self._see()
            await self._redeem()
            if not await self._end_turn():
                await self._let_time_pass()
        assert not self._senders, "the line moves on, always"

    async def check(self) -> None:
        """Assert that each message was handled once, or its sender told; and is known if it was."""
        self._clock.advance(LIFETIME)
        for number in range(self._count):
            message = f"m{number}"
            times, told = self.handled.get(message, 0), self.told.get(message)
            if told in {None, "absorbed"}:
                assert times == 1, f"{message} was handled {times} times, and told {told}"
            elif message in self.absorbed and (told in _OF_ITS_OWN or message in self._parked):
                assert times <= 1, f"{message} was handled {times} times"
            else:
                assert times == 0, f"{message} was handled {times} times, and told {told}"
            if not self._flushed and message not in self._released:
                known = await self._is_known_as_done(message)
                what = f"{message} was handled {times} times, and told {told}; known: {known}"
                assert known == (times == 1), what

    async def _is_known_as_done(self, message: str) -> bool:
        handle = self._queue.handle(self._name)
        again = await self._queue.take(handle, Admission(LIFETIME, message_id=message))
        if again.state is State.DUPLICATE:
            return again.detail == "done"
        assert again.state is State.SERVED, f"{message} could not be sent again: {again}"
        await self._queue.leave(handle, "failed")
        return False

    # Whoever sends

    async def _arrive(self) -> None:
        message, rng = f"m{self._count}", self._rng
        self._count += 1
        limit = rng.choice([None, None, None, 1, 2, 3])
        claimed = rng.random() < 0.8
        admission = Admission(
            LIFETIME,
            renewed=claimed and rng.random() < 0.5,
            when_busy=rng.choice(_POLICIES),
            max_waiting=limit,
            when_full=rng.choice(["reject", "drop_oldest"]),
            message_id=message,
            remember_for=_DAY,
            claimed=claimed,
        )
        secret = "" if claimed else secrets.token_hex(6)
        handle = self._queue.handle(self._name, secret or None)
        status = await self._queue.take(handle, admission)
        if status.state in ALIVE:
            self._senders.append(Sender(message, handle, secret, is_issued=not claimed))
        else:
            assert status.state is State.BUSY
            self.told[message] = "busy"

    async def _redeem(self) -> None:
        for sender in self._those(lambda sender: sender.is_issued):
            handle = self._queue.handle(self._name)
            issued = IssuedTicket(sender.handle.number, sender.secret)
            admission = Admission(LIFETIME, renewed=True, redeem=issued, remember_for=_DAY)
            status = await self._queue.take(handle, admission)
            if status.state in ALIVE:
                sender.handle, sender.is_issued = handle, False
            else:
                self._tell(sender, status.detail)

    async def _park(self) -> None:
        for sender, status in (await self._statuses()).values():
            if sender.is_issued or not sender.secret or status.state is not State.WAITING:
                continue
            issued = IssuedTicket(sender.handle.number, sender.secret)
            parked = await self._queue.park(sender.handle, issued, LIFETIME)
            if parked.state in ALIVE:
                self._parked.add(sender.message)
                sender.handle = self._queue.handle(self._name, sender.secret)
                sender.handle.number, sender.is_issued = int(issued), True
            else:
                self._tell(sender, parked.detail)

    async def _give_up(self) -> None:
        found = (await self._statuses()).values()
        waiters = [sender for sender, status in found if status.state is State.WAITING]
        if waiters:
            sender = self._rng.choice(waiters)
            await self._queue.leave(sender.handle, "abandoned")
            self._tell(sender, "cancelled")

    async def _kill(self) -> None:
        for sender in self._one_of_those():
            self._tell(sender, "died")

    async def _pause(self) -> None:
        for sender in self._one_of_those():
            sender.is_silent = True

    async def _resume(self) -> None:
        for sender in self._senders:
            sender.is_silent = False
        await self._see()

    async def _release(self) -> None:
        for sender in self._one_of_those():
            handle = sender.handle
            if await self._queue.release(self._name, handle.number, handle.owner, "enough"):
                self._released.add(sender.message)

    async def _let_time_pass(self) -> None:
        """Whoever is not silent renews its ticket in time."""
        self._clock.advance(LIFETIME / 4)
        await self._see(renewed_for=LIFETIME)

    # Whoever holds

    async def _absorb(self) -> None:
        sender = await self._holder()
        if sender is None:
            return
        most = self._rng.choice([0, len(sender.taken_in) + 1, 250, 250])
        before, sender.unanswered = sender.unanswered, True
        sender.note_known()
        what = self._rng.random()
        if what < 0.1:
            self._late.append((sender.handle, most))
            return
        absorption = await self._queue.absorb(sender.handle, most)
        if what < 0.3:
            return  # the answer is lost, or whoever asked was cancelled
        sender.unanswered = before
        taken_in = {one.number: str(one.message_id) for one in absorption.tickets}
        sender.taken_in.update(taken_in)
        self.absorbed.update(taken_in.values())
        sender.note_known()

    async def _arrive_late(self) -> None:
        """An attempt to absorb arrives of which nobody awaits the answer."""
        if self._late:
            await self._queue.absorb(*self._late.pop())

    async def _end_turn(self) -> bool:
        sender = await self._holder()
        if sender is None:
            return False
        outcome = self._rng.choice(_ENDS)
        departure = await self._queue.leave(sender.handle, outcome)
        if self._rng.random() < 0.2:  # the answer is lost, and the leave is repeated
            await self._queue.leave(sender.handle, outcome)
        if departure.left and outcome == "done":
            self._senders.remove(sender)
            for message in {sender.message, *sender.taken_in.values()}:
                self.handled[message] = self.handled.get(message, 0) + 1
        else:
            self._tell(sender, outcome if departure.left else "lost")
        return True

    async def _holder(self) -> Sender | None:
        for sender, status in (await self._statuses()).values():
            if status.state in {State.SERVED, State.INTERRUPTED} and not sender.is_issued:
                return sender
        return None

    # All of them

    async def _see(self, renewed_for: float = 0.0) -> None:
        """Have all owners hear what became of their tickets."""
        for sender, status in (await self._statuses(renewed_for)).values():
            if status.state not in ALIVE:
                self._tell(sender, status.detail)

    def _tell(self, sender: Sender, why: str) -> None:
        self._senders.remove(sender)
        self.told[sender.message] = why.partition(":")[0]

    async def _statuses(self, renewed_for: float = 0.0) -> dict[str, tuple[Sender, TicketStatus]]:
        asked = self._those(lambda _: True)
        renewals = [(sender.handle, renewed_for) for sender in asked]
        answers: Any = await self._queue.renew(renewals) if asked else []
        return {
            sender.message: (sender, status) for sender, status in zip(asked, answers, strict=True)
        }

    def _those(self, are: Callable[[Sender], bool]) -> list[Sender]:
        return [sender for sender in self._senders if not sender.is_silent and are(sender)]

    def _one_of_those(self) -> list[Sender]:
        those = self._those(lambda _: True)
        return [self._rng.choice(those)] if those else []
