"""One event loop's conversation with one Redis: calls in order, shared round trips, deadlines.

A call that finds few flights out goes out at once, in its caller's own iteration of the loop: the
loop may be blocked right after it, and the take of another server would overtake this one. Flights
follow each other over one connection, and each reply belongs to the oldest flight that has none.
Calls that were answered together ask again together: after a crowd was answered, what its tasks ask
for next is gathered into one flight, one script call. Otherwise 100 busy conversations would need
100 round trips. Looks need no order and let everything else go first; only one flight with looks is
out at a time, so that no hand-off travels behind many.

A flight is a list of groups. A group is what one command carries: all calls of the flight here,
those of one conversation in a cluster (``node.py``). Whatever Redis refuses, it refuses a group
of, so nobody overtakes within a conversation when the group is sent again.

Calls are carried out in the order in which they were made, which is the order in which ``lock()``
was entered, also when Redis refuses some of them. So one flight follows another only over a
connection that is *proven*: its last flight landed well, and Redis knows the script. After a
refusal nothing goes out until all that is out has landed; then what was refused is sent again, in
order, before everything else, and alone. What is left: a refusal that ends just between two flights
of the same few milliseconds (the script was flushed and another client loads it; a script that kept
Redis busy ends; enough replicas are back). Then the second flight overtakes the first. With
``min_replicas`` each flight waits for the one before it.

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
* The loop is blocked, or the process paused: calls get that time back (``_remote/deadlines.py``).
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections import deque
from typing import TYPE_CHECKING, Any

import hiredis

from nowserving._host.background import later
from nowserving.errors import StoreClosed
from nowserving.stores._remote.backlog import Backlog
from nowserving.stores._remote.call import Call
from nowserving.stores._remote.coalescing import Coalescing
from nowserving.stores._remote.deadlines import Watchdog
from nowserving.stores._remote.reconnecting import ReconnectingConnection
from nowserving.stores.redis.connection.diagnosis import reply_error, unquoted
from nowserving.stores.redis.passing import passes
from nowserving.stores.redis.replicas import HeldBack
from nowserving.stores.redis.replies import error_of
from nowserving.stores.redis.shape import answers
from nowserving.stores.redis.trouble import Trouble

if TYPE_CHECKING:
    from collections.abc import Callable

    from nowserving.stores._remote.unreachable import Unreachable
    from nowserving.stores.redis.call_settings import CallSettings
    from nowserving.stores.redis.connection.dial import RedisServer
    from nowserving.stores.redis.connection.resp import RespProtocol

MAX_BATCH = 500
"""Verbs in one round trip: some 2 ms of Redis at the most."""

_NUMBERS = 2**31

_LOOKS_WAIT = 0.002
"""Seconds for which a look waits for others."""


class ServerSession:
    """The command connection of one event loop to one server.

    Args:
        server: The server.
        settings: How calls travel.
    """

    def __init__(self, server: RedisServer, settings: CallSettings) -> None:
        self._loop = asyncio.get_running_loop()
        self._settings = settings
        self._held = None if settings.replicas is None else HeldBack(settings.replicas, self._land)
        self._connection = ReconnectingConnection(
            server,
            on_reply=self._land if self._held is None else self._held.arrive,
            on_up=self._depart,
            on_lost=self._lost,
            on_failure=self._not_connected,
            wanted=lambda: bool(self._backlog),
        )
        self._trouble = Trouble(self._loop, server, settings.timeout)
        self._watchdog = Watchdog(
            self._loop, settings.timeout, self._under_way, self._check_deadlines
        )
        self._haste = Coalescing()
        self._backlog = Backlog()
        self._looking: asyncio.TimerHandle | None = None
        self._flight: deque[list[Call]] = deque()  # the groups that are out, of all flights
        self._looks_out: list[Call] | None = None  # the last group of the flight with looks
        self._refused: list[Call] = []  # to be sent again when all is back
        self._must_load = self._loaded = False  # whether Redis knows the script
        self._proven = False  # whether one flight may follow another
        self._gathering = False  # those who were just answered are about to ask for more
        # Where they begin is a guess that other connections do not make.
        self._numbers = itertools.count(secrets.randbelow(_NUMBERS))
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
        timeout = self._settings.timeout if timeout is None else timeout
        call = Call(key, args, again or args, loop.create_future(), loop.time(), timeout, within)
        self.push(call, lazy=lazy)
        return call

    def push(self, call: Call, *, lazy: bool = False) -> None:
        """Send a call behind all others."""
        if self._closed:
            call.fail(StoreClosed("The lock store is closed."))
            return
        protocol, waiting, haste = self._connection.current, self._backlog.calls, self._haste
        if lazy:
            self._backlog.looks.append(call)
            if self._looking is None:
                self._looking = later(self._loop, _LOOKS_WAIT, self._look)
        elif protocol is not None and not (waiting or self._flight or self._gathering):
            self._send([call], protocol)  # nothing is before it: the usual case, without a detour
        elif (
            protocol is not None
            and not waiting
            and haste.free_at <= call.asked
            and self._may_follow(call, call.asked)
        ):
            self._send([call], protocol)
        else:
            waiting.append(call)
            if call.asked > haste.late_at and haste.ends(call.asked, len(waiting)):
                self._send_waiting()
        if protocol is None:
            self._connection.dial()
        watchdog = self._watchdog
        if call.retry_at < watchdog.wakes_at or call.until < watchdog.wakes_at:
            watchdog.mind(call)

    def hurry(self) -> None:
        """Send now what waits for others: the process may be about to end.

        In a cluster this is up to each node's session, where one record has one group out.
        """
        protocol = self._connection.current
        if protocol is not None and self._proven and self._held is None:
            batch = self._next_batch(looks=False)
            if batch:
                self._send(batch, protocol)

    async def shards(self) -> list[ServerSession]:
        """Return the sessions that together reach every record."""
        return [self]

    def close(self) -> None:
        """Close the connection; calls under way fail with ``StoreClosed``."""
        self._closed = True
        for call in self._under_way():
            call.fail(StoreClosed("The lock store was closed while a call was under way."))
        self._flight, self._backlog, self._refused = deque(), Backlog(), []
        if self._looking is not None:
            self._looking.cancel()
        self._watchdog.stop()
        self._connection.close()

    def hang_up(self) -> None:
        """Have Redis end the connection of a loop that does not run."""
        self._connection.hang_up()

    def abandon(self) -> None:
        """Let go of a connection whose loop is closed."""
        self._closed = True
        self._connection.abandon_socket()

    # Departures

    def _look(self) -> None:
        self._looking = None
        self._send_waiting()

    def _depart(self) -> None:
        self._gathering = False
        self._send_waiting()

    def _send_waiting(self) -> None:
        protocol, backlog = self._connection.current, self._backlog
        while protocol is not None and (not self._flight or self._may_join(backlog.calls)):
            looks = len(backlog.looks)
            batch = self._next_batch()
            if not batch:
                return
            now = self._loop.time()
            if batch[0].retry_at < now + self._settings.timeout / 4:
                for call in batch:  # they waited for long, but not for this connection
                    call.renew_retry_at(now)
            self._send(batch, protocol)
            if len(backlog.looks) < looks:
                self._looks_out = self._flight[-1]

    def _may_join(self, waiting: deque[Call]) -> bool:
        """Return whether calls that wait may go out although a flight is out already."""
        if not waiting:
            return False
        now = self._loop.time()
        return self._haste.waits_long(waiting[0], now) and self._may_follow(waiting[0], now)

    def _may_follow(self, call: Call, now: float) -> bool:  # noqa: ARG002 - a node's asks it
        return self._proven and self._haste.take(now)

    def _next_batch(self, *, looks: bool = True) -> list[Call]:
        return self._backlog.next_batch(MAX_BATCH, looks=looks and self._looks_out is None)

    def _send(self, batch: list[Call], protocol: RespProtocol) -> None:
        self._haste.crowd = len(batch)
        for call in batch:
            call.sent = True
        commands = self._pack(batch)
        if self._held is not None:
            self._held.follow(batch, commands)
        protocol.send(commands)

    def _pack(self, batch: list[Call]) -> list[tuple[Any, ...]]:
        """Return the commands for a batch, and note in the flight who gets their replies."""
        self._flight.append(batch)
        return [self._words(batch)]

    def _words(self, group: list[Call]) -> tuple[Any, ...]:
        if not group[0].key:
            return group[0].args
        load, self._must_load = self._must_load, False
        group[0].batch = str(next(self._numbers))
        return self._settings.words(group, load=load)

    # Landings

    def _land(self, reply: Any) -> None:  # noqa: ANN401
        flight, backlog = self._flight, self._backlog
        is_error = isinstance(reply, hiredis.ReplyError)
        if not flight or not (is_error or answers(flight[0], reply)):
            why = "an answer to something else"
            self._trouble.begin(ConnectionError(why))
            self._break_off(why)
            return
        group = flight.popleft()
        if group is self._looks_out:
            self._looks_out = None
        if is_error:
            self._proven = False
            self._refuse(group, str(reply))
        elif group:
            self._deliver(group, reply)
        if not flight:
            if not self._proven:
                self._landed()
            if not self._gathering and (backlog or len(group) > 1):
                # Behind the steps of those who were answered, so that what they ask for next
                # shares a round trip; the first of them would else take off alone.
                self._gathering = True
                self._loop.call_soon(self._depart)  # the context here is empty: the connection's
        elif backlog.calls:
            self._send_waiting()

    def _deliver(self, group: list[Call], reply: Any) -> None:  # noqa: ANN401
        if not group[0].key:
            group[0].answer(reply)
            return
        for call, result in zip(group, reply, strict=False):  # the number is left over
            if type(result) is not str or result[0] != "!":
                call.answer(result)
            elif passes(result[1:]):
                self._send_again([call], result[1:], pause=True)
            else:
                key = call.key.decode("utf-8", "backslashreplace")
                call.fail(error_of(unquoted(result[1:], [call]), key))
        self._loaded = True
        trouble = self._trouble
        if (trouble.error is not None or trouble.outage.since is not None) and not self._refused:
            trouble.is_over(group)

    def _refuse(self, group: list[Call], text: str) -> None:
        if text.startswith("NOSCRIPT"):
            # Restarted or flushed: nothing of the group ran. Sending the source loads it again.
            self._must_load, self._loaded = True, False
            self._send_again(group, text, pause=False)
        elif passes(text):
            self._send_again(group, text, pause=True)
        else:
            error = reply_error(text, group)
            for call in group:
                call.fail(self._trouble.refused(error))

    def _send_again(self, group: list[Call], text: str, *, pause: bool) -> None:
        """Send calls again when all that is out has landed.

        Args:
            group: The calls; nothing of them was done.
            text: What Redis said.
            pause: Whether this server can't serve now: a moment later then, longer each time,
                and over a new connection.
        """
        self._proven = False
        self._refused.extend(group)
        error = reply_error(text, group)
        if pause:
            self._trouble.begin_with_a_pause(error)
        else:
            self._trouble.note(error)

    def _landed(self) -> None:
        """All that was out has landed over a connection that is not proven."""
        if self._refused:
            self._put_back(self._refused)
        else:
            self._proven = self._loaded and self._held is None
        if self._trouble.pause:
            self._loaded = self._proven = False
            self._connection.abandon()
            self._connection.dial(self._trouble.take_pause())

    def _put_back(self, calls: list[Call]) -> None:
        self._backlog.put_back(calls)
        self._refused = []

    # The connection

    def _lost(self, error: BaseException) -> None:
        self._trouble.note(error)
        flying = [call for group in self._flight for call in group]
        for call in flying:
            call.lost()
        self._flight, self._looks_out = deque(), None
        if self._held is not None:
            self._held.forget()
        self._loaded = self._proven = False
        self._put_back(self._refused + flying)
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
        return [*(call for group in self._flight for call in group), *self._refused, *self._backlog]

    def _check_deadlines(self, now: float) -> None:
        if any(
            call.deadline <= now or (call.retry_at <= now and not call.repeated)
            for group in self._flight
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
