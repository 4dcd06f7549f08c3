"""The reference's storage methods, for the stores over a queue of ours."""

from __future__ import annotations

import time
from typing import Any

from nowserving.lock import Ticket, TicketLock
from nowserving.protocol.limits import LONGEST
from nowserving.stores.configured import ConfiguredStore

_NUMBERS = 2**52
"""A saved ticket's number is below this. A record counts to twice as much, so there is always room
for the tickets that follow."""


def _check_picture(lock: TicketLock) -> None:
    latest = time.time() + LONGEST
    for ticket in lock.tickets:
        number: Any = ticket.number
        is_number = isinstance(number, int) and not isinstance(number, bool)
        if not is_number or not 0 <= number < _NUMBERS:
            what = "its number must be an int of 0 and up, as issue_ticket() gives"
        elif not ticket.expires <= latest:
            # An error rather than the longest time: a time in the wrong unit would block the line.
            what = (
                "expires must be a Unix time in seconds (time.time() + lifetime), at most ten "
                "years from now"
            )
        else:
            continue
        msg = f"{ticket!r} of conversation_id {lock.conversation_id!r} can't be saved: {what}"
        raise ValueError(msg)


class QueueLockStore(ConfiguredStore):
    """A store over a queue of ours: its storage methods are the queue's verbs."""

    def get_lock(self, conversation_id: str) -> TicketLock | None:
        """Fetch a picture of a conversation's line; None where there is no lock.

        Args:
            conversation_id: The conversation.

        Raises:
            StoreUnavailable: If the store does not answer in time.
            CorruptLock: If foreign data stands where the lock belongs.
        """
        name = self._name(conversation_id)
        line = self._runtime.run(self._runtime.queue.line(name))
        if line is None:
            return None
        now = time.time()
        lock = TicketLock(name, [Ticket(t.number, now + t.expires_in) for t in line.tickets])
        lock.seen_below = line.next_number
        return lock

    def delete_lock(self, conversation_id: str) -> None:
        """Remove every ticket of a conversation; their owners are told.

        Args:
            conversation_id: The conversation.
        """
        name = self._name(conversation_id)
        self._runtime.run(self._runtime.queue.delete(name))

    def save_lock(self, lock: TicketLock) -> None:
        """Merge a picture of a line into the stored one.

        Tickets that the store showed in the picture and that were taken out of it are removed,
        those that are still in it get its expiry, new ones join the line. Tickets issued since
        the picture was taken are left alone, and the next number never falls.

        Args:
            lock: The picture, from :meth:`get_lock` or :meth:`create_lock`.

        Raises:
            ValueError: If a ticket has a number that can't be one, or expires more than ten years
                from now: Unix time is in seconds.
        """
        self._name(lock.conversation_id)
        _check_picture(lock)
        self._runtime.run(self._runtime.queue.save(lock))
