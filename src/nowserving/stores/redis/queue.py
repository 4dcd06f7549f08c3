"""The Redis queue: the seam's verbs as calls of the Lua verbs, one session an event loop."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from nowserving._host.forks import on_fork
from nowserving.errors import LockError
from nowserving.protocol import names
from nowserving.protocol.queue import Guarantees
from nowserving.protocol.status import (
    NOT_ISSUED,
    SERVED,
    Absorption,
    Departure,
    LinePicture,
    State,
    TicketStatus,
)
from nowserving.stores._remote.handle import RemoteHandle
from nowserving.stores.redis.call_settings import CallSettings
from nowserving.stores.redis.extras import encode_extras, encode_why, known_text
from nowserving.stores.redis.header import Header
from nowserving.stores.redis.loop_connections import Connections
from nowserving.stores.redis.picture import pieces_of
from nowserving.stores.redis.poll import poll_line
from nowserving.stores.redis.processes import ProcessNote, nonce_of
from nowserving.stores.redis.renewing import renew_all
from nowserving.stores.redis.replicas import Replicas
from nowserving.stores.redis.replies import (
    NOTHING_MORE,
    parse_absorption,
    parse_answer,
    parse_departure,
    parse_key,
    parse_line,
    parse_progress,
    parse_status,
    parse_superseded,
    version_of,
)
from nowserving.stores.redis.script import load_script
from nowserving.stores.redis.surveyor import Surveyor
from nowserving.stores.redis.walking import LEFT_OVER, SIGNS, finished

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from nowserving._host.process import Process
    from nowserving.lock import Superseded, TicketLock
    from nowserving.protocol.status import (
        Admission,
        IssuedTicket,
        LineUpdate,
        Outcome,
        PicturedTicket,
    )
    from nowserving.protocol.survey import LineSight
    from nowserving.stores.redis.renewing import Renewal
    from nowserving.stores.redis.topologies.topology import Topology

_NONE = "-"
_MAYBE_LEFT = ("expired", "superseded", "")
"""What is said of a ticket of which no trace is left: so it is also when its owner has left.

Below the number of a newer message that superseded others, that is ``superseded``.
"""

_POLICIES = {"queue": "q", "reject": "r", "latest": "l", "interrupt": "i"}
_DROP_OLDEST = "d"


class RedisQueue:
    """Lines in one Redis.

    Args:
        topology: Where the records are, and how to reach them.
        key_prefix: What every key and channel begins with, its own separator included.
        timeout: Seconds within which every verb is answered or raises ``StoreUnavailable``.
        min_replicas: How many replicas shall confirm a take before it counts; 0 asks none.

    Attributes:
        connections: What each event loop has of this Redis.
        outages: Who is told when one of its servers does not serve.
        replicas: How often ``min_replicas`` was not reached; None when nobody asked for it.
    """

    at_once = None
    guarantees = Guarantees(
        cross_process=True,
        cross_host=True,
        pushes=False,
        durable=False,
        store_clock=True,
        needs_loop=True,
        shares_polls=True,
        policies=True,
    )

    def __init__(
        self, topology: Topology, *, key_prefix: str, timeout: float, min_replicas: int = 0
    ) -> None:
        self.timeout = timeout
        self.replicas = Replicas(min_replicas, timeout) if min_replicas else None
        self._header = Header(f"{key_prefix}inbox:", timeout)
        settings = CallSettings(load_script(), self._header, timeout, self.replicas)
        self.outages = topology.outages
        self._key_prefix = key_prefix.encode()
        self._process = ProcessNote(self._key_prefix)
        self.connections = Connections(topology, settings, self._process)
        on_fork(self)

    def key(self, conversation_id: str) -> bytes:
        """Return the key of a conversation's record; the braces keep it in one cluster slot."""
        return b"%b{%b}" % (self._key_prefix, names.encode(conversation_id))

    def handle(self, conversation_id: str, owner: str | None = None) -> RemoteHandle:
        """Return a fresh handle, to be used on the running loop."""
        if owner is not None:
            return RemoteHandle(conversation_id, owner)  # nobody waits for its bell
        here = self.connections.here()
        handle = RemoteHandle(conversation_id, here.owners.draw())
        here.inbox.expect(handle)
        return handle

    async def take(
        self,
        handle: RemoteHandle,
        admission: Admission,
        within: float | None = None,
    ) -> TicketStatus:
        """Join the line (``take.lua``) or claim an issued ticket (``redeem.lua``)."""
        flags = ("c" if admission.claimed else "") + ("r" if admission.renewed else "") or _NONE
        lifetime = max(1, round(admission.lifetime * 1000)) * 1000  # as _lifetime(), at each turn
        message, extras = _NONE, _NONE
        if (
            admission.message_id is not None
            or admission.label is not None
            or admission.remember_for is not None
        ):
            message = message_of(admission)
            extras = encode_extras(admission.label, admission.message_id)
        if admission.redeem is not None:
            args: tuple[Any, ...] = (
                "redeem",
                int(admission.redeem),
                admission.redeem.secret or _NONE,
                handle.owner,
                lifetime,
                flags,
                message,
                extras,
            )
            again = args
        else:
            limit = -1 if admission.max_waiting is None else admission.max_waiting
            policy = policy_of(admission)
            args = ("take", handle.owner, lifetime, flags, policy, limit, message, extras, "0")
            again = (*args[:-1], "1")
        here = self.connections.here()
        call = here.session.call(self.key(handle.conversation_id), args, again, within=within)
        handle.take = call
        reply = await call.future
        if reply[0] in SIGNS:
            call = await finished(here.session, call, args, again)
            reply = here.sweeper.read(call.key, call.future.result())
        status = self._read(reply)
        handle.number, handle.line_version = status.number, version_of(reply)
        if status.state is State.WAITING:
            handle.overdue = True
        return status

    async def poll(self, conversation_id: str, handles: Sequence[RemoteHandle]) -> LineUpdate:
        """Tell what is new of many tickets of one line (``poll.lua``)."""
        update = await poll_line(self.connections.here(), self.key(conversation_id), handles)
        for handle in handles:
            news = update.news.get(handle.owner)
            if news is not None and news.state is SERVED:
                self._note_served(handle, news)
        return update

    def _note_served(self, handle: RemoteHandle, status: TicketStatus) -> None:
        self._header.note_token(status)
        if handle.overdue:
            self.connections.here().inbox.push_missed(handle)

    async def renew(
        self, renewals: Sequence[tuple[RemoteHandle, float]], within: float | None = None
    ) -> list[TicketStatus | LockError]:
        """Give each ticket its lifetime anew, or tell its status (``renew.lua``)."""
        if not any(lifetime for _, lifetime in renewals):
            return [await self._status(handle, within) for handle, _ in renewals]
        # Of all of them the shortest: in a cluster a node that does not answer must not hold up
        # the renewals of what is on others. They are repeated soon.
        timeout = min(self.timeout, *(lifetime / 6 for _, lifetime in renewals))
        said = [self._renewal(handle, lifetime) for handle, lifetime in renewals]
        answers = await renew_all(self.connections.here(), said, timeout)
        return [self._read_or_error(answer) for answer in answers]

    async def _status(self, handle: RemoteHandle, within: float | None) -> TicketStatus | LockError:
        here = self.connections.here()
        call = here.session.call(*self._renewal(handle, 0), lazy=True, within=within)
        handle.polled = call
        try:
            status = self._read(here.sweeper.read(call.key, await call.future))
        except LockError as error:
            return error
        if status.state is State.SERVED:
            self._note_served(handle, status)
        return status

    def _renewal(self, handle: RemoteHandle, lifetime: float) -> Renewal:
        args = ("renew", handle.number, handle.owner, _lifetime(lifetime) if lifetime else 0)
        return self.key(handle.conversation_id), args

    async def leave(
        self,
        handle: RemoteHandle,
        outcome: Outcome,
        within: float | None = None,
    ) -> Departure:
        """Give the ticket back (``leave.lua``)."""
        handle.clear_line_version()
        if handle.number == NOT_ISSUED and not handle.may_be_in_line():
            return Departure(left=False, someone_waiting=False)
        known = handle.known_absorbed
        args: tuple[str | int, ...]
        if known is None or outcome != "done":
            args = ("leave", handle.number, handle.owner, outcome)
        else:
            args = ("leave_knowing", handle.number, handle.owner, known_text(known))
        here = self.connections.here()
        call = here.session.call(self.key(handle.conversation_id), args, within=within)
        if outcome != "done" and not call.sent:
            # Holders and waiters that are cancelled all at once are so by a server that ends,
            # maybe in its next step: what is written by then arrives.
            here.session.hurry()
        reply = await call.future
        if reply[0] in SIGNS:
            call = await finished(here.session, call, args)
            reply = here.sweeper.read(call.key, call.future.result())
        departure = parse_departure(reply)
        if call.repeated and departure.why in _MAYBE_LEFT:
            return departure._replace(left=True, why="")  # maybe by the first attempt
        return departure

    async def park(
        self,
        handle: RemoteHandle,
        issued: IssuedTicket,
        lifetime: float,
        within: float | None = None,
    ) -> TicketStatus:
        """Leave a redeemed ticket in line (``park.lua``)."""
        number = int(issued)
        handle.clear_line_version()
        kept = TicketStatus(State.WAITING, number)
        if handle.number == NOT_ISSUED and not handle.may_be_in_line():
            return kept  # nothing was ever sent: it stands there as it was issued
        secret = issued.secret or _NONE
        args = ("park", number, handle.owner, secret, _lifetime(lifetime))
        here = self.connections.here()
        call = here.session.call(self.key(handle.conversation_id), args, within=within)
        if not call.sent:
            here.session.hurry()  # as with a leave
        call = await finished(here.session, call, args)
        status = parse_status(here.sweeper.read(call.key, call.future.result()))
        if call.repeated and status.state is State.GONE and not status.detail:
            return kept  # by the first attempt; and somebody has redeemed it since
        return status

    async def absorb(
        self,
        handle: RemoteHandle,
        most: int,
        within: float | None = None,
    ) -> Absorption:
        """Take those who wait into the holder's turn (``absorb.lua``), in pieces if need be."""
        here = self.connections.here()
        here.inbox.open()
        on, more, found, repeated = -1, False, [], False
        while True:
            args = ("absorb", handle.number, handle.owner, most, on)
            call = here.session.call(self.key(handle.conversation_id), args, within=within)
            call = await finished(here.session, call, args)
            repeated = repeated or call.repeated
            page = parse_absorption(here.sweeper.read(call.key, call.future.result()))
            found += page.tickets
            more = more or page.more
            on = page.on
            if on == NOTHING_MORE:
                return Absorption(page.holder, page.taken, more, tuple(found), repeated)

    async def wait(self, handle: RemoteHandle, timeout: float) -> TicketStatus | None:
        """Wait for a push to this loop's inbox."""
        self.connections.here().inbox.open()
        return await handle.wait(timeout)

    async def superseded(self, handle: RemoteHandle) -> Superseded:
        """Return the messages that had to leave for this ticket (``superseded.lua``)."""
        asked = ("superseded", handle.number, handle.owner)
        return parse_superseded(await self._call(handle.conversation_id, *asked))

    async def line(self, conversation_id: str) -> LinePicture | None:
        """Return the line (``line.lua``). One of more than some hundred is read in pieces."""
        on, next_number = -1, None
        tickets: list[PicturedTicket] = []
        while on != NOTHING_MORE or next_number is None:
            page = parse_line(await self._call(conversation_id, "line", on))
            if page is None:
                break
            next_number = page.next_number if next_number is None else next_number
            tickets += page.tickets
            on = page.on
        if next_number is None:
            return None
        # What was issued meanwhile is of another picture than the number.
        return LinePicture(next_number, tuple(t for t in tickets if t.number < next_number))

    async def holder(
        self, conversation_id: str, within: float | None = None
    ) -> PicturedTicket | None:
        """Return the ticket that is served (``line.lua``, of which it is the first)."""
        here = self.connections.here()
        call = here.session.call(self.key(conversation_id), ("line", -1, 1), within=within)
        reply = await call.future
        if isinstance(reply, str):
            return None  # nobody's turn it is yet: the line is too long to say it in one call
        page = parse_line(here.sweeper.read(call.key, reply))
        first = page.tickets[0] if page is not None and page.tickets else None
        return None if first is None or first.served_for is None else first

    async def save(self, lock: TicketLock) -> None:
        """Merge a caller's picture of the line (``save.lua``). A long one is merged in pieces."""
        for piece in pieces_of(lock):
            on = parse_progress(await self._call(lock.conversation_id, "save", *piece.args()))
            while on is not None:
                args = piece.args(on)
                on = parse_progress(await self._call(lock.conversation_id, "save", *args))

    async def delete(self, conversation_id: str) -> None:
        """Remove every ticket (``delete.lua``)."""
        await self._call(conversation_id, "delete", to_the_end=True)

    async def finish(self, conversation_id: str, number: int, secret: str, *, keep: bool) -> bool:
        """Remove an issued ticket by its number (``finish.lua``)."""
        reply = await self._call(
            conversation_id,
            "finish",
            number,
            secret or _NONE,
            "1" if keep else "0",
            self.connections.nonce,
            to_the_end=not keep,
        )
        return parse_answer(reply)

    async def release(self, conversation_id: str, number: int, owner: str, reason: str) -> bool:
        """Take a ticket out, and tell its owner (``release.lua``)."""
        said = number, owner or _NONE, encode_why(reason)
        return parse_answer(await self._call(conversation_id, "release", *said))

    async def processes(
        self, owners: Sequence[str], within: float | None = None
    ) -> dict[str, Process]:
        """Tell which processes have tickets (``process.lua``), one question for each of them."""
        nonces = {owner: nonce_of(owner) for owner in owners}
        asked = set(nonces.values()) - {""}
        known = await self._process.read(self.connections.here(), asked, within)
        return {owner: known[nonce] for owner, nonce in nonces.items() if nonce in known}

    async def conversations(self) -> AsyncIterator[str]:
        """Iterate over the conversations that have a record, by ``SCAN``."""
        match = self._key_prefix + b"{*}"
        for shard in await self.connections.here().session.shards():
            cursor = "0"
            while True:
                args = ("SCAN", cursor, "MATCH", match, "COUNT", 500, "TYPE", "hash")
                cursor, keys = await shard.call(b"", args).future
                for key in keys:
                    name = parse_key(key, self._key_prefix)
                    if name:
                        yield name
                if cursor == "0":
                    break

    async def survey(self, see: Callable[[LineSight], None]) -> int:
        """Tell every line in use (``survey.lua``), over connections of their own."""
        surveyor = Surveyor(self.connections.here().aside(), self._key_prefix, see)
        await surveyor.look()
        return surveyor.unreadable

    async def close(self) -> None:
        """Close every loop's connections; those of other loops on their own threads."""
        await self.connections.aclose()

    def forked(self) -> None:
        """Forget the parent's connections without closing them."""
        self.connections.forked()

    async def _call(self, conversation_id: str, *args: Any, to_the_end: bool = False) -> Any:  # noqa: ANN401
        """Say a verb; ``to_the_end``, wait until what it has left over is done as well."""
        here = self.connections.here()
        call = here.session.call(self.key(conversation_id), args)
        call = await finished(here.session, call, args)
        reply = call.future.result()
        if to_the_end and reply[0] == LEFT_OVER:
            await here.sweeper.sweep(call.key)
            return reply[1:]
        return here.sweeper.read(call.key, reply)

    def _read(self, reply: str) -> TicketStatus:
        status = parse_status(reply)
        if status.state is SERVED and status.token > self._header.highest_token:
            self._header.highest_token = status.token
        return status

    def _read_or_error(self, answer: str | BaseException) -> TicketStatus | LockError:
        if isinstance(answer, LockError):
            return answer
        if isinstance(answer, BaseException):
            raise answer
        return self._read(answer)


def policy_of(admission: Admission) -> str:
    """Return what ``take.lua`` is told of what the message does where somebody is in line."""
    policy = _POLICIES[admission.when_busy]
    if admission.when_full == "drop_oldest" and policy == "q":
        policy = _DROP_OLDEST
    if admission.settle is None:
        return policy
    limit = "" if admission.settle_max is None else _lifetime(admission.settle_max)
    return f"{policy}~{_lifetime(admission.settle)}~{limit}"


def _lifetime(seconds: float) -> int:
    # Whole milliseconds: so a ticket has it, and no ticket lives longer than its lifetime.
    return max(1, round(seconds * 1000)) * 1000


def message_of(admission: Admission) -> str:
    """Return what ``take.lua`` is told of the message, and of how long it is remembered."""
    if admission.message_id is None:
        return _NONE if admission.redeem is None else _remembered(_NONE, admission)
    # Hashed: any string becomes a short field that needs no escaping.
    digest = hashlib.blake2b(names.encode(admission.message_id), digest_size=12).hexdigest()
    return _remembered(digest, admission)


def _remembered(message: str, admission: Admission) -> str:
    if admission.remember_for is None:
        return message
    return f"{message}~{max(1, round(admission.remember_for * 1000))}"
