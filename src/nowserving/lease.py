"""A ticket of ours while it lives: until when, watched for what, and what its loss sets off.

The heartbeat (``renewal.py``) makes it longer, the watch (``watch.py``) looks after it while its
turn is held, the bell brings news of it; the turn (``turn.py``) begins and ends it.

The law of a lease: it never ends later than *the moment its question was sent plus what the answer
said is left*. Every answer goes through :meth:`Lease.answered`, whatever was asked: a take, a
redeeming, a look, a renewal. A push answers no question, and the moment at which it was sent is not
known. It goes through :meth:`Lease.pushed`, and counts from the last question whose answer said
that the ticket still waited: the turn that it announces began after that.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
import time
import weakref
from collections.abc import Hashable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from nowserving import rules
from nowserving.clock import monotonic
from nowserving.errors import LockError, LockInterrupted, LockLost
from nowserving.loops import running_loop
from nowserving.standing import ALIVE, INTERRUPTED, WAITING, State
from nowserving.stop import Stop

if TYPE_CHECKING:
    from collections.abc import Callable

    from nowserving.leaving import Leaving
    from nowserving.loops import Home
    from nowserving.options import Options, Request
    from nowserving.place import Place
    from nowserving.standing import Glance, Standing
    from nowserving.statement import Statement

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

LeaseKey = Hashable
"""Whose lease it is. A task that holds it, or a thread on whose stack it stands, finds it again by
``(id of the task, conversation)`` or ``(conversation, id of the thread)``, and is told that it
would wait for itself. A lease whose turn may be left by somebody else is its own key."""

EXPIRED = "its ticket expired"
RELEASED = "its ticket was released by someone else"


class Keeper(Protocol):
    """What a lease asks of what its store runs on (``runtime.py``).

    Attributes:
        pushes: Whether the queue loses no notice.
        leaving: Gives tickets back.
    """

    pushes: bool
    leaving: Leaving

    def tell_expiring(self, lease: Lease) -> None:
        """Call the ``on_expiring`` of a lease's turn."""
        ...


class Lease:
    """One ticket of this process.

    It refers neither to its turn nor to its task and loop but by weak references: what decides
    that nobody has a turn any more must not be kept alive by those who look after it.

    Args:
        keeper: What its store runs on.
        place: The ticket, as its owner holds it.
        request: What was asked for.
        key: Whose it is, see ``LeaseKey``.
        home: The event loop in which it is entered, None for a synchronous holder.
        task: The task that enters it; None where there is none.
        asked: When the ticket is asked for, monotonic.

    Attributes:
        ends_at: Until when the ticket surely lives, on the monotonic clock.
        look_at: When the watch has to mind it next, monotonic.
        looking: Whether the watch is asking for it right now.
        blocked_until: While it waits: when the line may move on without a push to it.
        served: What the store said when it was served, None until then.
        held_since: When that was, monotonic.
        lost_why: Why it was lost, None while it was not.
        watch: The mark of the watch that looks after it now, if one does.
        over: The turn has ended: the ticket means nothing any more.
        stop: The body's cancellation, once we have asked for it.
        home: Its event loop, None for a synchronous holder.
        statement: In a thread: whose ``with`` statement has entered it, where that is known.
        asked: When the ticket was asked for, monotonic.
        context: The context of whoever entered it, for as long as the turn goes on.
    """

    # Nearly every turn ends with these as they begin, so they are not written into each lease.
    look_at = 0.0
    served: Standing | None = None
    held_since = 0.0
    blocked_until = 0.0
    looking = False
    lost_why: str | None = None
    stop: Stop | None = None
    watch: object | None = None
    _answered = _waited_at = -math.inf
    _listening = True
    over = False
    _told_expiring = False
    _cancellations = 0
    _lost_event: asyncio.Event | None = None
    statement: Statement | None = None
    _task: weakref.ref[asyncio.Task[Any]] | None = None

    def __init__(  # noqa: PLR0913 - a turn's facts, handed over once
        self,
        keeper: Keeper,
        place: Place,
        request: Request,
        key: Hashable,
        home: Home[Any] | None,
        task: asyncio.Task[Any] | None,
        asked: float,
    ) -> None:
        self._keeper = keeper
        self.place = place
        self.request = request
        self.key = key
        self.home = home
        if task is not None:
            self._task = weakref.ref(task)
            self._cancellations = getattr(task, "cancelling", _none)()
        self.context: contextvars.Context | None = contextvars.copy_context()
        self.asked = asked
        self.ends_at = asked + request.lifetime  # until it is answered, nothing rests on this

    @property
    def lifetime(self) -> float:
        """Seconds of a full lease."""
        return self.request.lifetime

    @property
    def options(self) -> Options:
        """How its turn behaves."""
        return self.request.options

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

    # Its life

    def begin(self, standing: Standing, now: float) -> None:
        """The ticket is served: from now on news of it is answered.

        Args:
            standing: What the store said of it.
            now: The monotonic clock.
        """
        self.served = standing
        self.held_since = now
        # A holder is looked after by other moments than a waiter; most by one alone.
        plain = self._keeper.pushes and not self.request.options.has_moments
        self.look_at = self.ends_at if plain else 0.0
        self.place.answer(self._on_bell)
        if standing.state is INTERRUPTED:
            self.hear(standing)

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

    def stop_listening(self) -> None:
        """The body has ended: news of the ticket can't change that any more."""
        self._listening = False
        self.watch = None
        self.place.wake = None

    def expires(self) -> float:
        """Return the Unix time at which the held ticket expires, as the store told it.

        For people to read: what may be relied on is ``ends_at``, which is never later.
        """
        told = 0.0 if self.served is None else self.served.expires_in
        end = max(self.ends_at, self.held_since + told)
        return time.time() + end - monotonic()

    def is_holding(self) -> bool:
        """Return whether it has been served, as against waiting."""
        return self.served is not None

    def is_lost(self) -> bool:
        """Return whether the lock is or may be somebody else's by now."""
        return self.lost_why is not None or (not self.over and monotonic() >= self.ends_at)

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

    def needs_renewal(self, now: float, margin: float) -> bool:
        """Return whether the heartbeat at ``now`` should renew this ticket.

        Args:
            now: The monotonic clock.
            margin: Seconds by which a renewal may come early.
        """
        if self.over or self.lost_why is not None or now >= self.ends_at:
            return False
        last = self.ends_at - self.lifetime
        return now >= last + self.lifetime / 3 - margin

    # Time

    def answered(self, asked: float, standing: Standing) -> None:
        """Note what the store said of the lease; the answer to the latest question counts.

        Renewals are answered in another thread. If the two cross here, the lease counts as
        shorter than it is until the next answer, never as longer.

        Args:
            asked: When the question was sent, monotonic.
            standing: The answer, of a ticket that is in line.
        """
        if asked >= self._answered:
            self._answered = asked
            self.ends_at = asked + standing.expires_in
        if standing.state is WAITING and asked > self._waited_at:
            self._waited_at = asked

    def pushed(self, news: Standing) -> bool:
        """Take news that was pushed while it waits.

        Without renewal a turn that begins gives its ticket a whole lifetime. This one began after
        the last question that was answered with "it waits", so the ticket lives one lifetime from
        that question at least. A renewed one gets nothing anew.

        Returns:
            Whether it may be acted on without another look.
        """
        if news.state is not State.SERVED:
            return True
        if not self.options.auto_renew:
            self.ends_at = max(self.ends_at, self._waited_at + self.lifetime)
        return rules.is_ample(self.ends_at - monotonic(), self.lifetime)

    def plan_look(self, now: float) -> float:
        """Set and return when the watch has to mind this lease next, if that moment has passed."""
        if self.look_at > now:
            return self.look_at
        if self.lost_why is not None:  # nothing can become of it any more
            self.look_at = math.inf
            return math.inf
        look = self.ends_at
        options = self.options
        if not self._keeper.pushes:
            look = min(look, rules.next_look(now, self.request.wait_time))
        if self.served is None:
            look = min(look, self.blocked_until)
        else:
            if options.max_hold is not None:
                look = min(look, self.held_since + options.max_hold)
            if options.auto_renew and not self._told_expiring:
                look = min(look, self._expiring_at())
        self.look_at = look = max(look, now + rules.SHORTEST_SLEEP)
        return look

    def _expiring_at(self) -> float:
        return self.ends_at - self.lifetime / 3  # two of a lifetime's three renewals have failed

    def mind_the_time(self, now: float) -> None:
        """See to a holder's limits that pass without anybody's doing."""
        if self.served is None:
            return
        options = self.options
        if options.max_hold is not None and now >= self.held_since + options.max_hold:
            self._keeper.leaving.in_background(self.place, "expired", self.ends_at)
            self.lose(f"it was held longer than max_hold={options.max_hold:g} s")
        elif options.auto_renew and not self._told_expiring and now >= self._expiring_at():
            self._told_expiring = True
            if options.on_expiring is not None:
                self._keeper.tell_expiring(self)

    # News

    def hear(self, standing: Standing, asked: float | None = None) -> None:
        """Take news of the held ticket; on the holder's loop.

        Args:
            standing: The news.
            asked: When it was asked for, monotonic; None for pushed news.
        """
        if not self._listening:
            return
        if standing.state not in ALIVE:
            self.lose(self.how_it_went())
            return
        if asked is not None:
            self.answered(asked, standing)
        if standing.state is INTERRUPTED and self.stop is None:
            if self.task is None:
                self.lose(f"a newer message interrupts it{self._why_not_cancelled()}")
            else:
                self._cancel_body(LockInterrupted)

    def wait_on(self, standing: Standing, asked: float) -> None:
        """It waits, or has waited: remember what the store said of that.

        Args:
            standing: The answer.
            asked: When the question was sent, monotonic.
        """
        self.answered(asked, standing)
        self.blocked_until = asked + standing.blocked_for

    def seen(self, glance: Glance, asked: float) -> None:
        """Take what a look at the line said; while it waits, from the watch.

        Args:
            glance: The answer.
            asked: When the question was sent, monotonic.
        """
        news = glance.news.get(self.place.owner)
        if self.served is not None:
            if news is not None:
                self.hear(news, asked)
            return
        self.blocked_until = asked + glance.blocked_for
        if news is None:
            self._waited_at = max(self._waited_at, asked)
            self.log_the_wait(self.place.number - glance.serving, self.look_at - monotonic())
            return
        if news.state in ALIVE:
            self.answered(asked, news)
        self.place.ring(news)

    def log_the_wait(self, ahead: int, delay: float) -> None:
        """Write the reference's one DEBUG record a look.

        Args:
            ahead: How many items are in front.
            delay: Seconds until the next look.
        """
        if not logger.isEnabledFor(logging.DEBUG):
            return
        self.in_its_context(
            logger.debug,
            "Conversation %r: ticket %d has %d item(s) ahead of it, looking again in %.3g s",
            self.place.conversation_id,
            self.place.number,
            ahead,
            delay,
        )

    def how_it_went(self) -> str:
        """Return why a ticket that is not in line any more is gone."""
        return EXPIRED if monotonic() >= self.ends_at else RELEASED

    def look_failed(self, why: str) -> None:
        """The store could not be asked; past the lease that means that the lock is lost."""
        if self.served is not None and monotonic() >= self.ends_at:
            self.lose(f"its lease ended while the store could not be asked ({why})")

    def _on_bell(self) -> None:
        self._on_its_loop(self._hear_bell)

    def _on_its_loop(self, callback: Callable[[], None]) -> None:
        """Call something on the holder's loop: whoever brings news may be on any thread."""
        loop = None if self.home is None else self.home.loop()
        if loop is None or running_loop() is loop:
            callback()
            return
        with suppress(RuntimeError):  # a closed loop: nobody holds it any more
            loop.call_soon_threadsafe(callback, context=contextvars.Context())

    def _hear_bell(self) -> None:
        news = self.place.take_news()
        if news is not None:
            self.hear(news)

    # Loss

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
            self.place.conversation_id,
            self.place.number,
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
            self.stop = Stop(task, kind, self._cancellations)

    def stopped(self) -> LockError:
        """Return the error with which a turn ends whose body we cancelled or whose lock is lost."""
        kind = LockLost if self.stop is None else self.stop.kind
        name, number = self.place.conversation_id, self.place.number
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
