"""One event loop's calls to one server: in order, in shared round trips, each by its deadline.

A call that finds few batches in flight goes out at once, in its caller's own iteration of the loop:
the loop may be blocked right after it, and the take of another process would overtake this one.
Batches follow each other over one connection. Calls that were answered together ask again together:
after a large batch was answered, what its tasks ask for next is collected into one batch. Otherwise
100 busy conversations would need 100 round trips. Lazy calls (polls, renewals, sweeps) need no
order and let all others go first; only one batch with lazy calls is in flight at a time, so that no
hand-off travels behind many.

A batch is a list of groups. A group is what is answered as a whole: whatever the server refuses, it
refuses a whole group, so resending keeps the order within a conversation.

Calls are carried out in the order in which they were made, which is the order in which ``lock()``
was entered, also when the server refuses some of them. So one batch follows another only over a
connection that is *proven*: its last batch was answered well, and nothing stands in the way of the
next. After a refusal nothing goes out until all that is in flight has been answered; then what was
refused is sent again, in order, before everything else, and alone.

What can go wrong with a call, and what happens then:

* Its caller is cancelled, or waits no longer (``within``): the batch goes on, only the result is
  dropped. What was not sent yet is not sent any more.
* The connection breaks with the call in flight: nobody knows whether it arrived. It is sent again
  over the next connection in the form for repetition; every verb finds what it did before.
* The server does not answer: after half of the time the connection is taken for dead and another
  one tried, which after a failover leads elsewhere. At its deadline the call fails with
  ``StoreUnavailable``. A batch that is late takes its connection with it, since its replies
  could no longer be told apart.
* The server can't serve now: the call is sent again, over a new connection, until its deadline.
* The server can't be reached: dialling goes on until the deadline. Where nobody ever listened it is
  given up after a second: that is a wrong address, not an outage.
* The loop is blocked, or the process paused: calls get that time back (``deadlines.py``).
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Generic

from nowserving._host.background import later
from nowserving.errors import StoreClosed
from nowserving.stores._remote.backlog import Backlog
from nowserving.stores._remote.call import Call
from nowserving.stores._remote.coalescing import Coalescing
from nowserving.stores._remote.deadlines import Watchdog
from nowserving.stores._remote.reconnecting import ReconnectingConnection
from nowserving.stores._remote.server import ConnectionT

if TYPE_CHECKING:
    from collections.abc import Callable

    from nowserving.stores._remote.server import Server
    from nowserving.stores._remote.trouble import Trouble
    from nowserving.stores._remote.unreachable import Unreachable

MAX_BATCH = 500
"""Calls in one batch: so many keep no server busy for more than a few milliseconds."""

_LAZY_WAIT = 0.002
"""Seconds for which a lazy call waits for others."""


class RemoteSession(Generic[ConnectionT]):
    """The calls of one event loop to one server.

    A subclass writes batches and reads replies.

    Args:
        server: The server.
        timeout: Seconds within which a call is answered or fails.
        trouble: What keeps it from being served.
        on_reply: Takes each reply: answers the oldest group in flight, then calls
            :meth:`_answered`.
    """

    def __init__(
        self,
        server: Server[ConnectionT],
        timeout: float,
        trouble: Trouble,
        on_reply: Callable[[Any], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeout = timeout
        self._trouble = trouble
        self._connection = ReconnectingConnection(
            server,
            on_reply=on_reply,
            on_up=self._send_collected,
            on_lost=self._lost,
            on_failure=self._not_connected,
            wanted=lambda: bool(self._backlog),
        )
        self._watchdog = Watchdog(self._loop, timeout, self._under_way, self._check_deadlines)
        self._coalescing = Coalescing()
        self._backlog = Backlog()
        self._lazy_timer: asyncio.TimerHandle | None = None
        self._in_flight: deque[list[Call]] = deque()  # the groups of all batches in flight
        self._lazy_in_flight: list[Call] | None = None  # the last group of the batch with lazy ones
        self._refused: list[Call] = []  # to be sent again when all that is in flight is answered
        self._proven = False  # whether one batch may follow another
        self._collecting = False  # those who were just answered are about to ask for more
        self._closed = False

    def call(  # noqa: PLR0913 - what to say, and how it travels
        self,
        key: bytes,
        args: tuple[Any, ...],
        again: tuple[Any, ...] | None = None,
        *,
        lazy: bool = False,
        timeout: float | None = None,
        within: float | None = None,
        alone: bool = False,
    ) -> Call:
        """Send a verb; await the ``future`` of what is returned.

        Args:
            key: The record's key; empty to send ``args`` as a plain command.
            args: The verb's name and its arguments.
            again: The same for a repetition; ``args`` by default.
            lazy: It lets everything else go first, and waits a moment for others, so that the
                polls of many, whose timers fire together, share a round trip.
            timeout: Seconds until it fails; the session's own by default.
            within: Seconds that its caller waits: then its ``future`` fails with
                ``asyncio.TimeoutError``, and the call goes on without it. No timer is set for it,
                and the connection is not blamed.
            alone: It shares no group with others: what a server refuses, it refuses as a whole.
        """
        loop = self._loop
        timeout = self._timeout if timeout is None else timeout
        call = Call(key, args, again or args, loop.create_future(), loop.time(), timeout, within)
        call.alone = alone
        self.push(call, lazy=lazy)
        return call

    def push(self, call: Call, *, lazy: bool = False) -> None:
        """Send a call behind all others."""
        if self._closed:
            call.fail(StoreClosed("The lock store is closed."))
            return
        connection, waiting = self._connection.current, self._backlog.calls
        coalescing = self._coalescing
        if lazy:
            self._backlog.lazy.append(call)
            if self._lazy_timer is None:
                self._lazy_timer = later(self._loop, _LAZY_WAIT, self._send_lazy)
        elif connection is not None and not (waiting or self._in_flight or self._collecting):
            self._send([call], connection)  # nothing is before it: the usual case, with no detour
        elif (
            connection is not None
            and not waiting
            and coalescing.free_at <= call.asked
            and self._may_follow(call, call.asked)
        ):
            self._send([call], connection)
        else:
            waiting.append(call)
            if call.asked > coalescing.late_at and coalescing.ends(call.asked, len(waiting)):
                self._send_waiting()
        if connection is None:
            self._connection.dial()
        watchdog = self._watchdog
        if call.retry_at < watchdog.wakes_at or call.until < watchdog.wakes_at:
            watchdog.mind(call)

    def hurry(self) -> None:
        """Send now what waits for others: the process may be about to end."""
        connection = self._connection.current
        if connection is not None and self._proven:
            batch = self._next_batch(lazy=False)
            if batch:
                self._send(batch, connection)

    def close(self) -> None:
        """Close the connection; calls under way fail with ``StoreClosed``."""
        self._closed = True
        for call in self._under_way():
            call.fail(StoreClosed("The lock store was closed while a call was under way."))
        self._in_flight, self._backlog, self._refused = deque(), Backlog(), []
        if self._lazy_timer is not None:
            self._lazy_timer.cancel()
        self._watchdog.stop()
        self._connection.close()

    def hang_up(self) -> None:
        """Have the server end the connection of a loop that does not run."""
        self._connection.hang_up()

    def abandon(self) -> None:
        """Let go of a connection whose loop is closed."""
        self._closed = True
        self._connection.abandon_socket()

    # What a subclass says

    def _write(self, batch: list[Call], connection: ConnectionT) -> None:
        """Write a batch, and put its groups behind those in flight."""
        raise NotImplementedError

    def _is_proven(self) -> bool:
        """Return whether batches may follow each other, now that the last one went well."""
        raise NotImplementedError

    def _forget_connection(self) -> None:
        """Forget what was known of a connection that is gone."""
        self._proven = False

    # Sending

    def _send(self, batch: list[Call], connection: ConnectionT) -> None:
        self._coalescing.last_size = len(batch)
        for call in batch:
            call.sent = True
        self._write(batch, connection)

    def _send_lazy(self) -> None:
        self._lazy_timer = None
        self._send_waiting()

    def _send_collected(self) -> None:
        self._collecting = False
        self._send_waiting()

    def _send_waiting(self) -> None:
        connection, backlog = self._connection.current, self._backlog
        while connection is not None and (not self._in_flight or self._may_join(backlog.calls)):
            lazy = len(backlog.lazy)
            batch = self._next_batch()
            if not batch:
                return
            now = self._loop.time()
            if batch[0].retry_at < now + self._timeout / 4:
                for call in batch:  # they waited for long, but not for this connection
                    call.renew_retry_at(now)
            self._send(batch, connection)
            if len(backlog.lazy) < lazy:
                self._lazy_in_flight = self._in_flight[-1]

    def _may_join(self, waiting: deque[Call]) -> bool:
        """Return whether calls that wait may go out although a batch is in flight already."""
        if not waiting:
            return False
        now = self._loop.time()
        return self._coalescing.waits_long(waiting[0], now) and self._may_follow(waiting[0], now)

    def _may_follow(self, call: Call, now: float) -> bool:  # noqa: ARG002 - a subclass may ask it
        return self._proven and self._coalescing.take(now)

    def _next_batch(self, *, lazy: bool = True) -> list[Call]:
        return self._backlog.next_batch(MAX_BATCH, lazy=lazy and self._lazy_in_flight is None)

    # After an answer

    def _answered(self, group: list[Call]) -> None:
        """Go on after a group in flight was answered, well or not."""
        if group is self._lazy_in_flight:
            self._lazy_in_flight = None
        backlog = self._backlog
        if not self._in_flight:
            if not self._proven:
                self._all_answered()
            if not self._collecting and (backlog or len(group) > 1):
                # Behind the steps of those who were answered, so that what they ask for next
                # shares a round trip; the first of them would else go out alone.
                self._collecting = True
                # The context here is empty: the connection's.
                self._loop.call_soon(self._send_collected)
        elif backlog.calls:
            self._send_waiting()

    def _all_answered(self) -> None:
        """Nothing is in flight any more over a connection that is not proven."""
        if self._refused:
            self._put_back(self._refused)
        else:
            self._proven = self._is_proven()
        if self._trouble.pause:
            self._forget_connection()
            self._connection.abandon()
            self._connection.dial(self._trouble.take_pause())

    def _put_back(self, calls: list[Call]) -> None:
        self._backlog.put_back(calls)
        self._refused = []

    # The connection

    def _lost(self, error: BaseException) -> None:
        self._trouble.note(error)
        in_flight = [call for group in self._in_flight for call in group]
        for call in in_flight:
            call.lost()
        self._in_flight, self._lazy_in_flight = deque(), None
        self._forget_connection()
        self._put_back(self._refused + in_flight)
        self._trouble.pause = 0.0
        if self._backlog:
            self._connection.dial()

    def _break_off(self, why: str) -> None:
        if self._connection.current is not None:
            self._connection.current.abort(asyncio.TimeoutError(why))

    def _not_connected(self, failure: Unreachable) -> None:
        words = self._trouble.not_connected(failure)
        if words is not None:
            backlog, self._backlog = self._backlog, Backlog()
            for call in backlog:
                call.fail(self._trouble.unreachable(words))

    # Deadlines

    def _under_way(self) -> list[Call]:
        in_flight = (call for group in self._in_flight for call in group)
        return [*in_flight, *self._refused, *self._backlog]

    def _check_deadlines(self, now: float) -> None:
        if any(
            call.deadline <= now or (call.retry_at <= now and not call.repeated)
            for group in self._in_flight
            for call in group
        ):
            self._break_off("no answer in time")
        late = self._take_out(lambda call: call.deadline <= now)
        for call in late:
            call.fail(self._trouble.too_late(call))
        for call in self._under_way():
            if call.until <= now:
                call.give_up()

    def _take_out(self, wanted: Callable[[Call], bool]) -> list[Call]:
        """Take out and return what is wanted of all that waits on this side."""
        found = [call for call in self._refused if wanted(call)]
        if found:
            self._refused = [call for call in self._refused if not wanted(call)]
        return found + self._backlog.take_out(wanted)
