"""The verbs of the toy's queue: whatever is asked travels as a word and its arguments."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from nowserving._host.forks import on_fork
from nowserving._host.identity import Owners
from nowserving.errors import LockError
from nowserving.lock import Superseded
from nowserving.protocol.handle import TicketHandle
from nowserving.protocol.outages import Outages
from nowserving.protocol.survey import sight_of
from tests.toys.verbs import Shown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from nowserving._host.process import Process
    from nowserving.lock import TicketLock
    from nowserving.protocol.queue import Guarantees
    from nowserving.protocol.status import (
        Absorption,
        Admission,
        Departure,
        IssuedTicket,
        LinePicture,
        LineUpdate,
        Outcome,
        PicturedTicket,
        TicketStatus,
    )
    from nowserving.protocol.survey import LineSight


class AskingQueue:
    """A queue that asks somebody else for everything; a subclass says how."""

    at_once = None
    guarantees: Guarantees

    def __init__(self) -> None:
        self.outages = Outages()
        self._start_afresh()
        on_fork(self)

    def _start_afresh(self) -> None:
        self._owners = Owners()
        self._handles: WeakValueDictionary[str, TicketHandle] = WeakValueDictionary()

    @property
    def name(self) -> str:
        """What all owners of this queue begin with, and nobody else's do."""
        return self._owners.name

    async def ask(self, verb: str, *args: Any, within: float | None = None) -> Any:
        """Have a verb carried out (``verbs.py``)."""
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError

    def forked(self) -> None:
        self._start_afresh()

    def handle(self, conversation_id: str, owner: str | None = None) -> TicketHandle:
        handle = TicketHandle(conversation_id, owner or self._owners.draw())
        self._handles[handle.owner] = handle
        return handle

    def push(self, owner: str, news: TicketStatus) -> None:
        """Wake the owner of a ticket, if it is one of ours; from any thread."""
        handle = self._handles.get(owner)
        if handle is not None:
            handle.ring(news)

    def ring_all(self) -> None:
        """Wake all owners: some pushes may have come to nobody."""
        for handle in list(self._handles.values()):
            handle.ring()

    async def take(
        self, handle: TicketHandle, admission: Admission, within: float | None = None
    ) -> TicketStatus:
        asked = (handle.conversation_id, handle.owner, admission)
        status: TicketStatus = await self.ask("take", *asked, within=within)
        handle.number = status.number
        return status

    async def leave(
        self, handle: TicketHandle, outcome: Outcome, within: float | None = None
    ) -> Departure:
        asked = (handle.conversation_id, shown(handle), outcome, handle.known_absorbed)
        departure: Departure = await self.ask("leave", *asked, within=within)
        return departure

    async def park(
        self,
        handle: TicketHandle,
        issued: IssuedTicket,
        lifetime: float,
        within: float | None = None,
    ) -> TicketStatus:
        asked = (handle.owner, Shown(int(issued), issued.secret), lifetime)
        status: TicketStatus = await self.ask("park", handle.conversation_id, *asked, within=within)
        return status

    async def absorb(
        self, handle: TicketHandle, most: int, within: float | None = None
    ) -> Absorption:
        asked = (handle.conversation_id, shown(handle), most)
        absorption: Absorption = await self.ask("absorb", *asked, within=within)
        return absorption

    async def renew(
        self, renewals: Sequence[tuple[TicketHandle, float]], within: float | None = None
    ) -> list[TicketStatus | LockError]:
        return await asyncio.gather(*(self._renew(*renewal, within) for renewal in renewals))

    async def _renew(
        self, handle: TicketHandle, lifetime: float, within: float | None
    ) -> TicketStatus | LockError:
        asked = (handle.conversation_id, shown(handle), lifetime)
        try:
            status: TicketStatus = await self.ask("renew", *asked, within=within)
        except LockError as error:
            return error
        return status

    async def poll(self, conversation_id: str, handles: Sequence[TicketHandle]) -> LineUpdate:
        update: LineUpdate = await self.ask("poll", conversation_id, [shown(h) for h in handles])
        return update

    async def superseded(self, handle: TicketHandle) -> Superseded:
        count, *messages = await self.ask("superseded", handle.conversation_id, shown(handle))
        return Superseded(messages, count)

    async def wait(self, handle: TicketHandle, timeout: float) -> TicketStatus | None:
        return await handle.wait(timeout)

    async def line(self, conversation_id: str) -> LinePicture | None:
        line: LinePicture | None = await self.ask("line", conversation_id)
        return line

    async def holder(
        self, conversation_id: str, within: float | None = None
    ) -> PicturedTicket | None:
        served: PicturedTicket | None = await self.ask("holder", conversation_id, within=within)
        return served

    async def save(self, lock: TicketLock) -> None:
        wall = time.time()
        lefts = [(ticket.number, ticket.expires - wall) for ticket in lock.tickets]
        await self.ask("save", lock.conversation_id, lefts, lock.seen_below)

    async def delete(self, conversation_id: str) -> None:
        await self.ask("delete", conversation_id)

    async def finish(self, conversation_id: str, number: int, secret: str, *, keep: bool) -> bool:
        issued, ours = Shown(number, secret), f"{self.name}."
        waiting: bool = await self.ask("finish", conversation_id, issued, ours, keep)
        return waiting

    async def release(self, conversation_id: str, number: int, owner: str, reason: str) -> bool:
        released: bool = await self.ask("release", conversation_id, Shown(number, owner), reason)
        return released

    async def processes(
        self,
        owners: Sequence[str],  # noqa: ARG002
        within: float | None = None,  # noqa: ARG002
    ) -> dict[str, Process]:
        return {}  # nobody has noted them

    async def conversations(self) -> AsyncIterator[str]:
        for name in await self.ask("conversations"):
            yield name

    async def survey(self, see: Callable[[LineSight], None]) -> int:
        for name in await self.ask("conversations"):
            line = sight_of(name, await self.line(name))
            if line is not None:
                see(line)
        return 0


def shown(handle: TicketHandle) -> Shown:
    """Return what is known of a ticket now: its handle may learn more while this travels."""
    return Shown(handle.number, handle.owner)
