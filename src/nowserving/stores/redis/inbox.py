"""One event loop's inbox: the pushed wake-ups of all its tickets over one subscription.

A push can be lost (the connection breaks, an ACL denies it), so nobody relies on one: tickets are
polled every ``wait_time_in_seconds``. After each (re)connection every bell is rung, since whatever
was pushed in between was pushed to nobody.

A subscription can also be dead without a word: the network forgot it, or in a cluster its node is
cut off from the others. So where a push was missed (``_remote/pushes.py``) the sign of life is the
``PONG`` to a ``PING``. On one server the push comes before the ``PONG``: the script that served the
ticket wrote it there before the poll was answered. In a cluster the inbox subscribes anew at the
next node.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import hiredis

from nowserving.errors import StoreUnavailable
from nowserving.stores._remote.pushes import Bells, PushCheck
from nowserving.stores._remote.reconnecting import ReconnectingConnection
from nowserving.stores.redis.connection.diagnosis import reply_error, told
from nowserving.stores.redis.replies import parse_status
from nowserving.stores.redis.script import PROTOCOL
from nowserving.stores.redis.shape import is_pushed

if TYPE_CHECKING:
    from nowserving.stores._remote.handle import RemoteHandle
    from nowserving.stores.redis.connection.dial import RedisServer

logger = logging.getLogger("nowserving.queues.redis.inbox")

_OURS = str(PROTOCOL)

_PONG_WITHIN = 2.0
"""Seconds for the answer to a ``PING``; the session's own patience if that is less."""


class Inbox:
    """The subscription of one event loop.

    Args:
        server: Where to subscribe.
        channel: The channel to listen to.

    Attributes:
        resubscribed: How often a subscription was given up because pushes did not come.
    """

    def __init__(self, server: RedisServer, channel: str) -> None:
        self._channel = channel
        self._bells = Bells()
        self._check = PushCheck(
            asyncio.get_running_loop(),
            min(_PONG_WITHIN, server.timeout),
            ask=self._ping,
            give_up=self._give_up,
        )
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

    def expect(self, handle: RemoteHandle) -> None:
        """Ring this handle's bell when there is news of it, for as long as somebody has it."""
        self._bells.add(handle)

    def open(self) -> None:
        """Subscribe in the background unless that is done or under way."""
        self._connection.dial()

    def close(self) -> None:
        """Unsubscribe by hanging up."""
        self._closed = True
        self._check.stop()
        self._connection.close()

    def hang_up(self) -> None:
        """Have Redis end the connection of a loop that does not run."""
        self._connection.hang_up()

    def abandon(self) -> None:
        """Let go of a subscription whose loop is closed."""
        self._closed = True
        self._connection.abandon_socket()

    def push_missed(self, handle: RemoteHandle) -> None:
        """Check the subscription: this ticket is served, and no push has told so."""
        self._check.begin(handle)

    def _ping(self) -> bool:
        protocol = self._connection.current
        if protocol is not None:
            protocol.send([("PING",)])
        return protocol is not None

    def _arrive(self, reply: Any) -> None:  # noqa: ANN401 - whatever Redis says
        if isinstance(reply, hiredis.ReplyError):
            self._denied(reply)
        elif not is_pushed(reply, self._channel):
            self._break_off()
        elif reply[0] == "message":
            self._check.pushed()
            self._push(reply[2])
        elif reply[0] == "pong":
            self._check.sign_of_life()
        elif reply[0] == "subscribe":
            self._bells.ring_all()

    def _push(self, said: str) -> None:
        number, _, news = said.partition(" ")
        if not number.isdecimal():  # protocol 1 says none
            number, news = _OURS, said
        owner, _, text = news.partition(" ")
        handle = self._bells.get(owner)
        if handle is None:
            return
        if number != _OURS:  # it may mean something else: ask the record
            handle.overdue = False
            handle.ring()
            return
        try:
            status = parse_status(text)
        except StoreUnavailable:
            self._break_off()
        else:
            handle.push(status)

    def _break_off(self) -> None:
        if self._connection.current is not None:
            self._connection.current.abort(ConnectionError("it pushed something unexpected"))

    def _give_up(self) -> None:
        protocol = self._connection.current
        if protocol is None:
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
        protocol.abort(asyncio.TimeoutError("no push and no answer"))

    def _denied(self, reply: object) -> None:
        if not self._told_denied:
            self._told_denied = True
            logger.warning(
                "Redis denies the subscription to %s, so waiters only look: %s",
                self._channel,
                told(reply_error(str(reply))),
            )

    def _subscribe(self) -> None:
        if self._connection.current is not None:
            self._connection.current.send([("SUBSCRIBE", self._channel)])

    def _not_connected(self, error: BaseException) -> None:
        logger.debug("No subscription to %s yet: %s", self._channel, told(error))

    def _lost(self, error: BaseException) -> None:
        logger.debug("The subscription to %s is gone: %s", self._channel, told(error))
        self._check.stop()
        self._bells.ring_all()
        self._connection.dial()
