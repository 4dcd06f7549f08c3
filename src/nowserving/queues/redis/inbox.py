"""One event loop's inbox: the pushed wake-ups of all its tickets over one subscription.

A push can be lost (the connection breaks, an ACL denies it), so nobody relies on one: a waiter
looks for itself every ``wait_time_in_seconds``. After each (re)connection every bell is rung,
since whatever was pushed in between was pushed to nobody.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from redis import exceptions

from nowserving.queues.redis.replies import parse_standing
from nowserving.queues.redis.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from nowserving.queues.redis.wire import Dialable
    from nowserving.standing import Place

logger = logging.getLogger(__name__)

_FIRST_DELAY, _LONGEST_DELAY = 0.05, 2.0


class Inbox:
    """The subscription of one event loop.

    Args:
        dial: Makes a fresh, unconnected ``redis.asyncio`` connection.
        channel: The channel to listen to.
        timeout: Seconds for a connection attempt.
    """

    def __init__(self, dial: Callable[[], Dialable], channel: str, timeout: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._make_connection = dial
        self._channel = channel
        self._timeout = timeout
        self._places: WeakValueDictionary[str, Place] = WeakValueDictionary()
        self._wire: Wire | None = None
        self._dialling: asyncio.Task[None] | None = None
        self._closed = False

    def expect(self, place: Place) -> None:
        """Ring this place's bell when there is news of it, for as long as the place lives."""
        self._places[place.owner] = place

    def open(self) -> None:
        """Subscribe in the background unless that is done or under way."""
        if self._wire is None and self._dialling is None and not self._closed:
            self._dialling = self._loop.create_task(self._keep_dialling())
            self._dialling.add_done_callback(self._dialled)

    def close(self) -> None:
        """Unsubscribe by hanging up."""
        self._closed = True
        if self._dialling is not None:
            self._dialling.cancel()
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    async def _keep_dialling(self) -> None:
        delay = _FIRST_DELAY
        while not self._closed:
            wire = Wire(self._arrive, self._lost)
            try:
                await wire.dial(self._make_connection(), self._timeout)
            except (OSError, exceptions.RedisError, asyncio.TimeoutError) as error:
                logger.debug("No subscription to %s yet: %r", self._channel, error)
                await asyncio.sleep(delay)
                delay = min(delay * 2, _LONGEST_DELAY)
            else:
                self._wire = wire
                wire.send(("SUBSCRIBE", self._channel))
                return

    def _dialled(self, task: asyncio.Task[None]) -> None:
        self._dialling = None
        if not task.cancelled() and task.exception() is not None:
            logger.error("The subscription to %s failed", self._channel, exc_info=task.exception())

    def _arrive(self, reply: Any) -> None:  # noqa: ANN401 - whatever Redis says
        if not isinstance(reply, list):
            logger.warning("Redis denies the subscription to %s: %s", self._channel, reply)
        elif reply[0] == "message":
            owner, _, text = reply[2].partition(" ")
            place = self._places.get(owner)
            if place is not None:
                place.ring(parse_standing(text))
        elif reply[0] == "subscribe":
            self._ring_all()

    def _lost(self, error: Exception | None) -> None:
        logger.debug("The subscription to %s is gone: %r", self._channel, error)
        self._wire = None
        self._ring_all()
        self.open()

    def _ring_all(self) -> None:
        for place in list(self._places.values()):
            place.ring()
