"""One event loop's inbox: the pushed wake-ups of all its tickets over one subscription.

A push can be lost (the connection breaks, an ACL denies it), so nobody relies on one: a waiter
looks for itself every ``wait_time_in_seconds``. After each (re)connection every bell is rung,
since whatever was pushed in between was pushed to nobody.

A subscription can also be dead without a word: the network forgot it, or in a cluster its node is
cut off from the others. So when a look finds a ticket served of which no push told, the inbox is
checked with a ``PING``. On one server the push comes before the ``PONG``: the script that served
the ticket wrote it there before the look was answered. No ``PONG``, or several misses in a row
although it comes, and the inbox subscribes anew, in a cluster at the next node.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import hiredis

from nowserving._host.background import at
from nowserving.errors import StoreUnavailable
from nowserving.stores._remote.reconnecting import ReconnectingConnection
from nowserving.stores.redis.connection.diagnosis import reply_error, told
from nowserving.stores.redis.replies import parse_status
from nowserving.stores.redis.shape import is_pushed

if TYPE_CHECKING:
    from nowserving.stores.redis.connection.dial import RedisServer
    from nowserving.stores.redis.handle import RedisHandle

logger = logging.getLogger("nowserving.queues.redis.inbox")

_PONG_WITHIN = 2.0
"""Seconds for the answer to a ``PING``; the session's own patience if that is less."""

_LATE = 0.05
"""Seconds by which a timer may be late without the loop having been blocked."""

_MANY_MISSES = 3


class Inbox:
    """The subscription of one event loop.

    Args:
        server: Where to subscribe.
        channel: The channel to listen to.

    Attributes:
        resubscribed: How often a subscription was given up because pushes did not come.
    """

    def __init__(self, server: RedisServer, channel: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._channel = channel
        self._handles: WeakValueDictionary[str, RedisHandle] = WeakValueDictionary()
        self._patience = min(_PONG_WITHIN, server.timeout)
        self._check: asyncio.TimerHandle | None = None
        self._suspect: RedisHandle | None = None
        self._misses = 0
        self._told_denied = self._told_silent = False
        self._closed = False
        self.resubscribed = 0
        self._connection = ReconnectingConnection(
            server,
            on_reply=self._arrive,
            on_up=self._subscribe,
            on_lost=self._lost,
            on_failure=self._not_connected,
            wanted=lambda: not self._closed,
        )

    def expect(self, handle: RedisHandle) -> None:
        """Ring this place's bell when there is news of it, for as long as the place lives."""
        self._handles[handle.owner] = handle

    def open(self) -> None:
        """Subscribe in the background unless that is done or under way."""
        self._connection.dial()

    def close(self) -> None:
        """Unsubscribe by hanging up."""
        self._closed = True
        self._calm()
        self._connection.close()

    def hang_up(self) -> None:
        """Have Redis end the connection of a loop that does not run."""
        self._connection.hang_up()

    def abandon(self) -> None:
        """Let go of a subscription whose loop is closed."""
        self._closed = True
        self._connection.abandon_socket()

    def push_missed(self, handle: RedisHandle) -> None:
        """Check the subscription: this place is served, and was not told so."""
        wire = self._connection.wire
        if wire is None or self._check is not None:
            handle.overdue = False  # one suspect at a time is enough
            return
        self._suspect = handle
        self._await_pong()
        wire.send([("PING",)])

    def _await_pong(self) -> None:
        due = self._loop.time() + self._patience
        self._check = at(self._loop, due, self._no_pong, due)

    def _no_pong(self, due: float) -> None:
        if self._loop.time() - due > _LATE:
            self._await_pong()  # the loop was blocked: the answer may lie there unread
        else:
            self._give_up()

    def _arrive(self, reply: Any) -> None:  # noqa: ANN401 - whatever Redis says
        if isinstance(reply, hiredis.ReplyError):
            self._denied(reply)
        elif not is_pushed(reply, self._channel):
            self._break_off()
        elif reply[0] == "message":
            self._misses = 0
            owner, _, text = reply[2].partition(" ")
            self._ring(owner, text)
        elif reply[0] == "pong":
            self._checked()
        elif reply[0] == "subscribe":
            self._ring_all()

    def _ring(self, owner: str, text: str) -> None:
        handle = self._handles.get(owner)
        if handle is None:
            return
        try:
            status = parse_status(text)
        except StoreUnavailable:
            self._break_off()
        else:
            handle.overdue = False
            handle.ring(status)

    def _break_off(self) -> None:
        if self._connection.wire is not None:
            self._connection.wire.abort(ConnectionError("it pushed something unexpected"))

    def _checked(self) -> None:
        suspect = self._suspect
        self._calm()
        if suspect is not None and suspect.overdue:
            suspect.overdue = False
            self._misses += 1
            if self._misses >= _MANY_MISSES:
                self._misses = 0
                self._give_up()

    def _give_up(self) -> None:
        self._calm()
        wire = self._connection.wire
        if wire is None:
            return
        self.resubscribed += 1
        if not self._told_silent:
            self._told_silent = True
            logger.warning(
                "Redis does not push wake-ups to %s: subscribing anew. Until they come, waiters "
                "look every wait_time_in_seconds. If this stays so, look whether the user may "
                "PUBLISH to that channel.",
                self._channel,
            )
        wire.abort(asyncio.TimeoutError("no push and no answer"))

    def _calm(self) -> None:
        if self._check is not None:
            self._check.cancel()
        self._check = self._suspect = None

    def _denied(self, reply: object) -> None:
        if not self._told_denied:
            self._told_denied = True
            logger.warning(
                "Redis denies the subscription to %s, so waiters only look: %s",
                self._channel,
                told(reply_error(str(reply))),
            )

    def _subscribe(self) -> None:
        if self._connection.wire is not None:
            self._connection.wire.send([("SUBSCRIBE", self._channel)])

    def _not_connected(self, error: BaseException) -> None:
        logger.debug("No subscription to %s yet: %s", self._channel, told(error))

    def _lost(self, error: BaseException) -> None:
        logger.debug("The subscription to %s is gone: %s", self._channel, told(error))
        self._calm()
        self._ring_all()
        self._connection.dial()

    def _ring_all(self) -> None:
        # References first, in one step: places may be collected by other threads meanwhile.
        for handle in [reference() for reference in self._handles.valuerefs()]:
            if handle is not None:
                handle.ring()
