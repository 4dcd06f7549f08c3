"""A ticket of ours while it lives: until when, and watched for what.

The heartbeat (``renewal.py``) makes it longer, the watch (``watch.py``) looks after it while its
turn is held, the bell brings news of it; the turn (``turn.py``) begins and ends it.

The law of a lease: it never ends later than *the moment its question was sent plus what the answer
said is left*. Every answer goes through :meth:`Lease.answered`, whatever was asked: a take, a
redeeming, a look, a renewal. A push answers no question, and the moment at which it was sent is not
known. It goes through :meth:`Lease.pushed`, and counts from the last question whose answer said
that the ticket still waited: the turn that it announces began after that.
"""

from __future__ import annotations

import logging
import math
import time
from typing import TYPE_CHECKING

from nowserving._host.clock import monotonic
from nowserving._turns import rules
from nowserving._turns.stay import Stay
from nowserving.errors import LockInterrupted
from nowserving.protocol.status import ALIVE, INTERRUPTED, WAITING, State

if TYPE_CHECKING:
    from nowserving.protocol.status import LineUpdate, TicketStatus

logger = logging.getLogger("nowserving.lease")


class Lease(Stay):
    """A stay, and how long this process may rely on its ticket.

    Attributes:
        look_at: When the watch has to mind it next, monotonic.
        looking: Whether the watch is asking for it right now.
        blocked_until: While it waits: when the line may move on without a push to it.
        watch: The mark of the watch that looks after it now, if one does.
    """

    # Nearly every turn ends with these as they begin, so they are not written into each lease.
    look_at = 0.0
    blocked_until = 0.0
    looking = False
    watch: object | None = None
    _answered = _waited_at = -math.inf
    _told_expiring = False

    # Its life

    def begin(self, status: TicketStatus, now: float) -> None:
        """The ticket is served: from now on news of it is answered.

        Args:
            status: What the store said of it.
            now: The monotonic clock.
        """
        self.served = status
        self.held_since = now
        # A holder is looked after by other moments than a waiter; most by one alone.
        plain = self._host.pushes and not self.request.options.has_moments
        self.look_at = self.ends_at if plain else 0.0
        self.handle.answer(self._on_bell)
        if status.state is INTERRUPTED:
            self.hear(status)

    def stop_listening(self) -> None:
        """The body has ended: news of the ticket can't change that any more."""
        self._listening = False
        self.watch = None
        self.handle.wake = None

    def expires(self) -> float:
        """Return the Unix time at which the held ticket expires, as the store told it.

        For people to read: what may be relied on is ``ends_at``, which is never later.
        """
        told = 0.0 if self.served is None else self.served.expires_in
        end = max(self.ends_at, self.held_since + told)
        return time.time() + end - monotonic()

    def is_lost(self) -> bool:
        """Return whether the lock is or may be somebody else's by now."""
        return self.lost_why is not None or (not self.over and monotonic() >= self.ends_at)

    def is_abandoned(self) -> bool:
        """Return whether its event loop is closed, so that nobody is left to leave.

        The end of the task, or of the thread, that entered it means nothing: its turn may be left
        elsewhere. And a turn that nobody has any more says so itself.
        """
        return self.home is not None and self.home.is_closed()

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

    def answered(self, asked: float, status: TicketStatus) -> None:
        """Note what the store said of the lease; the answer to the latest question counts.

        Renewals are answered in another thread. If the two cross here, the lease counts as
        shorter than it is until the next answer, never as longer.

        Args:
            asked: When the question was sent, monotonic.
            status: The answer, of a ticket that is in line.
        """
        if asked >= self._answered:
            self._answered = asked
            self.ends_at = asked + status.expires_in
        if status.state is WAITING and asked > self._waited_at:
            self._waited_at = asked

    def pushed(self, news: TicketStatus) -> bool:
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
        if not self._host.pushes:
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
            self._host.leaving.in_background(self.handle, "expired", self.ends_at)
            self.lose(f"it was held longer than max_hold={options.max_hold:g} s")
        elif options.auto_renew and not self._told_expiring and now >= self._expiring_at():
            self._told_expiring = True
            if options.on_expiring is not None:
                self._host.tell_expiring(self)

    # News

    def hear(self, status: TicketStatus, asked: float | None = None) -> None:
        """Take news of the held ticket; on the holder's loop.

        Args:
            status: The news.
            asked: When it was asked for, monotonic; None for pushed news.
        """
        if not self._listening:
            return
        if status.state not in ALIVE:
            self.lose(self.how_it_went())
            return
        if asked is not None:
            self.answered(asked, status)
        if status.state is INTERRUPTED and self.stop is None:
            if self.task is None:
                self.lose(f"a newer message interrupts it{self._why_not_cancelled()}")
            else:
                self._cancel_body(LockInterrupted)

    def wait_on(self, status: TicketStatus, asked: float) -> None:
        """It waits, or has waited: remember what the store said of that.

        Args:
            status: The answer.
            asked: When the question was sent, monotonic.
        """
        self.answered(asked, status)
        self.blocked_until = asked + status.blocked_for

    def seen(self, line_update: LineUpdate, asked: float) -> None:
        """Take what a look at the line said; while it waits, from the watch.

        Args:
            line_update: The answer.
            asked: When the question was sent, monotonic.
        """
        news = line_update.news.get(self.handle.owner)
        if self.served is not None:
            if news is not None:
                self.hear(news, asked)
            return
        self.blocked_until = asked + line_update.blocked_for
        if news is None:
            self._waited_at = max(self._waited_at, asked)
            self.log_the_wait(self.handle.number - line_update.serving, self.look_at - monotonic())
            return
        if news.state in ALIVE:
            self.answered(asked, news)
        self.handle.ring(news)

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
            self.handle.conversation_id,
            self.handle.number,
            ahead,
            delay,
        )

    def look_failed(self, why: str) -> None:
        """The store could not be asked; past the lease that means that the lock is lost."""
        if self.served is not None and monotonic() >= self.ends_at:
            self.lose(f"its lease ended while the store could not be asked ({why})")

    def _on_bell(self) -> None:
        self._on_its_loop(self._hear_bell)

    def _hear_bell(self) -> None:
        news = self.handle.take_news()
        if news is not None:
            self.hear(news)
