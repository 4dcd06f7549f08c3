"""One event loop's conversation with one Redis: calls in order, shared round trips, deadlines.

Whatever is asked for while a round trip is in flight goes out together in the next one, as one
script call. A call that finds nothing in flight goes out at once, in its caller's own iteration
of the loop. One flight at a time over one connection keeps the order in which the calls were
made, which is the order in which ``lock()`` was entered.

A flight is a list of groups. A group is what one command carries: all calls of the flight here,
those of one conversation in a cluster (``node.py``). Whatever Redis refuses, it refuses a group
of, so nobody overtakes within a conversation when the group is sent again.

What can go wrong with a call, and what happens then:

* Its caller is cancelled, or waits no longer (``within``): the flight goes on, only the result is
  dropped. What was not sent yet is not sent any more.
* The connection breaks with the call in flight: nobody knows whether it arrived. It is sent again
  over the next connection in the form for repetition; every verb finds what it did before.
* Redis does not answer: after half of the time the connection is taken for dead and another one
  tried, which after a failover leads elsewhere. At its deadline the call fails with
  ``StoreUnavailable``. A flight that is late takes its connection with it, since its replies
  could no longer be told apart.
* Redis can't serve now (it loads its data, it is a replica by now): the call is sent again, over
  a new connection, until its deadline.
* Redis can't be reached: dialling goes on until the deadline. Where nobody ever listened it is
  given up after a second: that is a wrong address, not an outage.
* The process is paused: on waking, late deadlines fire first; nothing is decided from old news.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import hiredis

from nowserving.errors import LockError, StoreClosed, StoreUnavailable
from nowserving.queues.redis.backlog import Backlog
from nowserving.queues.redis.call import Call
from nowserving.queues.redis.diagnosis import is_hopeless, is_nobody_there, told
from nowserving.queues.redis.replies import error_of
from nowserving.queues.redis.uplink import FIRST_DELAY, LONGEST_DELAY, Uplink

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nowserving.queues.redis.dial import Server
    from nowserving.queues.redis.terms import Terms
    from nowserving.queues.redis.wire import Wire

MAX_BATCH = 500
"""Verbs in one round trip: some 2 ms of Redis at the most."""

_LOOKS_WAIT = 0.002
"""Seconds for which a look waits for others."""

_REST = 0.005
"""Seconds between two looks at the deadlines, since each goes through all calls."""

_GRACE = 1.0
"""Seconds for which a server that was never there is looked for."""

_TRANSIENT = (
    "LOADING",
    "BUSY",
    "MASTERDOWN",
    "TRYAGAIN",
    "CLUSTERDOWN",
    "READONLY",
    "ERR max number of clients",
)
"""What passes by itself: a restart or a failover is going on, or too many are connected."""


class Session:
    """The command connection of one event loop to one server.

    Args:
        server: The server.
        terms: How calls travel.
    """

    def __init__(self, server: Server, terms: Terms) -> None:
        self._loop = asyncio.get_running_loop()
        self._server = server
        self._outage = server.outage
        self._terms = terms
        self._uplink = Uplink(
            server,
            on_reply=self._land if terms.replicas is None else self._arrive,
            on_up=self._depart,
            on_lost=self._lost,
            on_failure=self._not_connected,
            wanted=lambda: bool(self._backlog),
        )
        self._backlog = Backlog()
        self._flight: deque[list[Call]] = deque()
        self._refused: list[Call] = []  # of this flight, to be sent again after it
        self._held: list[Any] | None = None  # replies that wait for the replicas'
        self._must_load = False
        self._pause, self._next_pause = 0.0, FIRST_DELAY
        self._gathering = False  # those who were just answered are about to ask for more
        self._crowd = 0  # calls of the last flight
        self._looking: asyncio.TimerHandle | None = None
        self._watchdog: asyncio.TimerHandle | None = None
        self._wakes_at = math.inf
        self._last_error: BaseException | None = None
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
    ) -> Call:
        """Send a verb; await the ``future`` of what is returned.

        Args:
            key: The record's key; empty to send ``args`` as a plain command.
            args: The verb's name and its arguments.
            again: The same for a repetition; ``args`` by default.
            lazy: It is a look, which lets everything else go first, and waits a moment for
                others, so that the looks of many, whose timers fire together, share a round trip.
            timeout: Seconds until it fails; the session's own by default.
            within: Seconds that its caller waits: then its ``future`` fails with
                ``asyncio.TimeoutError``, and the call goes on without it. No timer is set for it,
                and the connection is not blamed.
        """
        loop = self._loop
        timeout = self._terms.timeout if timeout is None else timeout
        call = Call(key, args, again or args, loop.create_future(), loop.time(), timeout, within)
        self.push(call, lazy=lazy)
        return call

    def push(self, call: Call, *, lazy: bool = False) -> None:
        """Send a call behind all others."""
        if self._closed:
            call.fail(StoreClosed("The lock store is closed."))
            return
        wire, backlog = self._uplink.wire, self._backlog
        if lazy:
            backlog.looks.append(call)
            self._look_soon()
        elif wire is None or self._flight or self._gathering:
            backlog.calls.append(call)
        elif backlog.calls or backlog.looks:
            backlog.calls.append(call)
            self._depart()
        else:
            self._send([call], wire)  # nothing is before it: the usual case, without a detour
        if wire is None:
            self._uplink.dial()
        if call.doubt < self._wakes_at or call.until < self._wakes_at:
            self._watch(min(call.doubt, call.until))

    async def shards(self) -> list[Session]:
        """Return the sessions that together reach every record."""
        return [self]

    def close(self) -> None:
        """Close the connection; calls under way fail with ``StoreClosed``."""
        self._closed = True
        for call in self._under_way():
            call.fail(StoreClosed("The lock store was closed while a call was under way."))
        self._flight, self._backlog, self._refused = deque(), Backlog(), []
        for timer in (self._looking, self._watchdog):
            if timer is not None:
                timer.cancel()
        self._uplink.close()

    def abandon(self) -> None:
        """Let go of a connection whose loop is closed."""
        self._closed = True
        self._uplink.abandon_socket()

    # Flights

    def _look_soon(self) -> None:
        if self._looking is None:
            self._looking = self._loop.call_later(_LOOKS_WAIT, self._look)

    def _look(self) -> None:
        self._looking = None
        self._depart()

    def _depart(self) -> None:
        self._gathering = False
        wire = self._uplink.wire
        if wire is not None and not self._flight:
            batch = self._backlog.next_batch(MAX_BATCH)
            if batch:
                now = self._loop.time()
                if batch[0].doubt < now + self._terms.timeout / 4:
                    for call in batch:  # they waited for long, but not for this connection
                        call.doubt = min(call.deadline, now + call.deadline - call.doubt)
                self._send(batch, wire)

    def _send(self, batch: list[Call], wire: Wire) -> None:
        self._crowd = len(batch)
        for call in batch:
            call.sent = True
        commands = self._pack(batch)
        replicas = self._terms.replicas
        if replicas is not None and batch[0].key and replicas.concern(batch):
            commands.append(replicas.command)
            self._held = []
        wire.send(commands)

    def _pack(self, batch: list[Call]) -> list[tuple[Any, ...]]:
        """Return the commands for a batch, and note in the flight who gets their replies."""
        self._flight.append(batch)
        return [self._script_call(batch) if batch[0].key else batch[0].args]

    def _script_call(self, group: list[Call]) -> tuple[Any, ...]:
        if self._must_load:
            self._must_load = False
            parts: list[Any] = ["EVAL", self._terms.script.source, len(group)]
        else:
            parts = ["EVALSHA", self._terms.script.sha, len(group)]
        parts.extend([call.key for call in group])
        parts.extend(self._terms.header())
        for call in group:
            parts.append(call.args[0])
            parts.append(len(call.args) - 1)
            parts.extend(call.args[1:])
        return tuple(parts)

    def _arrive(self, reply: Any) -> None:  # noqa: ANN401 - whatever Redis says
        # Replies are held back until the replicas' comes, where there are any to wait for.
        if self._held is None:
            self._land(reply)
            return
        self._held.append(reply)
        if len(self._held) > len(self._flight) and self._terms.replicas is not None:
            *replies, confirmed = self._held
            self._held = None
            if not all(isinstance(held, hiredis.ReplyError) for held in replies):
                self._terms.replicas.note(confirmed)
            for held in replies:
                self._land(held)

    def _land(self, reply: Any) -> None:  # noqa: ANN401
        flight = self._flight
        if not flight:
            return
        group = flight.popleft()
        if isinstance(reply, hiredis.ReplyError):
            self._refuse(group, str(reply))
        elif group:
            self._deliver(group, reply)
        if not flight:
            self._landed()

    def _deliver(self, group: list[Call], reply: Any) -> None:  # noqa: ANN401
        if not group[0].key:
            group[0].answer(reply)
            return
        for call, result in zip(group, reply, strict=True):
            if type(result) is not str or not result.startswith("!"):
                call.answer(result)
                if self._outage.since is not None:
                    self._serves_again()
            elif any(code in result for code in _TRANSIENT):
                self._send_again([call], hiredis.ReplyError(result[1:]), pause=True)
            else:
                call.fail(error_of(result[1:], call.key.decode("utf-8", "backslashreplace")))

    def _refuse(self, group: list[Call], text: str) -> None:
        error = hiredis.ReplyError(text)
        if text.startswith("NOSCRIPT"):
            # Restarted or flushed: nothing of the group ran. Sending the source loads it again.
            self._must_load = True
            self._send_again(group, error)
        elif text.startswith(_TRANSIENT):
            self._send_again(group, error, pause=True)
        else:
            self._last_error = error
            for call in group:
                call.fail(self._unavailable(f"refused a command: {text}", error))

    def _send_again(self, group: Iterable[Call], error: Exception, *, pause: bool = False) -> None:
        """Send calls again after this flight.

        Args:
            group: The calls; nothing of them was done.
            error: What Redis said.
            pause: Whether this server can't serve now: a moment later then, longer each time,
                and over a new connection.
        """
        self._refused.extend(group)
        self._last_error = error
        if pause:
            self._pause = self._next_pause
            self._outage.begin(error)

    def _serves_again(self) -> None:
        self._next_pause = FIRST_DELAY
        self._outage.end()

    def _landed(self) -> None:
        if self._refused:
            self._put_back(self._refused)
        if self._pause:
            self._uplink.abandon()
            self._uplink.dial(self._pause)
            # Not so long that the next call fails in a pause although Redis serves again.
            self._next_pause = min(self._pause * 2, LONGEST_DELAY, self._terms.timeout / 4)
            self._pause = 0.0
        elif self._crowd > 1 or self._backlog:
            # Behind the steps of those who were answered, so that what they ask for next shares
            # a round trip; the first of them would else take off alone.
            self._gathering = True
            self._loop.call_soon(self._depart)

    def _put_back(self, calls: list[Call]) -> None:
        self._backlog.put_back(calls)
        self._refused = []

    # The connection

    def _lost(self, error: BaseException) -> None:
        self._last_error = error
        flying = [call for group in self._flight for call in group]
        for call in flying:
            call.lost()
        self._flight, self._held = deque(), None
        self._put_back(self._refused + flying)
        self._pause = 0.0
        if self._backlog:
            self._uplink.dial()

    def _not_connected(self, error: BaseException) -> None:
        self._last_error = error
        self._outage.begin(error)
        if is_hopeless(error):
            self._fail_all(self._unavailable(f"refused the connection: {told(error)}", error))
        elif not self._outage.reached and is_nobody_there(error):
            tried = time.monotonic() - self._uplink.dialling_since
            if tried >= _GRACE:
                self._fail_all(self._unavailable(f"can't be reached: {told(error)}", error))

    # Deadlines

    def _watch(self, moment: float) -> None:
        # One timer for all calls. It is not cancelled when a call is answered: it fires once a
        # timeout at the most, looks, and goes to sleep when nothing is under way.
        if self._watchdog is not None:
            self._watchdog.cancel()
        self._wakes_at = moment
        self._watchdog = self._loop.call_at(moment, self._check_deadlines)

    def _check_deadlines(self) -> None:
        self._watchdog, self._wakes_at = None, math.inf
        now = self._loop.time()
        wire = self._uplink.wire
        flying = [call for group in self._flight for call in group]
        if wire is not None and any(
            call.deadline <= now or (call.doubt <= now and not call.repeated) for call in flying
        ):
            wire.abort(asyncio.TimeoutError("no answer in time"))
        late = self._backlog.take_out(lambda call: call.deadline <= now)
        if late:
            self._outage.begin(self._last_error or asyncio.TimeoutError("no answer in time"))
            for call in late:
                call.fail(self._unavailable("did not answer in time"))
        moments = []
        for call in self._under_way():
            moments.append(call.doubt if call.doubt > now else call.deadline)
            if call.until > now:
                moments.append(call.until)
            else:
                call.give_up()
        if moments:
            self._watch(max(min(moments), now + _REST))

    def _under_way(self) -> list[Call]:
        return [*(call for group in self._flight for call in group), *self._refused, *self._backlog]

    def _fail_all(self, error: LockError) -> None:
        backlog, self._backlog = self._backlog, Backlog()
        for call in backlog:
            call.fail(error)

    def _unavailable(self, what: str, cause: BaseException | None = None) -> StoreUnavailable:
        because = ""
        if cause is None and self._last_error is not None:
            cause = self._last_error
            because = f" (last error: {told(cause)})"
        error = StoreUnavailable(
            f"Redis at {self._server.where} {what} "
            f"(socket_timeout={self._terms.timeout:g} s){because}"
        )
        error.__cause__ = cause
        return error
