"""The adapter for a store that knows only ``get_lock``, ``save_lock`` and ``delete_lock``.

A custom lock store written for Rasa defines these three and inherits the rest. Here is the rest,
by the reference's own algorithm: read the line, change it, save it whole, and poll it every
``wait_time_in_seconds``. It lacks what that algorithm lacks: two processes that read before either
has saved overwrite each other's tickets, nobody is pushed, a ticket's life counts from its issue,
and the fencing tokens rest on this process's clock. Policies hold within one process.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol
from weakref import WeakValueDictionary

from nowserving._host.forks import on_fork
from nowserving._host.identity import Owners
from nowserving._host.process import this_process
from nowserving.errors import LockError, StoreUnavailable
from nowserving.lock import Superseded
from nowserving.protocol.handle import TicketHandle
from nowserving.protocol.outages import Outages
from nowserving.protocol.queue import Guarantees, poll_one_by_one
from nowserving.protocol.status import Departure, LinePicture, PicturedTicket, State, TicketStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from nowserving._host.process import Process
    from nowserving.lock import Ticket, TicketLock
    from nowserving.protocol.status import (
        Absorption,
        Admission,
        IssuedTicket,
        LineUpdate,
        Outcome,
    )
    from nowserving.protocol.survey import LineSight


_TOO_MUCH = (
    "when_busy, max_waiting, when_full, settle, settle_max, message_id, remember_for, ticket, "
    "keep_place and label need a store that decides atomically; this one defines only get_lock, "
    "save_lock and delete_lock."
)


class Snapshots(Protocol):
    """The three storage methods of the reference, and how it makes a lock."""

    def create_lock(self, conversation_id: str) -> TicketLock:
        """Make a lock without tickets."""
        ...

    def get_lock(self, conversation_id: str) -> TicketLock | None:
        """Read a lock."""
        ...

    def save_lock(self, lock: TicketLock) -> None:
        """Write a lock."""
        ...

    def delete_lock(self, conversation_id: str) -> None:
        """Remove a lock."""
        ...


class SnapshotHandle(TicketHandle):
    """A handle that knows until when its ticket lives: a picture tells nothing of one that is gone.

    Attributes:
        expires: When that is, in Unix time; in this store that is the clock that counts.
        served_at: When it was told that it is served, None while it waits.
    """

    expires = 0.0
    served_at: float | None = None

    def note(self, ticket: Ticket | None) -> None:
        """Note until when its ticket lives, if it is there."""
        if ticket is not None:
            self.expires = ticket.expires

    def why_gone(self) -> str:
        """Return why the ticket is missing: one that had time left, somebody has taken out."""
        return "expired" if self.expires <= time.time() else "released"


class SnapshotQueue:
    """Lines as pictures in somebody else's storage.

    Args:
        storage: The three methods. What they raise becomes ``StoreUnavailable`` where a turn asks,
            which goes on giving back its ticket; the reference's own methods raise it as it is.
    """

    at_once = connections = None
    guarantees = Guarantees(
        cross_process=False,
        cross_host=False,
        pushes=False,
        durable=False,
        store_clock=False,
        needs_loop=False,
        shares_polls=False,
        policies=False,
    )

    def __init__(self, storage: Snapshots) -> None:
        self._storage = storage
        self.outages = Outages()  # of those of a storage nobody knows
        self.forked()
        on_fork(self)

    def forked(self) -> None:
        """Begin with owners of our own; the lines are the storage's."""
        self._owners = Owners()
        self._mutex = threading.RLock()
        self._held: WeakValueDictionary[tuple[str, int], SnapshotHandle] = WeakValueDictionary()
        self._token = 0

    def handle(self, conversation_id: str, owner: str | None = None) -> SnapshotHandle:
        """Return a fresh handle without a ticket."""
        return SnapshotHandle(conversation_id, owner or self._owners.draw())

    async def take(
        self,
        handle: SnapshotHandle,
        admission: Admission,
        within: float | None = None,  # noqa: ARG002
    ) -> TicketStatus:
        """Issue a ticket and save the line.

        Raises:
            LockError: For what needs a store that decides atomically: ``when_busy`` other than
                ``"queue"``, ``max_waiting``, ``when_full``, ``settle``, ``message_id``,
                ``remember_for``, ``ticket``, ``label``.
        """
        asks_for_more = (
            admission.when_busy != "queue"
            or admission.max_waiting is not None
            or admission.when_full != "reject"
            or admission.settle is not None
            or admission.message_id is not None
            or admission.remember_for is not None
            or admission.redeem is not None
            or admission.label is not None
        )
        if asks_for_more:
            raise LockError(_TOO_MUCH)
        with self._mutex, _asked(handle):
            lock = self._read(handle.conversation_id)
            lock = lock or self._storage.create_lock(handle.conversation_id)
            handle.number = lock.issue_ticket(admission.lifetime)
            handle.note(_find(lock, handle.number))
            # Before it is saved: an error can come late, and then the leave has to find it.
            self._held[handle.conversation_id, handle.number] = handle
            self._storage.save_lock(lock)
            return self._status(lock, handle)

    async def poll(self, conversation_id: str, handles: Sequence[SnapshotHandle]) -> LineUpdate:  # noqa: ARG002
        """Tell what is new of many tickets of one line."""
        return await poll_one_by_one(self, handles)

    async def renew(
        self,
        renewals: Sequence[tuple[SnapshotHandle, float]],
        within: float | None = None,  # noqa: ARG002
    ) -> list[TicketStatus | LockError]:
        """Read, extend and save, one line after the other."""
        return [self._renew(handle, lifetime) for handle, lifetime in renewals]

    def _renew(self, handle: SnapshotHandle, lifetime: float) -> TicketStatus | LockError:
        try:
            with self._mutex, _asked(handle):
                return self._status_of(handle, lifetime)
        except LockError as error:
            return error

    def _status_of(self, handle: SnapshotHandle, lifetime: float) -> TicketStatus:
        lock = self._read(handle.conversation_id) if self._is_held(handle) else None
        ticket = None if lock is None else _find(lock, handle.number)
        if lock is None or ticket is None:
            return TicketStatus(State.GONE, handle.number, detail=handle.why_gone())
        if lifetime:
            ticket.expires = time.time() + lifetime
            self._storage.save_lock(lock)
        handle.note(ticket)
        return self._status(lock, handle)

    async def leave(
        self,
        handle: SnapshotHandle,
        outcome: Outcome,  # noqa: ARG002 - there is no room for it
        within: float | None = None,  # noqa: ARG002
    ) -> Departure:
        """Take the ticket out and save; delete the lock when nobody is in line any more."""
        with self._mutex, _asked(handle):
            if not self._is_held(handle):
                return Departure(left=False, someone_waiting=False, why=handle.why_gone())
            status = self._status_of(handle, 0.0)
            waiting = await self.finish(handle.conversation_id, handle.number, "", keep=False)
            self._held.pop((handle.conversation_id, handle.number), None)
            left = status.state is not State.GONE
            return Departure(left=left, someone_waiting=waiting, why=status.detail)

    async def park(
        self,
        handle: SnapshotHandle,  # noqa: ARG002
        issued: IssuedTicket,  # noqa: ARG002
        lifetime: float,  # noqa: ARG002
        within: float | None = None,  # noqa: ARG002
    ) -> TicketStatus:
        """Refuse: no ticket is redeemed here that could be.

        Raises:
            LockError: Always.
        """
        raise LockError(_TOO_MUCH)

    async def superseded(self, handle: SnapshotHandle) -> Superseded:  # noqa: ARG002
        """Return nothing: nobody is superseded here."""
        return Superseded()

    async def absorb(
        self,
        handle: SnapshotHandle,  # noqa: ARG002
        most: int,  # noqa: ARG002
        within: float | None = None,  # noqa: ARG002
    ) -> Absorption:
        """Refuse: what waits could not be taken in atomically here."""
        msg = (
            "absorb() and news() need a store that decides atomically; this one defines only "
            "get_lock, save_lock and delete_lock."
        )
        raise LockError(msg)

    async def wait(self, handle: SnapshotHandle, timeout: float) -> TicketStatus | None:
        """Sleep: nobody pushes here, except a release in this very process."""
        return await handle.wait(timeout)

    async def line(self, conversation_id: str) -> LinePicture | None:
        """Read the line, take the expired tickets out, and save."""
        with self._mutex:
            lock = self._read(conversation_id)
            if lock is None:
                return None
            self._storage.save_lock(lock)
        now = time.time()
        tickets = tuple(self._pictured(conversation_id, ticket, now) for ticket in lock.tickets)
        return LinePicture(lock.last_issued + 1, tickets)

    def _pictured(self, name: str, ticket: Ticket, now: float) -> PicturedTicket:
        handle, left = self._held.get((name, ticket.number)), ticket.expires - now
        if handle is None:
            return PicturedTicket(ticket.number, left, "", None)
        served_for = None if handle.served_at is None else now - handle.served_at
        return PicturedTicket(ticket.number, left, handle.owner, served_for)

    async def holder(
        self,
        conversation_id: str,
        within: float | None = None,  # noqa: ARG002
    ) -> PicturedTicket | None:
        """Return the ticket that is served, if it is of this process.

        The storage is not asked: it would hold its caller up for as long as it takes.
        """
        now = time.time()
        for (name, number), handle in list(self._held.items()):
            served_at = handle.served_at
            if name == conversation_id and served_at is not None and handle.expires > now:
                left = handle.expires - now
                return PicturedTicket(number, left, handle.owner, now - served_at)
        return None

    async def save(self, lock: TicketLock) -> None:
        """Save the picture as it is."""
        self._storage.save_lock(lock)

    async def delete(self, conversation_id: str) -> None:
        """Delete the lock."""
        self._storage.delete_lock(conversation_id)

    async def finish(self, conversation_id: str, number: int, secret: str, *, keep: bool) -> bool:  # noqa: ARG002
        """Take the ticket with this number out and save; ``keep`` a lock without tickets."""
        with self._mutex:
            lock = self._read(conversation_id)
            if lock is None:
                return False
            lock.remove_ticket_for(number)
            self._storage.save_lock(lock)
            if lock.tickets:
                following = self._held.get((conversation_id, lock.tickets[0].number))
                if following is not None:
                    following.ring()
            waiting = lock.is_someone_waiting()
            if not waiting and not keep:
                self._storage.delete_lock(conversation_id)
            return waiting

    async def release(self, conversation_id: str, number: int, owner: str, reason: str) -> bool:  # noqa: ARG002
        """Refuse: a picture has no room for the reason, and shows no owner."""
        raise LockError("a store of get_lock, save_lock and delete_lock releases nothing")

    async def processes(
        self,
        owners: Sequence[str],
        within: float | None = None,  # noqa: ARG002
    ) -> dict[str, Process]:
        """Tell which process has these tickets: owners are known of this one only."""
        return dict.fromkeys(owners, this_process())

    async def conversations(self) -> AsyncIterator[str]:
        """Nobody knows them."""
        nobody: tuple[str, ...] = ()
        for conversation_id in nobody:
            yield conversation_id

    async def survey(self, see: Callable[[LineSight], None]) -> int:  # noqa: ARG002
        """Nobody knows the lines."""
        return 0

    async def close(self) -> None:
        """Nothing is held."""

    def _is_held(self, handle: SnapshotHandle) -> bool:
        # The numbers begin at 0 again after the last ticket, so one of ours that expired may have
        # the number of a stranger's: only the handle that was given it last may touch it.
        return self._held.get((handle.conversation_id, handle.number)) is handle

    def _read(self, conversation_id: str) -> TicketLock | None:
        lock = self._storage.get_lock(conversation_id)
        if lock is not None:
            lock.remove_expired_tickets()
        return lock

    def _status(self, lock: TicketLock, handle: SnapshotHandle) -> TicketStatus:
        ticket = _find(lock, handle.number)
        left = 0.0 if ticket is None else ticket.expires - time.time()
        if not lock.is_locked(handle.number):
            self._token = max(self._token + 1, time.time_ns() // 1000)
            handle.served_at = handle.served_at or time.time()
            return TicketStatus(State.SERVED, handle.number, 0, left, left, self._token)
        head = lock.tickets[0]
        ahead = handle.number - head.number
        return TicketStatus(State.WAITING, handle.number, ahead, left, head.expires - time.time())


@contextmanager
def _asked(handle: SnapshotHandle) -> Iterator[None]:
    """Tell what the storage raises as the error that turns, watch and heartbeat know to survive."""
    try:
        yield
    except LockError:
        raise
    except Exception as error:
        name, said = handle.conversation_id, str(error) or type(error).__name__
        raise StoreUnavailable(
            f"The storage of conversation_id '{name}' failed: {said}", conversation_id=name
        ) from error


def _find(lock: TicketLock, number: int) -> Ticket | None:
    return next((ticket for ticket in lock.tickets if ticket.number == number), None)
