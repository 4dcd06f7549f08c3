"""The seam between turns and stores: a ``TicketQueue`` decides order, atomically, on its own clock.

Every verb is one atomic step in the store. A queue never decides how long to wait, whether to give
up or what to tell the caller: that is for ``rules.py`` and ``turn.py``. It imports nothing of them.

Every verb may be repeated: a queue that lost a reply sends the same verb again, and the owner in
the ticket handle (``handle.py``) makes the repetition find what the first attempt did.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from nowserving.errors import LockError
from nowserving.protocol.handle import TicketHandle
from nowserving.protocol.status import LineUpdate, State

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from nowserving._host.process import Process
    from nowserving.lock import Superseded, TicketLock
    from nowserving.protocol.outages import Outages
    from nowserving.protocol.status import (
        Absorption,
        Admission,
        Departure,
        IssuedTicket,
        LinePicture,
        Outcome,
        PicturedTicket,
        TicketStatus,
    )
    from nowserving.protocol.survey import LineSight


HandleT = TypeVar("HandleT", bound=TicketHandle)
HandleT_contra = TypeVar("HandleT_contra", bound=TicketHandle, contravariant=True)


@dataclass(frozen=True)
class Guarantees:
    """What a queue promises; declared by each one, with no defaults to hide behind.

    Attributes:
        cross_process: Several processes of one machine share the line.
        cross_host: Several machines do.
        pushes: A promoted waiter is told, without polling, and no notice is ever lost.
        durable: An answered verb survives a crash of the store.
        store_clock: Time is the store's, so that callers' clocks do not matter.
        needs_loop: Its verbs wait for something that arrives on an event loop. Without this, they
            never suspend, and are run straight in the calling thread.
        shares_polls: A poll costs enough to be shared: one asks for all waiters of a line, and a
            waiter asks for itself only before it acts. Without this, each waiter asks by itself.
        policies: ``when_busy``, ``max_waiting``, ``message_id`` and redeeming are decided
            atomically inside ``take``.
    """

    cross_process: bool
    cross_host: bool
    pushes: bool
    durable: bool
    store_clock: bool
    needs_loop: bool
    shares_polls: bool
    policies: bool


class Droppable(Protocol):
    """What a queue works with, and what ends with its store: connections, a thread."""

    def close(self) -> None:
        """End it; takes no lock and waits for nobody, since a finaliser calls it."""
        ...


class AtOnce(Protocol[HandleT_contra]):
    """What nearly every turn is made of as plain functions, of a queue that never waits.

    There a coroutine would cost as much as the verb does.
    """

    def take_now(self, handle: HandleT_contra, admission: Admission) -> TicketStatus:
        """Do what :meth:`TicketQueue.take` does."""
        ...

    def leave_now(self, handle: HandleT_contra, outcome: Outcome) -> Departure:
        """Do what :meth:`TicketQueue.leave` does."""
        ...


class TicketQueue(Protocol[HandleT]):
    """One store's lines.

    Errors of every verb: ``StoreUnavailable`` when the store does not answer in time or refuses,
    ``CorruptLock`` when foreign data stands where the record belongs, ``IncompatibleRecord`` when a
    newer protocol wrote it.

    Some verbs take ``within``: the seconds that their caller waits for the answer. When they are
    over, ``asyncio.TimeoutError`` is raised; the verb may be carried out all the same, and costs
    nobody else anything. A queue whose verbs never suspend has always answered by then.

    A queue opens itself, with whatever it needs before its first verb can be answered: a
    connection, a thread, the tables of a database. It does so where it connects, each time that it
    does, so that it finds its way after a fork, and with a server that has lost everything. If that
    fails, so do the verbs that wait for it, and the next one tries again. There is no verb for it:
    none would know when to be called again.

    A queue has handles of a kind of its own, and is only ever given those that it has made.
    """

    guarantees: Guarantees

    outages: Outages
    """Where it tells that a server of its does not serve, or serves again."""

    @property
    def connections(self) -> Droppable | None:
        """What has to be ended when its store is dropped; the same object at all times.

        Mostly what each event loop has of it (``PerLoop``). Whether there is one connection a loop
        or one a process is up to the queue.
        """
        ...

    @property
    def at_once(self) -> AtOnce[HandleT] | None:
        """The same queue, if it never waits and can do without coroutines."""
        ...

    def handle(self, conversation_id: str, owner: str | None = None) -> HandleT:
        """Return a fresh handle without a ticket; the other verbs take only these.

        Args:
            conversation_id: The conversation.
            owner: The secret of a ticket that is to be redeemed later, which nobody waits for. By
                default a new owner, whose bell this queue rings on the caller's loop.
        """
        ...

    async def take(
        self, handle: HandleT, admission: Admission, within: float | None = None
    ) -> TicketStatus:
        """Join the line, and set ``handle.number``.

        Returns:
            ``SERVED`` or ``WAITING``; ``BUSY`` or ``DUPLICATE`` when it was refused, with nothing
            issued; ``GONE`` or ``SUPERSEDED`` for a ticket that can't be redeemed, or whose reply
            was lost and which is gone by now.
        """
        ...

    async def poll(self, conversation_id: str, handles: Sequence[HandleT]) -> LineUpdate:
        """Tell what is new of many tickets of one line.

        A watch asks this every ``wait_time_in_seconds``. A thousand waiters that go on waiting
        must cost next to nothing, so the answer holds only those that do not merely wait. A queue
        may omit tickets whose ``line_version`` shows that they still wait; a caller that suspects
        otherwise, because the lease is over, clears it first.
        """
        ...

    async def renew(
        self, renewals: Sequence[tuple[HandleT, float]], within: float | None = None
    ) -> list[TicketStatus | LockError]:
        """Give each ticket its lifetime (seconds) anew; with a lifetime of 0, only tell its status.

        A ticket that is gone stays gone. Expired tickets ahead of it are removed on the way.

        Returns:
            For each ticket its status, or the error of asking for it: one record that can't be
            read must not cost the others their leases.
        """
        ...

    async def leave(
        self, handle: HandleT, outcome: Outcome, within: float | None = None
    ) -> Departure:
        """Give the ticket back and serve the next one.

        A handle without a number (its take was never answered) is looked up by its owner, who is
        remembered whether or not it is there, so that an attempt that arrives later is refused.
        With ``done`` those leave as well whom it has absorbed; of them only the handle's
        ``known_absorbed``, if that is set.
        """
        ...

    async def park(
        self,
        handle: HandleT,
        issued: IssuedTicket,
        lifetime: float,
        within: float | None = None,
    ) -> TicketStatus:
        """Leave a redeemed ticket in line, to be redeemed once more with the same secret.

        Args:
            handle: Who has redeemed it, or tried to: no redeeming of this owner is carried out any
                more when it comes late.
            issued: What was redeemed.
            lifetime: Seconds that it lives from now on.
            within: As everywhere.

        Returns:
            ``WAITING``; or ``SERVED``, if its turn has begun meanwhile: it then stays at the head
            of the line. ``GONE`` or ``SUPERSEDED`` when it is not in line any more.
        """
        ...

    async def superseded(self, handle: HandleT) -> Superseded:
        """Return the messages that had to leave for this ticket, and which it answers for.

        Asked only of one whose status says so (``ANSWERS``).
        """
        ...

    async def absorb(self, handle: HandleT, most: int, within: float | None = None) -> Absorption:
        """Take those who wait into the holder's turn: if it leaves ``done`` they leave with it.

        From then on the holder's bell rings when somebody joins behind it; that may be lost.

        Args:
            handle: The holder.
            most: How many this turn may have absorbed altogether then, at most ``MOST_ABSORBED``;
                with 0 none are, and the answer only says whether somebody waits.
            within: As everywhere.
        """
        ...

    async def wait(self, handle: HandleT, timeout: float) -> TicketStatus | None:
        """Wait ``timeout`` seconds at most for news of a ticket; may return early with None."""
        ...

    async def line(self, conversation_id: str) -> LinePicture | None:
        """Return the line, None where the reference would say that there is no lock."""
        ...

    async def holder(
        self, conversation_id: str, within: float | None = None
    ) -> PicturedTicket | None:
        """Return the ticket that is served; None if nobody's turn it is, or nobody knows."""
        ...

    async def save(self, lock: TicketLock) -> None:
        """Merge a caller's picture of the line (the reference's ``save_lock``).

        Tickets below ``lock.seen_below`` that the picture lacks are removed, those it has are
        kept or added, newer ones are left alone, and the next number never falls.
        """
        ...

    async def delete(self, conversation_id: str) -> None:
        """Remove every ticket of a conversation; their owners are told."""
        ...

    async def finish(self, conversation_id: str, number: int, secret: str, *, keep: bool) -> bool:
        """Remove an issued ticket by its number (the reference's ``finish_serving``, ``cleanup``).

        Only a ticket that nobody claimed or that this queue object issued is touched.

        Args:
            conversation_id: The conversation.
            number: The ticket's number.
            secret: Its secret if the caller has it, else an empty string.
            keep: Whether ``line`` shall still find an empty line afterwards.

        Returns:
            Whether there is a live ticket in the line afterwards.
        """
        ...

    async def release(self, conversation_id: str, number: int, owner: str, reason: str) -> bool:
        """Take a ticket out, whoever has it, and tell its owner (``store.release``).

        Args:
            conversation_id: The conversation.
            number: The ticket's number.
            owner: Its owner, or the secret of one to be redeemed, as :meth:`line` shows it.
            reason: What the owner is told.

        Returns:
            Whether it was in line, or was taken out by this very call before: a reply can be lost.
        """
        ...

    async def processes(
        self, owners: Sequence[str], within: float | None = None
    ) -> dict[str, Process]:
        """Return by owner what is known of the processes that have these tickets."""
        ...

    def conversations(self) -> AsyncIterator[str]:
        """Iterate over the conversations that have a record, in no order."""
        ...

    async def survey(self, see: Callable[[LineSight], None]) -> int:
        """Tell every line in which somebody is, in no order. Only reads.

        However many they are, nobody is held up by it: neither a turn, nor the caller's loop. So
        it is no one moment that it shows. No line is told twice; one that comes, goes or moves
        meanwhile may be missing.

        Args:
            see: Called with each line. It raises nothing.

        Returns:
            How many records can't be read, and were passed over.
        """
        ...

    async def close(self) -> None:
        """Release what the queue holds: connections, tasks. Idempotent."""
        ...

    def forked(self) -> None:
        """Forget, in a forked child, all that belongs to the parent, without touching it."""
        ...


async def status_of(
    queue: TicketQueue[Any], handle: TicketHandle, within: float | None = None
) -> TicketStatus:
    """Return the status of one ticket.

    Raises:
        LockError: As for every verb.
    """
    (answer,) = await queue.renew([(handle, 0.0)], within)
    if isinstance(answer, LockError):
        raise answer
    return answer


async def poll_one_by_one(queue: TicketQueue[Any], handles: Sequence[TicketHandle]) -> LineUpdate:
    """Poll many tickets by asking for each: for a queue whose verbs cost no round trip.

    Args:
        queue: The queue.
        handles: The tickets, all of one conversation.
    """
    update = LineUpdate(serving=0, blocked_for=0.0, news={})
    for handle in handles:
        status = await status_of(queue, handle)
        if status.state is State.WAITING:
            serving = status.number - status.ahead
            update = update._replace(serving=serving, blocked_for=status.blocked_for)
        else:
            update.news[handle.owner] = status
    return update
