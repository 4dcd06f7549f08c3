"""The Redis queue: the seam's verbs as calls of the Lua verbs, one session an event loop."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import time
from typing import TYPE_CHECKING, Any

from nowserving.errors import LockError, StoreClosed
from nowserving.identity import nonce, on_fork
from nowserving.queues.base import Guarantees
from nowserving.queues.redis.inbox import Inbox
from nowserving.queues.redis.replies import (
    MICROSECONDS,
    parse_departure,
    parse_line,
    parse_standing,
)
from nowserving.queues.redis.script import load_script
from nowserving.queues.redis.session import Session
from nowserving.standing import NOT_ISSUED, Departure, Place, State

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence

    from nowserving.lock import TicketLock
    from nowserving.queues.redis.session import Call
    from nowserving.queues.redis.wire import Dialable
    from nowserving.standing import Admission, Line, Outcome, Standing

_NONE = "-"
_POLICIES = {"queue": "q", "reject": "r", "latest": "l", "interrupt": "i"}

# What a forked child inherited and must not touch: closing a transport here would take the
# parent's socket out of the parent's epoll set, which both share.
_inherited: list[object] = []


class _Link:
    """All that one event loop has of one Redis: a command connection and an inbox."""

    def __init__(self, queue: RedisQueue) -> None:
        self.loop = asyncio.get_running_loop()
        self.nonce = nonce()
        self.counter = itertools.count()
        # Renewals have a connection of their own: a slow answer to somebody's take must not
        # cost others their leases.
        self.session, self.heartbeat = (
            Session(queue.dial, load_script(), queue.header, queue.timeout, queue.where)
            for _ in range(2)
        )
        self.inbox = Inbox(queue.dial, queue.channel_prefix + self.nonce, queue.timeout)
        self.inbox.open()
        self._farewell = self._close_with_the_loop()

    async def open(self) -> None:
        """Have the loop close this link when it is shut down, as ``asyncio.run`` does."""
        await self._farewell.__anext__()

    async def _close_with_the_loop(self) -> AsyncGenerator[None, None]:
        # A loop closes its started async generators before it stops: the one hook that
        # asyncio has for "this loop ends now", while transports can still be closed.
        try:
            yield
        finally:
            self.close()

    def close(self) -> None:
        """Hang up; called on the link's own loop."""
        self.session.close()
        self.heartbeat.close()
        self.inbox.close()

    async def aclose(self) -> None:
        """Hang up and take the hook out of the loop."""
        self.close()
        await self._farewell.aclose()


class _RedisPlace(Place):
    """A place that remembers its take, so that a leave knows whether anything was ever sent."""

    def __init__(self, conversation_id: str, link: _Link) -> None:
        super().__init__(conversation_id, f"{link.nonce}.{next(link.counter)}")
        self.link = link
        self.take: Call | None = None


class RedisQueue:
    """Lines in one Redis.

    Args:
        dial: Makes a fresh, unconnected ``redis.asyncio`` connection.
        key_prefix: What every key and channel begins with, its own separator included.
        timeout: Seconds within which every verb is answered or raises ``StoreUnavailable``.
        where: The server's address for messages; holds no password.
    """

    guarantees = Guarantees(
        cross_process=True,
        cross_host=True,
        pushes=False,
        durable=False,
        store_clock=True,
        suspends=True,
        policies=True,
    )

    def __init__(
        self, dial: Callable[[], Dialable], *, key_prefix: str, timeout: float, where: str
    ) -> None:
        self.dial = dial
        self.timeout = timeout
        self.where = where
        self.channel_prefix = f"{key_prefix}inbox:"
        self._key_prefix = key_prefix.encode()
        self._highest_token = 0
        self._closed = False
        self._links: dict[asyncio.AbstractEventLoop, _Link] = {}
        self._nonces: set[str] = set()
        on_fork(self)

    def header(self) -> tuple[Any, ...]:
        """Return what every script call begins with (``dispatch.lua``)."""
        return (self._highest_token, self.channel_prefix)

    def key(self, conversation_id: str) -> bytes:
        """Return the key of a conversation's record; the braces keep it in one cluster slot."""
        return b"%b{%b}" % (self._key_prefix, conversation_id.encode("utf-8", "surrogatepass"))

    def place(self, conversation_id: str) -> Place:
        """Return a fresh, unissued place, to be used on the running loop."""
        link = self._link()
        place = _RedisPlace(conversation_id, link)
        link.inbox.expect(place)
        return place

    def owns(self, owner: str) -> bool:
        """Return whether ``owner`` was drawn by this queue in this process."""
        return owner.partition(".")[0] in self._nonces

    async def take(self, place: Place, admission: Admission) -> Standing:
        """Join the line (``take.lua``) or claim an issued ticket (``redeem.lua``)."""
        flags = ("c" if admission.claimed else "") + ("r" if admission.renewed else "") or _NONE
        lifetime = _us(admission.lifetime)
        message = _message(admission.message_id)
        if admission.redeem is not None:
            args: tuple[Any, ...] = (
                "redeem",
                int(admission.redeem),
                admission.redeem.secret or _NONE,
                place.owner,
                lifetime,
                flags,
                message,
            )
            again = args
        else:
            limit = -1 if admission.max_waiting is None else admission.max_waiting
            policy = _POLICIES[admission.when_busy]
            args = ("take", place.owner, lifetime, flags, policy, limit, message, "0")
            again = (*args[:-1], "1")
        call = self._link().session.call(self.key(place.conversation_id), args, again)
        if isinstance(place, _RedisPlace):
            place.take = call
        standing = self._read(await call.future)
        place.number = standing.number
        return standing

    async def stand(self, place: Place) -> Standing:
        """Tell where a ticket stands (``stand.lua``); looks made together travel together."""
        call = self._link().session.call(*self._stand(place, 0), lazy=True)
        return self._read(await call.future)

    async def renew(self, places: Sequence[tuple[Place, float]]) -> list[Standing | LockError]:
        """Give each place its lifetime anew (``stand.lua``), in shared round trips."""
        heartbeat = self._link().heartbeat
        calls = []
        for place, lifetime in places:
            timeout = min(self.timeout, lifetime / 6)
            calls.append(heartbeat.call(*self._stand(place, lifetime), lazy=True, timeout=timeout))
        futures = (call.future for call in calls)
        answers = await asyncio.gather(*futures, return_exceptions=True)
        return [self._read_or_error(answer) for answer in answers]

    def _stand(self, place: Place, lifetime: float) -> tuple[bytes, tuple[Any, ...]]:
        args = ("stand", place.number, place.owner, _us(lifetime))
        return self.key(place.conversation_id), args

    async def leave(self, place: Place, outcome: Outcome) -> Departure:
        """Give the ticket back (``leave.lua``)."""
        if place.number == NOT_ISSUED and isinstance(place, _RedisPlace):
            take = place.take
            if take is None or (take.future.done() and not take.sent):
                return Departure(left=False, someone_waiting=False)
        lifetime = _us(self.timeout * 2)  # of a tombstone: longer than a take can be under way
        args = ("leave", place.number, place.owner, outcome, lifetime)
        call = self._link().session.call(self.key(place.conversation_id), args)
        departure = parse_departure(await call.future)
        if call.repeated:  # the first attempt may be what removed it
            return departure._replace(left=True)
        return departure

    async def wait(self, place: Place, timeout: float) -> Standing | None:
        """Wait for a push to this loop's inbox."""
        self._link().inbox.open()
        return await place.wait(timeout)

    async def line(self, conversation_id: str) -> Line | None:
        """Return the line (``line.lua``)."""
        return parse_line(await self._call(conversation_id, "line"))

    async def save(self, lock: TicketLock) -> None:
        """Merge a caller's picture of the line (``save.lua``)."""
        wall = time.time()
        tickets = [
            f"{ticket.number} {int((ticket.expires - wall) * MICROSECONDS)}"
            for ticket in sorted(lock.tickets, key=lambda ticket: ticket.number)
        ]
        await self._call(lock.conversation_id, "save", lock.seen_below, *tickets)

    async def delete(self, conversation_id: str) -> None:
        """Remove every ticket (``delete.lua``)."""
        await self._call(conversation_id, "delete")

    async def finish(self, conversation_id: str, number: int, secret: str, *, keep: bool) -> bool:
        """Remove an issued ticket by its number (``finish.lua``)."""
        reply = await self._call(
            conversation_id,
            "finish",
            number,
            secret or _NONE,
            "1" if keep else "0",
            *self._nonces,
        )
        return bool(reply == "1")

    async def conversations(self) -> AsyncIterator[str]:
        """Iterate over the conversations that have a record, by ``SCAN``."""
        prefix = len(self._key_prefix) + 1
        cursor = "0"
        while True:
            match = self._key_prefix + b"{*}"
            args = ("SCAN", cursor, "MATCH", match, "COUNT", 500, "TYPE", "hash")
            cursor, keys = await self._link().session.call(b"", args).future
            for key in keys:
                raw = key.encode("utf-8", "surrogateescape")[prefix:-1]
                yield raw.decode("utf-8", "surrogatepass")
            if cursor == "0":
                return

    async def close(self) -> None:
        """Close every loop's connections; those of other loops on their own threads."""
        self._closed = True
        here = asyncio.get_running_loop()
        for loop, link in list(self._links.items()):
            del self._links[loop]
            if loop is here:
                await link.aclose()
            elif not loop.is_closed():
                loop.call_soon_threadsafe(link.close)

    def forked(self) -> None:
        """Forget the parent's connections without closing them."""
        _inherited.append(self._links)
        self._links = {}
        self._nonces = set()

    def _link(self) -> _Link:
        loop = asyncio.get_running_loop()
        link = self._links.get(loop)
        if link is not None:
            return link
        if self._closed:
            msg = "The lock store is closed."
            raise StoreClosed(msg)
        for other in [other for other in self._links if other.is_closed()]:
            del self._links[other]
        link = self._links[loop] = _Link(self)
        self._nonces.add(link.nonce)
        self._open(link)
        return link

    @staticmethod
    def _open(link: _Link) -> None:
        # It suspends nowhere, so one step runs it; `place` and `take` must not wait for it.
        try:
            link.open().send(None)
        except StopIteration:
            return

    async def _call(self, conversation_id: str, *args: Any) -> Any:  # noqa: ANN401
        return await self._link().session.call(self.key(conversation_id), args).future

    def _read(self, reply: str) -> Standing:
        standing = parse_standing(reply)
        if standing.state is State.SERVED and standing.token > self._highest_token:
            self._highest_token = standing.token
        return standing

    def _read_or_error(self, answer: str | BaseException) -> Standing | LockError:
        if isinstance(answer, LockError):
            return answer
        if isinstance(answer, BaseException):
            raise answer
        return self._read(answer)


def _us(seconds: float) -> int:
    return max(1, round(seconds * MICROSECONDS)) if seconds else 0


def _message(message_id: str | None) -> str:
    # Hashed: any string becomes a short field that needs no escaping.
    if message_id is None:
        return _NONE
    return hashlib.blake2b(message_id.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
