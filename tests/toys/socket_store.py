"""A toy store over a socket whose server loses replies (``socket_server.py``).

What a remote store has to say, all else being in ``stores/_remote``: how to connect, how a batch is
written, what a reply means, how a waiter is woken, and what can go wrong.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from nowserving._host.loops import PerLoop
from nowserving.errors import StoreClosed, StoreUnavailable
from nowserving.protocol import names
from nowserving.protocol.queue import Guarantees
from nowserving.protocol.status import State
from nowserving.stores._remote.outage import Outage
from nowserving.stores._remote.server import Server
from nowserving.stores._remote.session import RemoteSession
from nowserving.stores._remote.trouble import Trouble
from nowserving.stores._remote.unreachable import Unreachable
from nowserving.stores.queued import QueueLockStore
from tests.toys.json_lines import JsonLines, read_answer, read_status
from tests.toys.queue import AskingQueue
from tests.toys.socket_server import HOST

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from nowserving._config.options import Defaults
    from nowserving.stores._remote.call import Call

_IN_NO_ORDER = frozenset({"poll", "renew"})
"""What changes nothing for others, and lets everything else go first."""


class SocketLockStore(QueueLockStore):
    """Lines in a server.

    Args:
        port: Where it listens.
        socket_timeout: Seconds within which a verb is answered or raises ``StoreUnavailable``.
        **defaults: Options of ``lock()`` for every turn that does not say otherwise.
    """

    def __init__(
        self, port: int, socket_timeout: float = 5.0, **defaults: Unpack[Defaults]
    ) -> None:
        self.port = port
        self.socket_timeout = socket_timeout
        super().__init__(**defaults)

    def _make_queue(self) -> SocketQueue:
        return SocketQueue(self.port, self.socket_timeout)


class SocketQueue(AskingQueue):
    guarantees = Guarantees(
        cross_process=True,
        cross_host=True,
        pushes=False,  # they can be lost
        durable=False,
        store_clock=True,
        needs_loop=True,
        shares_polls=True,
        policies=True,
    )

    def __init__(self, port: int, timeout: float) -> None:
        super().__init__()
        self.connections = Connections(self, port, timeout)

    async def ask(self, verb: str, *args: Any, within: float | None = None) -> Any:
        session = self.connections.here()
        said, key = (verb, *args), names.encode(args[0]) if args else b"*"
        again = (*said, True) if verb == "take" else said
        call = session.call(key, said, again, lazy=verb in _IN_NO_ORDER, within=within)
        answer = read_answer(verb, await call.future)
        if verb == "leave" and call.repeated:  # the first attempt may be what removed it
            answer = answer._replace(left=True)
        if verb == "park" and call.repeated and answer.state is State.GONE and not answer.detail:
            answer = answer._replace(state=State.WAITING)  # parked, and redeemed since
        return answer

    async def close(self) -> None:
        self.connections.closed = True
        self.connections.close()

    def forked(self) -> None:
        super().forked()
        self.connections.forked()


class Connections(PerLoop["Session"]):
    """What each event loop has of the server: one connection, for calls and for notices."""

    def __init__(self, queue: SocketQueue, port: int, timeout: float) -> None:
        super().__init__()
        self.closed = False
        self._queue = queue
        self._port = port
        self._timeout = timeout
        self._outage = Outage("The server", f"{HOST}:{port}", queue.outages)

    def here(self) -> Session:
        session = None if self.closed else self.of(asyncio.get_running_loop()).thing()
        if session is None:
            raise StoreClosed("The lock store is closed.")
        return session

    def make(self, loop: asyncio.AbstractEventLoop) -> Session:
        server = Server(self._connect, self._outage, self._timeout, _diagnose)
        return Session(loop, server, self._timeout, self._queue)

    async def _connect(self) -> JsonLines:
        # A server whose schema we had to make would be given it here, each time anew.
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(JsonLines, HOST, self._port)
        connection.send(self._queue.name)
        return connection


class Session(RemoteSession[JsonLines]):
    """One event loop's calls, and the notices of its tickets."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        server: Server[JsonLines],
        timeout: float,
        queue: SocketQueue,
    ) -> None:
        self.loop = loop
        self._queue = queue
        super().__init__(server, timeout, ServerTrouble(loop, server.outage, timeout), self._arrive)

    def _write(self, batch: list[Call], connection: JsonLines) -> None:
        self._in_flight.append(batch)
        connection.send([call.args for call in batch])

    def _arrive(self, reply: Any) -> None:
        if isinstance(reply, dict):
            for owner, status in reply.items():
                self._queue.push(owner, read_status(status))
            return
        batch = self._in_flight.popleft()
        for call, answer in zip(batch, reply, strict=True):
            call.answer(answer)
        self._trouble.is_over(batch)
        self._answered(batch)

    def _is_proven(self) -> bool:
        return True  # it refuses nothing

    def _forget_connection(self) -> None:
        super()._forget_connection()
        self._queue.ring_all()  # what is pushed now is pushed to nobody


class ServerTrouble(Trouble):
    """What keeps the server from serving, in words; it refuses nothing."""

    def words(self, error: BaseException) -> str:
        return str(error)

    def concerns_writes(self, error: BaseException) -> bool:  # noqa: ARG002
        return False

    def only_reads(self, call: Call) -> bool:  # noqa: ARG002
        return False

    def unavailable(self, what: str, because: str = "") -> StoreUnavailable:
        return StoreUnavailable(f"The server at {self.outage.where} {what}{because}")


def _diagnose(error: BaseException) -> Unreachable:
    return Unreachable(str(error), absent=isinstance(error, ConnectionRefusedError))
