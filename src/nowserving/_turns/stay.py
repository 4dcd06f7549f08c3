"""A stay in line as this process has it: for whom, who works under it, what its loss sets off.

What it may rely on, and until when, is told by its lease (``lease.py``).
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import weakref
from collections.abc import Hashable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from nowserving._host.clock import monotonic
from nowserving._host.loops import running_loop
from nowserving._turns.cancellation import BodyCancellation
from nowserving.errors import LockError, LockInterrupted, LockLost

if TYPE_CHECKING:
    from collections.abc import Callable

    from nowserving._host.loops import Home
    from nowserving._runtime.leaving import Leaving
    from nowserving._turns.options import Options, Request
    from nowserving._turns.statement import Statement
    from nowserving.protocol.handle import TicketHandle
    from nowserving.protocol.status import TicketStatus

logger = logging.getLogger("nowserving.lease")  # known to those who configure it

_T = TypeVar("_T")

EXPIRED = "its ticket expired"
RELEASED = "its ticket was released by someone else"


LeaseKey = Hashable
"""Whose lease it is. A task that holds it, or a thread on whose stack it stands, finds it again by
``(id of the task, conversation)`` or ``(conversation, id of the thread)``, and is told that it
would wait for itself. A lease whose turn may be left by somebody else is its own key."""


class LeaseHost(Protocol):
    """What a lease asks of what its store runs on (``runtime.py``).

    Attributes:
        pushes: Whether the queue loses no notice.
        leaving: Gives tickets back.
    """

    pushes: bool
    leaving: Leaving

    def tell_expiring(self, lease: Any) -> None:  # noqa: ANN401 - a Lease, which derives from this
        """Call the ``on_expiring`` of a lease's turn."""
        ...


class Stay:
    """One stay in a line, waiting and holding.

    It refers neither to its turn nor to its task and loop but by weak references: what decides
    that nobody has a turn any more must not be kept alive by those who look after it.

    Args:
        keeper: What its store runs on.
        handle: The ticket, as its owner holds it.
        request: What was asked for.
        key: Whose it is, see ``LeaseKey``.
        home: The event loop in which it is entered, None for a synchronous holder.
        task: The task that enters it; None where there is none.
        asked: When the ticket is asked for, monotonic.

    Attributes:
        asked: When the ticket was asked for, monotonic.
        key: Whose it is.
        ends_at: Until when the ticket surely lives, on the monotonic clock.
        served: What the store said when it was served, None until then.
        held_since: When that was, monotonic.
        lost_why: Why it was lost, None while it was not.
        over: The turn has ended: the ticket means nothing any more.
        stop: The body's cancellation, once we have asked for it.
        home: Its event loop, None for a synchronous holder.
        statement: In a thread: whose ``with`` statement has entered it, where that is known.
        context: The context of whoever entered it, for as long as the turn goes on.
    """

    # Nearly every turn ends with these as they begin, so they are not written into each.
    served: TicketStatus | None = None
    held_since = 0.0
    lost_why: str | None = None
    stop: BodyCancellation | None = None
    over = False
    statement: Statement | None = None
    _listening = True
    _cancellations = 0
    _lost_event: asyncio.Event | None = None
    _task: weakref.ref[asyncio.Task[Any]] | None = None

    def __init__(  # noqa: PLR0913 - a turn's facts, handed over once
        self,
        keeper: LeaseHost,
        handle: TicketHandle,
        request: Request,
        key: Hashable,
        home: Home[Any] | None,
        task: asyncio.Task[Any] | None,
        asked: float,
    ) -> None:
        self._host = keeper
        self.handle = handle
        self.request = request
        self.key = key
        self.home = home
        if task is not None:
            self._task = weakref.ref(task)
            self._cancellations = getattr(task, "cancelling", _none)()
        self.context: contextvars.Context | None = contextvars.copy_context()
        self.asked = asked
        self.ends_at = asked + request.lifetime  # until it is answered, nothing rests on this

    # What it is

    @property
    def lifetime(self) -> float:
        """Seconds of a full lease."""
        return self.request.lifetime

    @property
    def options(self) -> Options:
        """How its turn behaves."""
        return self.request.options

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

    def is_holding(self) -> bool:
        """Return whether it has been served, as against waiting."""
        return self.served is not None

    # Whose it is

    @property
    def task(self) -> asyncio.Task[Any] | None:
        """The task whose body holds it; None for a synchronous holder, and while it is unknown."""
        task = None if self._task is None else self._task()
        return None if task is None or task.done() else task

    def meet(self) -> None:
        """Find out who works under this lock, if the task that entered it has ended.

        Up to Python 3.11, ``asyncio.wait_for(lock.__aenter__(), ...)`` enters in a task of its own.
        Whoever uses the lock after that is the body.
        """
        if self.home is not None and not self.over and self.task is None:
            task = current_task()
            if task is not None:
                self._task = weakref.ref(task)
                self._cancellations = getattr(task, "cancelling", _none)()

    def is_of(self, task: asyncio.Task[Any]) -> bool:
        """Return whether this task entered it: ids of tasks that are gone are given out again."""
        return self._task is not None and self._task() is task

    def in_its_context(self, callback: Callable[..., _T], *args: Any) -> _T:  # noqa: ANN401
        """Call something in the context of the turn: its logs are the turn's, its callback too."""
        context = self.context
        # A copy: the same context can't be entered twice, as two threads or tasks may want to.
        return callback(*args) if context is None else context.copy().run(callback, *args)

    def _on_its_loop(self, callback: Callable[[], None]) -> None:
        """Call something on the holder's loop: whoever brings news may be on any thread."""
        loop = None if self.home is None else self.home.loop()
        if loop is None or running_loop() is loop:
            callback()
            return
        with suppress(RuntimeError):  # a closed loop: nobody holds it any more
            loop.call_soon_threadsafe(callback, context=contextvars.Context())

    # Its loss

    def lost_event(self) -> asyncio.Event:
        """Return the event that is set when the lock is lost."""
        if self._lost_event is None:
            self._lost_event = asyncio.Event()
            if self.lost_why is not None:
                self._lost_event.set()
        return self._lost_event

    def lose(self, why: str) -> None:
        """Note that the lock is lost, once: warn, tell, and cancel the body if that is wanted."""
        if self.over or self.lost_why is not None:
            return
        self.lost_why = why
        if self.options.on_lost == "cancel" and self.task is None:
            why += self._why_not_cancelled()
        self.in_its_context(
            logger.warning,
            "The lock of conversation %r (ticket %d) was lost after being held for %.3g s: %s. "
            "Another message may be handled beside this one; renew long turns (auto_renew=True), "
            "give them a longer lock_lifetime, or check lock.fencing_token where you write.",
            self.handle.conversation_id,
            self.handle.number,
            monotonic() - self.held_since,
            why,
        )
        self._on_its_loop(self._tell_loss)

    def _tell_loss(self) -> None:
        if self._lost_event is not None:
            self._lost_event.set()
        if self.options.on_lost == "cancel":
            self._cancel_body(LockLost)

    def _why_not_cancelled(self) -> str:
        if self.home is None:
            return ""
        return (
            ", and its body can't be cancelled: the task that entered it has ended (up to Python "
            "3.11 asyncio.wait_for() makes one of its own; use lock(timeout=...)), or there was "
            "none"
        )

    def _cancel_body(self, kind: type[LockError]) -> None:
        task = self.task
        stoppable = self._listening and self.served is not None and self.stop is None
        if stoppable and task is not None:
            self.stop = BodyCancellation(task, kind, self._cancellations)

    def stopped(self) -> LockError:
        """Return the error with which a turn ends whose body we cancelled or whose lock is lost."""
        kind = LockLost if self.stop is None else self.stop.kind
        name, number = self.handle.conversation_id, self.handle.number
        if kind is LockInterrupted:
            what = "was interrupted by a newer message"
        else:
            what = f"was lost: {self.lost_why or self.how_it_went()}"
        held = monotonic() - self.held_since
        return kind(
            f"The turn of conversation_id '{name}' (ticket {number}) {what}, after {held:.3g} s.",
            conversation_id=name,
            number=number,
            waited=self.waited,
        )

    def how_it_went(self) -> str:
        """Return why a ticket that is not in line any more is gone."""
        return EXPIRED if monotonic() >= self.ends_at else RELEASED


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
