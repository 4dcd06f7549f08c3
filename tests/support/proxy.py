"""A TCP proxy before Redis that loses or delays what a network can: notices, requests, replies."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlencode

from tests.support.redis_server import HOST

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

Cut = Literal["request", "reply", "half a reply", "late request", "late reply", "silence"]
"""What the client misses: its request never arrives, the reply does not, or only half of it.

Or the connection stays as it is, and just nothing comes back: the request is on its way still, and
arrives when :meth:`Proxy.deliver` says so, though the client may have hung up (``late request``);
or it has arrived, and its reply comes when :meth:`Proxy.reply` says so (``late reply``), or never
will (``silence``).
"""

_CHUNK = 1 << 16


@dataclass
class _Plan:
    """A cut to be made once: at the next request that holds ``word``."""

    word: bytes
    what: Cut


class Proxy:
    """Stands before a Redis, in a thread of its own; use it as a context manager.

    Args:
        upstream: The port of the Redis.

    Attributes:
        port: The port to connect to.
        swallow_messages: Whether to drop all pub/sub messages.
        swallowed: How many pieces of a subscription were dropped.
        connections: How many connections were accepted.
        subscriptions: How many of them have subscribed to something.
        cuts: How many of the planned cuts were made.
        late: The late requests that are on their way still.
        arrived: On how many connections they have arrived, and were answered.
        held: How many replies are late, and wait here.
    """

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._started = threading.Event()
        self._plans: list[_Plan] = []
        self._pipes: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.swallow_messages = False
        self.swallowed = 0
        self.connections = 0
        self.subscriptions = 0
        self.deaf_before = 0
        self.held = 0
        self.replying = asyncio.Event()
        self.cuts = 0
        self.late: list[tuple[asyncio.StreamWriter, bytes]] = []
        self.arrived = 0

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(5.0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5.0)

    def url(self, db: int = 1, **params: object) -> str:
        """Return the URL of a lock store over this proxy."""
        query = f"?{urlencode(params)}" if params else ""
        return f"redis://{HOST}:{self.port}/{db}{query}"

    def cut(self, word: str, what: Cut) -> None:
        """At the next request with this word in it, cut the connection; can be called again.

        Args:
            word: An argument of the request, such as the name of a verb.
            what: What gets lost.
        """
        self._plans.append(_Plan(b"$%d\r\n%b\r\n" % (len(word), word.encode()), what))

    async def deliver(self) -> None:
        """Let the late requests arrive; returns when Redis has answered all of them."""
        late, self.late = self.late, []
        assert late, "no request is late"
        # Several replies may come in one piece, so what is counted is the answer to a PING behind.
        connections = {id(up_writer): up_writer for up_writer, _ in late}
        expected = self.arrived + len(connections)
        for up_writer, data in late:
            self._loop.call_soon_threadsafe(up_writer.write, data)
        for up_writer in connections.values():
            self._loop.call_soon_threadsafe(up_writer.write, b"PING\r\n")
        give_up = time.monotonic() + 5.0
        while self.arrived < expected:
            assert time.monotonic() < give_up, "Redis has not answered a late request"
            await asyncio.sleep(0.005)

    def reply(self) -> None:
        """Let the late replies go, and all that has come behind them."""
        self._loop.call_soon_threadsafe(self.replying.set)

    def deafen(self) -> None:
        """From now on nothing comes back over the subscriptions that there are, without a word."""
        self.deaf_before = self.connections

    def _run(self) -> None:
        loop = self._loop
        asyncio.set_event_loop(loop)
        server = loop.run_until_complete(asyncio.start_server(self._connected, HOST, 0))
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        loop.run_forever()
        server.close()
        for pipe in list(self._pipes):
            pipe.transport.abort()
        for task in list(self._tasks):
            task.cancel()
        loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._pipes.add(writer)
        self.connections += 1
        number = self.connections
        try:
            up_reader, up_writer = await asyncio.open_connection(HOST, self._upstream)
        except OSError:
            writer.transport.abort()
            return
        finally:
            self._tasks.discard(task)
        self._pipes.add(up_writer)
        connection = _Connection(self, number, reader, writer, up_reader, up_writer)
        for pump in (connection.requests(), connection.replies()):
            pumping = self._loop.create_task(pump)
            self._tasks.add(pumping)
            pumping.add_done_callback(self._tasks.discard)

    def planned(self, data: bytes) -> Cut | None:
        """Return the cut that is planned for a request, and forget the plan."""
        for plan in self._plans:
            if plan.word in data:
                self._plans.remove(plan)
                self.cuts += 1
                return plan.what
        return None


class _Connection:
    """One client's connection and its counterpart to Redis."""

    def __init__(
        self,
        proxy: Proxy,
        number: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        up_reader: asyncio.StreamReader,
        up_writer: asyncio.StreamWriter,
    ) -> None:
        self._proxy = proxy
        self._reader, self._writer = reader, writer
        self._up_reader, self._up_writer = up_reader, up_writer
        self._number = number
        self._cut: Cut | None = None
        self._subscribed = False

    async def requests(self) -> None:
        """Carry what the client sends."""
        with contextlib.suppress(OSError):
            while data := await self._reader.read(_CHUNK):
                if b"SUBSCRIBE" in data and not self._subscribed:
                    self._subscribed = True
                    self._proxy.subscriptions += 1
                self._cut = self._cut or self._proxy.planned(data)
                if self._cut == "request":
                    break
                if self._cut == "late request":
                    self._proxy.late.append((self._up_writer, data))
                    continue
                self._up_writer.write(data)
                await self._up_writer.drain()
        if self._cut == "late request":
            self._writer.transport.abort()
        else:
            self._hang_up()

    async def replies(self) -> None:
        """Carry what Redis answers."""
        confirmed = False
        with contextlib.suppress(OSError):
            while data := await self._up_reader.read(_CHUNK):
                if self._cut == "silence" or self._is_deaf():
                    continue
                if self._cut == "late reply":
                    self._proxy.held += 1
                    await self._proxy.replying.wait()
                    self._proxy.held -= 1
                    self._proxy.replying.clear()
                    self._cut = None
                if self._cut is not None:
                    if self._cut == "late request":
                        self._proxy.arrived += data.count(b"+PONG\r\n")
                        continue
                    if self._cut == "half a reply":
                        self._writer.write(data[: len(data) // 2])
                        await self._writer.drain()
                    break
                if confirmed and self._proxy.swallow_messages:
                    self._proxy.swallowed += 1
                    continue
                # The answer to SUBSCRIBE has to pass, and is the first one to come.
                confirmed = self._subscribed
                self._writer.write(data)
                await self._writer.drain()
        self._hang_up()

    def _is_deaf(self) -> bool:
        return self._subscribed and self._number <= self._proxy.deaf_before

    def _hang_up(self) -> None:
        if self._cut == "half a reply":
            self._writer.close()  # what was written still goes out
        else:
            self._writer.transport.abort()
        self._up_writer.transport.abort()
