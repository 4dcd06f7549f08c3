"""The socket toy's server: lines in memory, and a bad memory for whom it owes a reply."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import threading
from collections import Counter, deque
from typing import TYPE_CHECKING, Literal

from nowserving._host.clock import monotonic
from nowserving.stores._lines import Tokens
from tests.toys.json_lines import pack, read_verb
from tests.toys.rows import Rows
from tests.toys.verbs import Verbs

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

HOST = "127.0.0.1"

Loss = Literal["hang up", "say nothing"]


class SocketServer:
    """Serves lines in a thread of its own; use it as a context manager.

    Each verb is carried out, whatever becomes of its reply.

    Args:
        loses: Hang up instead of every so many replies; 0 for none.

    Attributes:
        port: Where it listens.
        asked: How often each verb was carried out.
        lost: How many replies were lost.
    """

    def __init__(self, loses: int = 0) -> None:
        self.port = 0
        self.asked: Counter[str] = Counter()
        self.lost = 0
        self._loses = loses
        self._batches = itertools.count(1)
        self._losses: deque[tuple[str, Loss]] = deque()
        self._inboxes: dict[str, set[asyncio.StreamWriter]] = {}
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10.0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()

    def lose(self, verb: str, how: Loss = "hang up") -> None:
        """Lose the reply to the next batch with this verb."""
        self._losses.append((verb, how))

    async def _serve(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        self._rows = Rows(Tokens())
        server = await asyncio.start_server(self._talk, HOST, 0, limit=1 << 24)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._ended.wait()
        server.close()
        for writer in {writer for inbox in self._inboxes.values() for writer in inbox}:
            writer.transport.abort()
        self._rows.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            name = json.loads(await reader.readline())  # whose notices go here
            inbox = self._inboxes.setdefault(name, set())
            inbox.add(writer)
            try:
                async for line in reader:
                    self._carry_out(line, writer)
            finally:
                inbox.discard(writer)
                writer.transport.abort()

    def _carry_out(self, line: bytes, writer: asyncio.StreamWriter) -> None:
        with self._rows.transaction():
            verbs = Verbs(self._rows, monotonic())
            asked = [read_verb(*verb) for verb in json.loads(line)]
            answers = [verbs.carry_out(*verb) for verb in asked]
        said = {verb for verb, *_ in asked}
        self.asked.update(verb for verb, *_ in asked)
        for owner, news in verbs.mail:
            for inbox in self._inboxes.get(owner.partition(".")[0], ()):
                inbox.write(pack({owner: news}))
        loss = self._loss(said)
        self.lost += loss is not None
        if loss is None:
            writer.write(pack(answers))
        elif loss == "hang up":
            writer.transport.abort()

    def _loss(self, said: set[str]) -> Loss | None:
        if self._losses and self._losses[0][0] in said:
            return self._losses.popleft()[1]
        if self._loses and next(self._batches) % self._loses == 0:
            return "hang up"
        return None
