"""The four machines of one ticket, side by side: each event moves them and returns effects.

The events, and who brings them:

=======================  ==========================================================
``wait_on``, ``begin``   its owner: the task or thread that entered the turn
``end_body``             its owner
``give_up``              its owner; a finaliser, or a closed loop, once nobody is left to leave
``hear``                 a bell or a poll, about a ticket that is held
``seen``                 a poll, about a ticket of either kind
``tick``                 the watch: a moment has come that nobody pushes
``poll_failed``          the watch: the store could not be asked
``lose``                 whoever found out that the lock is lost; the end of the store
``stop_body``            its owner's loop, where the lock is lost or a newer message interrupts
``over``                 its owner; the child of a fork, whose parent has the ticket
=======================  ==========================================================

Who puts them in order, without a mutex: a ticket belongs to one owner. All events but ``lose`` and
``give_up`` come on the owner's event loop, one after the other; news from another thread is called
over to it first. A thread in its body can't be called over to: there, news comes on the thread
that brings it, and may only ``lose``, which one step under the GIL claims. A finaliser gives up
only what no owner has any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from nowserving._life import rules
from nowserving._life.body import Body
from nowserving._life.lease import Lease
from nowserving._life.poll import Poll
from nowserving._life.stay import Stay
from nowserving.errors import LockInterrupted, LockLost
from nowserving.protocol.status import ALIVE, INTERRUPTED, KeptPlace, why_gone

if TYPE_CHECKING:
    from nowserving._config.options import Options, Request
    from nowserving.errors import LockError
    from nowserving.protocol.handle import TicketHandle
    from nowserving.protocol.status import LineUpdate, Outcome, TicketStatus


class TellLoss(NamedTuple):
    """Tell the holder and the log that the lock is lost."""

    why: str


class CancelBody(NamedTuple):
    """Cancel the body; ``kind`` is the error with which its turn ends for that."""

    kind: type[LockError]


class TellExpiring(NamedTuple):
    """Call ``on_expiring``."""


class GiveBack(NamedTuple):
    """Give the ticket back behind its holder's back."""

    outcome: Outcome


class Wake(NamedTuple):
    """Wake the waiter with news."""

    news: TicketStatus


class TellWait(NamedTuple):
    """Log that it goes on waiting, behind ``ahead`` others."""

    ahead: int


Effect = TellLoss | CancelBody | TellExpiring | GiveBack | Wake | TellWait

NOTHING: tuple[Effect, ...] = ()


class Loss:
    """Why a lock was lost. A claim, too: of two that come at once, one is the first."""

    __slots__ = ("why",)

    def __init__(self, why: str) -> None:
        self.why = why


class Life(Stay, Lease, Body, Poll):
    """A ticket, as far as tables can say.

    Args:
        handle: The ticket as the store knows it.
        request: What its turn asks for.
        asked: When the ticket is asked for, monotonic.

    Attributes:
        handle: The same.
        request: The same.
        asked: The same.
        pushes: Whether the store loses no notice.
        served: What the store said when it was served; None until then.
        held_since: When that was, monotonic; there once it is served.
        loss: Why the lock was lost; None while it is not.
    """

    pushes: bool
    served: TicketStatus | None
    held_since: float
    loss: Loss | None = None

    def __init__(self, handle: TicketHandle, request: Request, asked: float) -> None:
        # What every turn writes is written here and has no default in the class: CPython 3.11 to
        # 3.13 write an attribute that hides one of the class by the slow way. What few turns write
        # has a default there, and is not written here.
        self.stay, self.body, self.poll = "asked", "not begun", "unwatched"
        self.handle = handle
        self.request = request
        self.asked = asked
        self.served = self.outcome = None
        self.pushes = False
        self.poll_at = 0.0
        self._answer = (asked, asked + request.lifetime)  # nothing rests on it until it is answered

    @property
    def options(self) -> Options:
        """How its turn behaves."""
        return self.request.options

    @property
    def lifetime(self) -> float:  # type: ignore[override]  # what the lease calls its own
        """Seconds of a full lease."""
        return self.request.lifetime

    @property
    def renewed(self) -> bool:  # type: ignore[override]
        """Whether the heartbeat renews it."""
        return self.request.options.auto_renew

    @property
    def place(self) -> KeptPlace | None:
        """What of it stays in line if its body never begins; None if nothing does."""
        options = self.request.options
        if options.ticket is None or not options.keep_place:
            return None
        return KeptPlace(options.ticket, self.request.lifetime)

    @property
    def kept_place(self) -> KeptPlace | None:
        """What of it stays in line when it is given back now; nothing once its body may run."""
        return self.place if self.served is None else None

    # From take to body

    def wait_on(self, asked: float, status: TicketStatus) -> None:
        """A question was answered while it waits for its turn.

        Args:
            asked: When the question was sent, monotonic.
            status: The answer.
        """
        self.confirm(asked, status)
        self.blocked_until = asked + status.blocked_for
        self.move("waits")

    def hear_waiting(self, news: TicketStatus, now: float) -> None:
        """It was pushed that it still waits, and until when the line will not move on.

        Args:
            news: What was pushed.
            now: The monotonic clock.
        """
        self.blocked_until = now + news.blocked_for
        self.poll_at = 0.0  # what was planned before is planned anew

    def begin(self, status: TicketStatus, now: float) -> tuple[Effect, ...]:
        """It is served, and the body is about to run: from now on news of it is heard.

        Args:
            status: What the store said of it.
            now: The monotonic clock.
        """
        self.served = status
        self.held_since = now
        # Last, for whoever closes the store looks from another thread; as the tables say, of
        # "served" and "begin".
        self.stay, self.body = "holding", "running"
        # A holder is looked after at other moments than a waiter; most at one alone.
        alone = self.pushes and not self.request.options.has_moments
        self.poll_at = self._answer[1] if alone else 0.0
        return self.hear(status) if status.state is INTERRUPTED else NOTHING

    # While it lives

    def hear(self, status: TicketStatus, asked: float | None = None) -> tuple[Effect, ...]:
        """Take news of the held ticket.

        Args:
            status: The news.
            asked: When it was asked for, monotonic; None for pushed news.
        """
        if not self.is_listening():
            return NOTHING
        if status.state not in ALIVE:
            return self.lose(why_gone(status.detail))
        if asked is not None:
            self.confirm(asked, status)
        if status.state is INTERRUPTED:
            return self.stop_body(LockInterrupted)
        return NOTHING

    def seen(self, update: LineUpdate, asked: float) -> tuple[Effect, ...]:
        """Take what a poll of the line said.

        Args:
            update: The answer.
            asked: When the question was sent, monotonic.
        """
        news = update.news.get(self.handle.owner)
        if self.served is not None:
            return NOTHING if news is None else self.hear(news, asked)
        self.blocked_until = asked + update.blocked_for
        if news is None:
            self.seen_waiting(asked)
            return (TellWait(self.handle.number - update.serving),)
        if news.state in ALIVE:
            self.confirm(asked, news)
        return (Wake(news),)

    def poll_failed(self, now: float, why: str) -> tuple[Effect, ...]:
        """The store could not be asked; past the lease that means that the lock is lost."""
        if self.stay != "holding" or now < self.ends_at:
            return NOTHING
        return self.lose(f"its lease ended while the store could not be asked ({why})")

    def tick(self, now: float) -> tuple[Effect, ...]:
        """See to a holder's limits that pass without anybody's doing."""
        if self.stay != "holding":
            return NOTHING
        options = self.request.options
        if options.max_hold is not None and now >= self.held_since + options.max_hold:
            lost = self.lose(f"it was held longer than max_hold={options.max_hold:g} s")
            return (GiveBack("expired"), *lost)
        if options.auto_renew and now >= self.fails_at() and self.move_lease("fails"):
            return (TellExpiring(),)
        return NOTHING

    def next_poll(self, now: float) -> float:
        """Set and return when to look after it next, if the moment that was set has passed."""
        if self.poll_at > now:
            return self.poll_at
        if self.lease == "lost":  # nothing can become of it any more
            self.poll_at = rules.NEVER
            return rules.NEVER
        moment, options = self.ends_at, self.request.options
        if not self.pushes:
            moment = min(moment, rules.next_poll(now, self.request.wait_time))
        if self.served is None:
            moment = min(moment, self.blocked_until)
        else:
            if options.max_hold is not None:
                moment = min(moment, self.held_since + options.max_hold)
            if options.auto_renew and self.lease == "running":
                moment = min(moment, self.fails_at())
        self.poll_at = moment = max(moment, now + rules.SHORTEST_SLEEP)
        return moment

    # Its loss

    def lose(self, why: str) -> tuple[Effect, ...]:
        """The lock is lost: that is told once, and not after the turn."""
        # Whoever brings the news may be on any thread: the first to put its loss in, in one step
        # under the GIL, is the one that tells.
        if self.stay == "gone" or self.lease == "lost":
            return NOTHING
        loss = Loss(why)
        if vars(self).setdefault("loss", loss) is not loss:
            return NOTHING
        self.move_lease("lost")
        return (TellLoss(why),)

    def is_lost(self, now: float) -> bool:
        """Return whether the lock is, or may be, somebody else's by now."""
        return self.lease == "lost" or (self.stay != "gone" and now >= self.ends_at)

    def stop_body(self, kind: type[LockError] = LockLost) -> tuple[Effect, ...]:
        """Ask the body to stop, if it runs and was not asked before."""
        return (CancelBody(kind),) if self.move_body("stop") else NOTHING

    # Its end

    def end_body(self, outcome: Outcome) -> bool:
        """The body has ended; return False if the ticket was left before."""
        self.body, self.poll = "ended", "off"  # wherever they were: "end" and "stop" lead there
        if self.stay != "holding":
            return False
        self.stay, self.outcome = "leaving", outcome
        return True

    def give_up(self, outcome: Outcome = "abandoned") -> bool:
        """Nobody goes on with it; return False if it was left before."""
        self.body, self.poll = "ended", "off"
        if not self.move("given up"):
            return False
        self.outcome = outcome
        return True

    def over(self) -> None:
        """It is given back, or somebody else goes on with that; or a fork left it to the parent."""
        self.body, self.poll, self.stay = "ended", "off", "gone"
