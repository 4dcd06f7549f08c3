"""A ticket of this process: its life, and whose it is. What its tables say is carried out here.

It refers neither to its turn nor to its task and loop but by weak references: what decides that
nobody has a turn any more must not be kept alive by those who look after it.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
import weakref
from collections.abc import Hashable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from nowserving._host.background import later
from nowserving._host.clock import monotonic
from nowserving._host.loops import running_loop
from nowserving._life.life import CancelBody, GiveBack, Life, TellExpiring, TellLoss, TellWait, Wake
from nowserving._life.rules import SHORTEST_SLEEP
from nowserving._runtime.cancellation import BodyCancellation
from nowserving.errors import LockError, LockInterrupted, LockLost
from nowserving.held import MOST_ABSORBED
from nowserving.instrumentation import logs
from nowserving.lock import Superseded
from nowserving.protocol.status import ALIVE, LEASE_ENDED, why_gone

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType

    from nowserving._config.options import Request
    from nowserving._host.loops import Home
    from nowserving._life.life import Effect
    from nowserving._runtime.leaving import Leaving
    from nowserving._runtime.turn_events import TurnEvents
    from nowserving.held import Absorbed
    from nowserving.protocol.handle import TicketHandle
    from nowserving.protocol.queue import TicketQueue
    from nowserving.protocol.status import Absorption

_T = TypeVar("_T")

TicketKey = Hashable
"""Whose ticket it is. A task that holds it, or a thread on whose stack it stands, finds it again by
``(id of the task, conversation)`` or ``(conversation, id of the thread)``, and is told that it
would wait for itself. A ticket whose turn may be left by somebody else is its own key."""


class TicketHost(Protocol):
    """What a ticket asks of what its store runs on (``runtime.py``).

    Attributes:
        queue: The store's queue, for what a holder may ask of it.
        leaving: Gives tickets back.
        pushes: Whether the store loses no notice.
        tasks: What runs on behalf of turns.
    """

    queue: TicketQueue[Any]
    leaving: Leaving
    pushes: bool
    tasks: set[asyncio.Task[None]]


class LiveTicket(Life):
    """One stay in a line, waiting and holding, as this process has it.

    Args:
        host: What its store runs on.
        handle: The ticket.
        request: What was asked for.
        asked: When the ticket is asked for, monotonic.
        tickets: Where it is known by its key, for as long as its turn goes on.
        key: Whose it is, see ``TicketKey``.
        home: The event loop in which it is entered, None for a synchronous holder.
        task: The task that enters it; None where there is none.

    Attributes:
        host: What its store runs on.
        tickets: The same.
        key: The same.
        home: The same.
        watched_in: The register of the watch that looks after a thread's ticket, if one does.
        statement: In a thread: whose ``with`` statement has entered it, where that is known.
        superseded: The messages that its turn answers for beside its own.
        cancellation: The body's, once we have asked for it.
        tell_expiring: Calls the turn's ``on_expiring``; None where nobody wants that.
        context: The context of whoever entered it, for as long as the turn goes on.
        events: Tells observers of the turn; None where nobody observed when it was asked for.
    """

    superseded = Superseded()
    cancellation: BodyCancellation | None = None
    tell_expiring: Callable[[LiveTicket], None] | None = None
    watched_in: dict[TicketKey, LiveTicket] | None = None
    statement: tuple[CodeType, int] | None = None
    _lost_event: asyncio.Event | None = None
    _news: asyncio.Event | None = None
    _absorbed: dict[int, Absorbed] | None = None
    _absorbed_count = 0
    """As the store counts: also those that left before they were told of."""
    _absorbs_unanswered = 0

    _task: weakref.ref[asyncio.Task[Any]] | None
    _cancellations: int
    """Of that task, when it entered."""

    def __init__(  # noqa: PLR0913 - a turn's facts, handed over once
        self,
        host: TicketHost,
        handle: TicketHandle,
        request: Request,
        asked: float,
        tickets: dict[TicketKey, LiveTicket],
        key: TicketKey,
        home: Home[Any] | None,
        task: asyncio.Task[Any] | None,
    ) -> None:
        # As Life.__init__() does: to call that costs as much as a twentieth of a turn in memory.
        self.stay, self.body, self.poll = "asked", "not begun", "unwatched"
        self.handle = handle
        self.request = request
        self.asked = asked
        self.served = self.outcome = None
        self.poll_at = 0.0
        self._answer = (asked, asked + request.lifetime)
        self.pushes = host.pushes
        self.host = host
        self.tickets = tickets
        self.key = key
        self.home = home
        self.events: TurnEvents | None = None
        if task is None:
            self._task = None
        else:  # as _belongs_to()
            self._task = weakref.ref(task)
            self._cancellations = getattr(task, "cancelling", _none)()
        self.context: contextvars.Context | None = contextvars.copy_context()

    def end(self) -> None:
        """End with the turn, once its body has ended or it was given up, and keep nothing of it."""
        self.stay, self.context = "gone", None
        if self._news is not None:
            self._news.set()
        # leave_register() does the same; to call it costs a hundredth of a turn in memory.
        found = self.tickets.pop(self.key, self)
        if found is not self or self.watched_in is not None:
            self._leave_registers(found)

    def leave_register(self) -> None:
        """Be known no more by its key, though its turn may go on."""
        self._leave_registers(self.tickets.pop(self.key, self))

    def _leave_registers(self, found: LiveTicket) -> None:
        # A later turn of the same task or thread has the key by now: an old one may be left twice.
        if found is not self:
            self.tickets[self.key] = found
        if self.home is None and self.watched_in is not None:
            self.watched_in.pop(self, None)

    # What it shows to whoever holds the lock

    @property
    def conversation_id(self) -> str:
        """The conversation."""
        return self.handle.conversation_id

    @property
    def number(self) -> int:
        """The ticket's number."""
        return self.handle.number

    @property
    def token(self) -> int:
        """The fencing token of the turn; 0 until it is served."""
        return 0 if self.served is None else self.served.token

    @property
    def predecessor(self) -> str:
        """How the turn before this one ended."""
        return "none" if self.served is None else self.served.predecessor

    @property
    def waited(self) -> float:
        """Seconds between asking and being served."""
        return self.held_since - self.asked

    def expires(self) -> float:
        """Return the Unix time at which the held ticket expires, as the store told it.

        For people to read: what may be relied on is ``ends_at``, which is never later.
        """
        told = 0.0 if self.served is None else self.served.expires_in
        end = max(self.ends_at, self.held_since + told)
        return time.time() + end - monotonic()

    def is_lost_now(self) -> bool:
        """Return whether the lock is, or may be, somebody else's by now."""
        return self.is_lost(monotonic())

    # Whose it is

    @property
    def task(self) -> asyncio.Task[Any] | None:
        """The task whose body holds it; None for a synchronous holder, and while it is unknown."""
        task = None if self._task is None else self._task()
        return None if task is None or task.done() else task

    def _belongs_to(self, task: asyncio.Task[Any]) -> None:
        self._task = weakref.ref(task)
        self._cancellations = getattr(task, "cancelling", _none)()

    def meet(self) -> None:
        """Find out who works under this lock, if the task that entered it has ended.

        Up to Python 3.11, ``asyncio.wait_for(lock.__aenter__(), ...)`` enters in a task of its own.
        Whoever uses the lock after that is the body.
        """
        if self.home is not None and self.stay != "gone" and self.task is None:
            task = current_task()
            if task is not None:
                self._belongs_to(task)

    def is_of(self, task: asyncio.Task[Any]) -> bool:
        """Return whether this task entered it: ids of tasks that are gone are given out again."""
        return self._task is not None and self._task() is task

    def is_abandoned(self) -> bool:
        """Return whether its event loop is closed, so that nobody is left to leave.

        The end of the task, or of the thread, that entered it means nothing: its turn may be left
        elsewhere. And a turn that nobody has any more says so itself.
        """
        return self.home is not None and self.home.is_closed()

    def in_its_context(self, callback: Callable[..., _T], *args: Any) -> _T:  # noqa: ANN401
        """Call something in the context of the turn: its logs are the turn's, its callback too."""
        context = self.context
        # A copy: the same context can't be entered twice, as two threads or tasks may want to.
        return callback(*args) if context is None else context.copy().run(callback, *args)

    # Effects

    def carry_out(self, effects: tuple[Effect, ...]) -> None:
        """Do what the tables say; from any thread."""
        for effect in effects:
            _DO[type(effect)](self, effect)

    def _tell_loss(self, effect: TellLoss) -> None:
        why = effect.why
        if self.request.options.on_lost == "cancel" and self.task is None:
            why += self._why_not_cancelled()
        self.in_its_context(logs.lost, self.handle, monotonic() - self.held_since, why)
        if self.events is not None:
            self.in_its_context(self.events.lost, self, effect.why)
        self._on_its_loop(self._lost_here)

    def _lost_here(self) -> None:
        if self._lost_event is not None:
            self._lost_event.set()
        if self._news is not None:
            self._news.set()
        if self.request.options.on_lost == "cancel" and self.task is not None:
            self.carry_out(self.stop_body(LockLost))

    def _cancel_body(self, effect: CancelBody) -> None:
        task = self.task
        if task is not None:
            self.cancellation = BodyCancellation(task, effect.kind, self._cancellations)
        elif effect.kind is LockInterrupted:
            self.carry_out(self.lose(f"a newer message interrupts it{self._why_not_cancelled()}"))

    def _tell_expiring(self, _: TellExpiring) -> None:
        if self.tell_expiring is not None:
            self.tell_expiring(self)

    def _give_back(self, effect: GiveBack) -> None:
        self.host.leaving.in_background(self.handle, effect.outcome, self.ends_at)

    def _wake(self, effect: Wake) -> None:
        self.handle.ring(effect.news)

    def _tell_wait(self, effect: TellWait) -> None:
        self.tell_wait(effect.ahead, self.poll_at - monotonic())

    def tell_wait(self, ahead: int, delay: float) -> None:
        """Log that it goes on waiting.

        Args:
            ahead: How many are in front of it.
            delay: Seconds until it is looked after again.
        """
        if logs.tells_waits():
            self.in_its_context(logs.waits, self.handle, ahead, delay)

    def _why_not_cancelled(self) -> str:
        if self.home is None:
            return ""
        return (
            ", and its body can't be cancelled: the task that entered it has ended (up to Python "
            "3.11 asyncio.wait_for() makes one of its own; use lock(timeout=...)), or there was "
            "none"
        )

    # News from elsewhere

    def on_bell(self) -> None:
        """Hear the news that has been pushed, on the holder's loop; from any thread."""
        self._on_its_loop(self._hear_bell)

    def _hear_bell(self) -> None:
        news = self.handle.take_news()
        if news is not None:
            self.carry_out(self.hear(news))
        if self._news is not None:
            self._news.set()

    def _on_its_loop(self, callback: Callable[[], None]) -> None:
        """Call something on the holder's loop: whoever brings news may be on any thread."""
        loop = None if self.home is None else self.home.loop()
        if loop is None or running_loop() is loop:
            callback()
            return
        with suppress(RuntimeError):  # a closed loop: nobody holds it any more
            loop.call_soon_threadsafe(callback, context=contextvars.Context())

    # Who waits behind it

    @property
    def absorbed(self) -> tuple[Absorbed, ...]:
        """What it has taken into its turn so far."""
        return tuple((self._absorbed or {}).values())

    async def absorb(self, limit: int | None) -> list[Absorbed]:
        """Take those who wait into its turn.

        Args:
            limit: How many at most; None for as many as there are.
        """
        count = self._absorbed_count
        most = MOST_ABSORBED if limit is None else min(count + limit, MOST_ABSORBED)
        if self._absorbed is None:
            self._absorbed = {}
        # Once an answer is lost (cancelled, or the store is away), that stays: the request may be
        # carried out at any time, also behind a later one. What the body is not told of must not
        # leave with it, if it ends well all the same.
        self._absorbs_unanswered += 1
        self._note_known()
        absorption = await self._ask_who_waits(most)
        if not absorption.repeated:
            self._absorbs_unanswered -= 1
        # All that are marked are told each time: what a lost answer told of is new here.
        new = [one for one in absorption.tickets if one.number not in self._absorbed]
        self._absorbed.update((one.number, one) for one in new)
        self._absorbed_count = max(absorption.taken, self._absorbed_count)
        self._note_known()
        return new

    def _note_known(self) -> None:
        known = tuple(self._absorbed or ())
        self.handle.known_absorbed = known if self._absorbs_unanswered else None

    async def news(self) -> None:
        """Return as soon as somebody waits who is not absorbed."""
        if self._news is None:
            self._news = asyncio.Event()
        every = None if self.pushes else max(self.request.wait_time, SHORTEST_SLEEP)
        while True:
            self._news.clear()
            if (await self._ask_who_waits(0)).more:
                return
            # Not asyncio.wait_for(): up to Python 3.11 that forgets a cancellation which comes
            # together with the news, and whoever cancels this would wait for it for ever.
            loop = asyncio.get_running_loop()
            timer = None if every is None else later(loop, every, self._news.set)
            try:
                await self._news.wait()
            finally:
                if timer is not None:
                    timer.cancel()

    async def _ask_who_waits(self, most: int) -> Absorption:
        name, number = self.handle.conversation_id, self.handle.number
        if self.home is None:
            msg = (
                f"absorb() and news() are for a turn on an event loop; that of conversation_id "
                f"'{name}' (ticket {number}) was entered by a plain `with`. Enter it by `async "
                "with`."
            )
            raise RuntimeError(msg)
        if self.stay != "holding":
            msg = (
                f"absorb() and news() belong into the body of a turn; that of conversation_id "
                f"'{name}' (ticket {number}) is over."
            )
            raise RuntimeError(msg)
        asked = monotonic()
        if not self.is_lost(asked):
            absorption = await self.host.queue.absorb(self.handle, most)
            if absorption.holder.state in ALIVE:
                self.carry_out(self.hear(absorption.holder, asked))
                return absorption
            self.carry_out(self.lose(why_gone(absorption.holder.detail)))
        raise LockLost(
            f"The lock of conversation_id '{name}' (ticket {number}) was lost: "
            f"{LEASE_ENDED if self.loss is None else self.loss.why}",
            conversation_id=name,
            number=number,
            waited=self.waited,
        )

    # Its loss, told to whoever holds the lock

    def lost_event(self) -> asyncio.Event:
        """Return the event that is set when the lock is lost."""
        if self._lost_event is None:
            self._lost_event = asyncio.Event()
            if self.lease == "lost":
                self._lost_event.set()
        return self._lost_event

    def stopped(self) -> LockError:
        """Return the error with which a turn ends whose body we cancelled or whose lock is lost."""
        kind = LockLost if self.cancellation is None else self.cancellation.kind
        name, number = self.handle.conversation_id, self.handle.number
        if kind is LockInterrupted:
            what = "was interrupted by a newer message"
        else:
            what = f"was lost: {LEASE_ENDED if self.loss is None else self.loss.why}"
        held = monotonic() - self.held_since
        return kind(
            f"The turn of conversation_id '{name}' (ticket {number}) {what}, after {held:.3g} s.",
            conversation_id=name,
            number=number,
            waited=self.waited,
        )


_DO: dict[type[Effect], Callable[[LiveTicket, Any], None]] = {
    TellLoss: LiveTicket._tell_loss,  # noqa: SLF001 - its own class's
    CancelBody: LiveTicket._cancel_body,  # noqa: SLF001
    TellExpiring: LiveTicket._tell_expiring,  # noqa: SLF001
    GiveBack: LiveTicket._give_back,  # noqa: SLF001
    Wake: LiveTicket._wake,  # noqa: SLF001
    TellWait: LiveTicket._tell_wait,  # noqa: SLF001
}


def _none() -> int:
    """How many cancellations of a task are under way, where Python does not count: before 3.11.

    The task itself is asked: a task factory, or a patch of asyncio, may make tasks of its own kind.
    """
    return 0


def current_task() -> asyncio.Task[Any] | None:
    """Return the task that runs here; None outside of tasks, and where no loop runs."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
