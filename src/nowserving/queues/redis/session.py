"""One event loop's conversation with Redis: calls in order, shared round trips, deadlines.

Whatever is asked for while a round trip is in flight goes out together in the next one, as one
script call. A call that finds nothing in flight goes out at once, in its caller's own iteration
of the loop. One flight at a time over one connection keeps the order in which the calls were
made, which is the order in which ``lock()`` was entered.

What can go wrong with a call, and what happens then:

* Its caller is cancelled: the flight goes on, only the result is dropped. What was not sent yet
  is not sent any more.
* The connection breaks with the call in flight: nobody knows whether it arrived. It is sent again
  over the next connection in the form for repetition; every verb finds what it did before.
* Redis does not answer: at its deadline the call fails with ``StoreUnavailable``. A flight that
  is late takes its connection with it, since its replies could no longer be told apart.
* The loop is shut down (``asyncio.run`` cancels every task): there is no task here while the
  connection stands. If one was just dialling and somebody still waits, dialling starts again.
* The process is paused: on waking, late deadlines fire first; nothing is decided from old news.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Any

import hiredis
from redis import exceptions

from nowserving.errors import LockError, StoreClosed, StoreUnavailable
from nowserving.queues.redis.replies import error_of
from nowserving.queues.redis.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from nowserving.queues.redis.script import Script
    from nowserving.queues.redis.wire import Dialable

logger = logging.getLogger(__name__)

MAX_BATCH = 500
"""Verbs in one round trip: some 2 ms of Redis at the most."""

_FIRST_DELAY, _LONGEST_DELAY = 0.02, 1.0

_TRANSIENT = ("LOADING", "BUSY", "MASTERDOWN", "TRYAGAIN", "CLUSTERDOWN", "READONLY")
"""Error codes that pass by themselves: a restart or a failover is going on."""

_HOPELESS = (
    exceptions.AuthenticationError,
    exceptions.NoPermissionError,
    exceptions.AuthenticationWrongNumberOfArgsError,
)


class Call:
    """One verb (or one plain command) on its way.

    Attributes:
        key: The record's key; empty for a plain command.
        args: The verb and its arguments, as they are sent.
        again: The arguments to send when an earlier attempt may have arrived.
        future: Gets the reply or the error.
        deadline: When it fails, on the loop's clock.
        sent: Whether it was ever written to a connection.
        repeated: Whether an earlier attempt may have arrived, its reply lost.
    """

    __slots__ = ("again", "args", "deadline", "future", "key", "repeated", "sent")

    def __init__(
        self,
        key: bytes,
        args: tuple[Any, ...],
        again: tuple[Any, ...],
        future: asyncio.Future[Any],
        deadline: float,
    ) -> None:
        self.key = key
        self.args = args
        self.again = again
        self.future = future
        self.deadline = deadline
        self.sent = False
        self.repeated = False

    def fail(self, error: BaseException) -> None:
        """Give up, unless the caller has gone already."""
        if not self.future.done():
            self.future.set_exception(error)


class Session:
    """The command connection of one event loop.

    Args:
        dial: Makes a fresh, unconnected ``redis.asyncio`` connection.
        script: The verbs.
        header: Returns what every script call begins with (``dispatch.lua``).
        timeout: Seconds within which every call is answered or fails.
        where: The server's address, for messages.
    """

    def __init__(
        self,
        dial: Callable[[], Dialable],
        script: Script,
        header: Callable[[], tuple[Any, ...]],
        timeout: float,
        where: str,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._make_connection = dial
        self._script = script
        self._header = header
        self._timeout = timeout
        self._where = where
        self._wire: Wire | None = None
        self._dialling: asyncio.Task[None] | None = None
        self._waiting: deque[Call] = deque()
        self._flight: list[Call] = []
        self._watchdog: asyncio.TimerHandle | None = None
        self._last_error: BaseException | None = None
        self._closed = False

    def call(
        self,
        key: bytes,
        args: tuple[Any, ...],
        again: tuple[Any, ...] | None = None,
        *,
        lazy: bool = False,
        timeout: float | None = None,
    ) -> Call:
        """Send a verb; await the ``future`` of what is returned.

        Args:
            key: The record's key; empty to send ``args`` as a plain command.
            args: The verb's name and its arguments.
            again: The same for a repetition; ``args`` by default.
            lazy: Wait for the end of the loop's iteration, so that the looks of many waiters,
                whose timers fire together, share one round trip.
            timeout: Seconds until it fails; the session's own by default.
        """
        deadline = self._loop.time() + (self._timeout if timeout is None else timeout)
        call = Call(key, args, again or args, self._loop.create_future(), deadline)
        if self._closed:
            call.fail(StoreClosed("The lock store is closed."))
            return call
        self._waiting.append(call)
        if self._wire is None:
            self._dial()
        elif lazy:
            self._loop.call_soon(self._depart)
        else:
            self._depart()
        if self._watchdog is None or deadline < self._watchdog.when():
            self._watch(deadline)
        return call

    def close(self) -> None:
        """Close the connection; calls under way fail with ``StoreClosed``."""
        self._closed = True
        for call in (*self._flight, *self._waiting):
            call.fail(StoreClosed("The lock store was closed while a call was under way."))
        self._flight, self._waiting = [], deque()
        if self._watchdog is not None:
            self._watchdog.cancel()
        if self._dialling is not None:
            self._dialling.cancel()
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    # Flights

    def _depart(self) -> None:
        if self._flight or self._wire is None:
            return
        batch = self._next_batch()
        if not batch:
            return
        self._flight = batch
        for call in batch:
            call.sent = True
        if batch[0].key:
            self._wire.send(self._script_call(batch, "EVALSHA", self._script.sha))
        else:
            self._wire.send(batch[0].args)

    def _next_batch(self) -> list[Call]:
        batch: list[Call] = []
        waiting = self._waiting
        while waiting and len(batch) < MAX_BATCH:
            call = waiting[0]
            if call.future.done():  # cancelled: whoever cancels a take leaves by its owner
                waiting.popleft()
            elif call.key or not batch:
                batch.append(waiting.popleft())
                if not call.key:  # a plain command travels alone
                    break
            else:
                break
        return batch

    def _script_call(self, batch: list[Call], command: str, script: str) -> tuple[Any, ...]:
        parts: list[Any] = [command, script, len(batch)]
        parts.extend([call.key for call in batch])
        parts.extend(self._header())
        for call in batch:
            parts.append(call.args[0])
            parts.append(len(call.args) - 1)
            parts.extend(call.args[1:])
        return tuple(parts)

    def _arrive(self, reply: Any) -> None:  # noqa: ANN401 - whatever Redis says
        flight = self._flight
        if not flight:
            return
        if isinstance(reply, hiredis.ReplyError):
            self._refused(flight, reply)
            return
        self._flight = []
        self._last_error = None
        retry: list[Call] = []
        for call, result in zip(flight, reply if flight[0].key else (reply,), strict=True):
            if call.key and type(result) is str and result.startswith("!"):
                if any(code in result for code in _TRANSIENT):
                    retry.append(call)
                else:
                    call.fail(error_of(result[1:], call.key.decode("utf-8", "backslashreplace")))
            elif not call.future.done():
                call.future.set_result(result)
        if retry:
            self._repeat(retry)
        elif self._waiting:
            self._loop.call_soon(self._depart)

    def _refused(self, flight: list[Call], reply: hiredis.ReplyError) -> None:
        text = str(reply)
        if text.startswith("NOSCRIPT") and self._wire is not None:
            # Restarted or flushed: nothing of the batch ran. Sending the source loads it again.
            self._wire.send(self._script_call(flight, "EVAL", self._script.source))
            return
        self._flight = []
        self._last_error = reply
        if text.startswith(_TRANSIENT):
            self._repeat(flight)
            return
        for call in flight:
            call.fail(self._unavailable(f"refused a command: {text}", reply))
        self._depart()

    def _repeat(self, calls: list[Call]) -> None:
        """Send calls again after a moment, over a new connection: this one's server can't serve."""
        self._waiting.extendleft(reversed(calls))
        if self._wire is not None:
            self._wire.close()
            self._wire = None
        self._dial(_FIRST_DELAY)

    # The connection

    def _dial(self, delay: float = 0.0) -> None:
        if self._dialling is None and not self._closed:
            self._dialling = self._loop.create_task(self._keep_dialling(delay))
            self._dialling.add_done_callback(self._dialled)

    async def _keep_dialling(self, delay: float) -> None:
        while self._waiting:
            if delay:
                await asyncio.sleep(delay)
            delay = min(max(delay * 2, _FIRST_DELAY), _LONGEST_DELAY)
            wire = Wire(self._arrive, self._lost)
            try:
                await wire.dial(self._make_connection(), self._timeout)
            except _HOPELESS as error:
                self._fail_all(self._unavailable(f"refused the connection: {error}", error))
            except (OSError, exceptions.RedisError, asyncio.TimeoutError) as error:
                self._last_error = error
            else:
                self._wire = wire
                return

    def _dialled(self, task: asyncio.Task[None]) -> None:
        self._dialling = None
        if task.cancelled():
            if self._waiting and not self._closed:
                self._dial()
            return
        error = task.exception()
        if error is not None:
            self._fail_all(self._unavailable(f"can't be reached: {error!r}", error))
        self._depart()

    def _lost(self, error: Exception | None) -> None:
        self._wire = None
        self._last_error = error or ConnectionError("the connection was closed by the server")
        for call in self._flight:
            call.args, call.repeated = call.again, True
        self._waiting.extendleft(reversed(self._flight))
        self._flight = []
        if self._waiting:
            self._dial()

    # Deadlines

    def _watch(self, deadline: float) -> None:
        # One timer for all calls. It is not cancelled when a call is answered: it fires once a
        # timeout at the most, looks, and goes to sleep when nothing is under way.
        if self._watchdog is not None:
            self._watchdog.cancel()
        self._watchdog = self._loop.call_at(deadline, self._check_deadlines)

    def _check_deadlines(self) -> None:
        self._watchdog = None
        now = self._loop.time()
        if self._wire is not None and any(call.deadline <= now for call in self._flight):
            self._wire.abort(asyncio.TimeoutError("no answer in time"))
        late = [call for call in self._waiting if call.deadline <= now]
        if late:
            self._waiting = deque(call for call in self._waiting if call.deadline > now)
            for call in late:
                call.fail(self._unavailable("did not answer in time"))
        pending = [call.deadline for call in (*self._flight, *self._waiting)]
        if pending:
            self._watch(min(pending))

    def _fail_all(self, error: LockError) -> None:
        waiting, self._waiting = self._waiting, deque()
        for call in waiting:
            call.fail(error)

    def _unavailable(self, what: str, cause: BaseException | None = None) -> StoreUnavailable:
        cause = cause or self._last_error
        because = (
            f" (last error: {cause!r})" if cause is not None and what.startswith("did") else ""
        )
        error = StoreUnavailable(
            f"Redis at {self._where} {what} (socket_timeout={self._timeout:g} s){because}"
        )
        error.__cause__ = cause
        return error
