"""What whoever operates a bot asks of a store: who is in line, and that somebody leaves it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from nowserving._config import checks
from nowserving._host.libraries import refuse_other_libraries
from nowserving.errors import LockError
from nowserving.protocol.line import Line, LineTicket
from nowserving.protocol.status import IssuedTicket
from nowserving.stores.running import RunningStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from nowserving._host.process import Process
    from nowserving.protocol.queue import TicketQueue
    from nowserving.protocol.status import PicturedTicket


class OperatingMethods(RunningStore):
    """Looks at lines, and releases tickets."""

    async def inspect(self, conversation_id: str) -> Line | None:
        """Look at a conversation's line. Nothing is changed by that.

        Args:
            conversation_id: The conversation.

        Returns:
            The line, None where no live ticket is in it.

        Raises:
            StoreClosed: If the store is closed.
            StoreUnavailable: If the store does not answer in time.
            CorruptLock: If foreign data stands where the lock belongs.
        """
        queue = self._operated()
        picture = await queue.line(checks.conversation(conversation_id))
        if picture is None or not picture.tickets:
            return None
        known = await queue.processes([t.owner for t in picture.tickets if t.owner])
        now = time.time()
        served: list[LineTicket] = []
        waiting: list[LineTicket] = []
        for ticket in picture.tickets:
            those = waiting if ticket.served_for is None else served
            those.append(shown(ticket, known.get(ticket.owner), now))
        return Line(served[0] if served else None, tuple(waiting))

    async def conversations(self) -> AsyncIterator[str]:
        """Iterate over the conversations of which the store has a record, in no order.

        One that comes or goes meanwhile may be missing; none is told that was never there. In Redis
        one may be told twice, and many of them have nobody in line: a record stays for a while.

        Raises:
            LockError: If the store can't know them: a custom store.
            StoreClosed: If the store is closed.
            StoreUnavailable: If the store does not answer in time.
        """
        queue = self._operated()
        self._refuse_without_policies(queue, "conversations()")
        async for conversation_id in queue.conversations():
            yield conversation_id

    async def release(
        self,
        conversation_id: str,
        ticket: IssuedTicket | int | str | None = None,
        reason: str = "",
    ) -> bool:
        """Take a ticket out of its line, whoever has it; the next one is served.

        Its owner is told, with the reason: a holder's lock is lost, and a waiter gets
        ``LockReleased``. A body that does not look at ``lock.lost`` runs on, beside the next one,
        unless it was entered with ``on_lost="cancel"``. The next one's ``predecessor`` is
        ``"released"``, and the ticket's message counts as if it had never come.

        Args:
            conversation_id: The conversation.
            ticket: The ticket, or its number as ``inspect`` shows it; by default that of whoever
                holds the lock now.
            reason: What its owner is told, at most 200 bytes as UTF-8.

        Returns:
            Whether it was in line, and is not any more.

        Raises:
            TypeError: If an argument has the wrong type.
            ValueError: If the conversation is empty, the reason too long, or the ticket none.
            LockError: If the store can't do it: a custom store.
            StoreClosed: If the store is closed.
            StoreUnavailable: If the store does not answer in time; it may be released all the same.
        """
        name = checks.conversation(conversation_id)
        told = checks.label_or_none("reason", reason or None) or ""
        asked = None if ticket is None else IssuedTicket.parse(ticket)
        queue = self._operated()
        self._refuse_without_policies(queue, "release()")
        # First who that is. "Whoever holds it", said twice because a reply was lost, would release
        # the next one as well.
        picture = await queue.line(name)
        for found in () if picture is None else picture.tickets:
            if asked is None:
                chosen = found.served_for is not None
            else:
                chosen = found.number == asked and asked.secret in {"", found.owner}
            if chosen:
                return await queue.release(name, found.number, found.owner, told)
        return False

    def _operated(self) -> TicketQueue[Any]:
        refuse_other_libraries()
        self._runtime.check_open()
        return self._runtime.queue

    def _refuse_without_policies(self, queue: TicketQueue[Any], what: str) -> None:
        if not queue.guarantees.policies:
            raise LockError(
                f"{what} needs a store that decides atomically; {type(self).__name__} defines only "
                "get_lock, save_lock and delete_lock."
            )


def shown(ticket: PicturedTicket, process: Process | None, now: float) -> LineTicket:
    """Return a ticket as an operator sees it.

    Args:
        ticket: As its queue tells it.
        process: Whose it is, None if that is not known.
        now: The moment, Unix seconds.
    """
    ago = ticket.waited if ticket.served_for is None else ticket.served_for
    return LineTicket(
        number=ticket.number,
        label=ticket.label,
        host=None if process is None else process.host,
        pid=None if process is None else process.pid,
        message_id=ticket.message_id,
        since=None if ago is None else now - ago,
        expires_in=ticket.expires_in,
        absorbed=ticket.absorbed,
        settling=ticket.settling,
    )
