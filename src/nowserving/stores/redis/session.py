"""One event loop's session with one Redis: batches as calls of the script, and their replies.

What all sessions have in common, above all in which order calls go out and what becomes of each, is
in ``_remote/session.py``. Here a group is what one command carries: all calls of a batch, those of
one conversation in a cluster (``node.py``). Each reply belongs to the oldest group in flight.

A connection is proven when Redis knows the script and its last batch was answered well. What is
left: a refusal that ends just between two batches of the same few milliseconds (the script was
flushed and another client loads it; a script that kept Redis busy ends; enough replicas are back).
Then the second batch overtakes the first. With ``min_replicas`` each batch waits for the one before
it.

Redis can't serve now while it loads its data, or when it has become a replica (``passing.py``).
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from typing import TYPE_CHECKING, Any

import hiredis

from nowserving.stores._remote.session import RemoteSession
from nowserving.stores.redis.connection.diagnosis import reply_error, unquoted
from nowserving.stores.redis.connection.resp import RespProtocol
from nowserving.stores.redis.passing import passes
from nowserving.stores.redis.replicas import HeldBack
from nowserving.stores.redis.replies import error_of
from nowserving.stores.redis.shape import answers
from nowserving.stores.redis.trouble import RedisTrouble

if TYPE_CHECKING:
    from nowserving.stores._remote.call import Call
    from nowserving.stores.redis.call_settings import CallSettings
    from nowserving.stores.redis.connection.dial import RedisServer

_NUMBERS = 2**31


class ServerSession(RemoteSession[RespProtocol]):
    """The command connection of one event loop to one server.

    Args:
        server: The server.
        settings: How calls travel.
    """

    def __init__(self, server: RedisServer, settings: CallSettings) -> None:
        loop = asyncio.get_running_loop()
        trouble = RedisTrouble(loop, server.outage, settings.timeout)
        replicas = settings.replicas
        self._held = None if replicas is None else HeldBack(replicas, self._on_reply)
        on_reply = self._on_reply if self._held is None else self._held.arrive
        super().__init__(server, settings.timeout, trouble, on_reply)
        self._settings = settings
        self._must_load = self._loaded = False  # whether Redis knows the script
        # Where they begin is a guess that other connections do not make.
        self._numbers = itertools.count(secrets.randbelow(_NUMBERS))

    async def shards(self) -> list[ServerSession]:
        """Return the sessions that together reach every record."""
        return [self]

    # Batches

    def _write(self, batch: list[Call], connection: RespProtocol) -> None:
        commands = self._pack(batch)
        if self._held is not None:
            self._held.follow(batch, commands)
        connection.send(commands)

    def _pack(self, batch: list[Call]) -> list[tuple[Any, ...]]:
        """Return the commands for a batch, and note who gets their replies."""
        self._in_flight.append(batch)
        return [self._words(batch)]

    def _words(self, group: list[Call]) -> tuple[Any, ...]:
        if not group[0].key:
            return group[0].args
        load, self._must_load = self._must_load, False
        group[0].batch = str(next(self._numbers))
        return self._settings.words(group, load=load)

    # Replies

    def _on_reply(self, reply: Any) -> None:  # noqa: ANN401
        in_flight = self._in_flight
        is_error = isinstance(reply, hiredis.ReplyError)
        if not in_flight or not (is_error or answers(in_flight[0], reply)):
            why = "an answer to something else"
            self._trouble.begin(ConnectionError(why))
            self._break_off(why)
            return
        group = in_flight.popleft()
        if is_error:
            self._proven = False
            self._refuse(group, str(reply))
        elif group:
            self._deliver(group, reply)
        self._answered(group)

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
        """Send calls again when all that is in flight has been answered.

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

    # The connection

    def _is_proven(self) -> bool:
        return self._loaded and self._held is None

    def _forget_connection(self) -> None:
        super()._forget_connection()
        self._loaded = False
        if self._held is not None:
            self._held.forget()
