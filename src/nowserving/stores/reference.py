"""The reference's synchronous methods, over a store's queue."""

from __future__ import annotations

from nowserving._config import checks, options
from nowserving._config.defaults import as_default, is_given
from nowserving._config.options import Options
from nowserving._turns.issuing import Issuing
from nowserving.errors import LockError
from nowserving.lock import TicketLock
from nowserving.protocol.status import IssuedTicket
from nowserving.stores.running import RunningStore

DEFAULT_LIFETIME = as_default(options.LOCK_LIFETIME)
"""The default in signatures. There it means: as it is set on the store."""


class ReferenceMethods(RunningStore):
    """What a store does beside turns, one ticket or one picture of a line at a time."""

    _defaults = Options()

    @staticmethod
    def create_lock(conversation_id: str) -> TicketLock:
        """Make a new lock without tickets for a conversation; nothing is stored."""
        return TicketLock(conversation_id)

    def get_lock(self, conversation_id: str) -> TicketLock | None:  # noqa: ARG002 - a subclass's
        """Fetch a picture of a conversation's line; None where there is no lock."""
        raise self._lacks("get_lock")

    def delete_lock(self, conversation_id: str) -> None:  # noqa: ARG002 - a subclass's
        """Remove a conversation's lock with every ticket in it; their owners are told."""
        raise self._lacks("delete_lock")

    def save_lock(self, lock: TicketLock) -> None:  # noqa: ARG002 - a subclass's
        """Merge a picture of a line into the stored one (see ``TicketQueue.save``)."""
        raise self._lacks("save_lock")

    def _lacks(self, method: str) -> NotImplementedError:
        return NotImplementedError(
            f"{type(self).__name__} does not define {method}(): it stores nothing by itself. Use "
            "LockStore.create(url), InMemoryLockStore() or RedisLockStore(); a store of your own "
            "defines get_lock, save_lock and delete_lock."
        )

    def issue_ticket(self, conversation_id: str, lock_lifetime: float = DEFAULT_LIFETIME) -> int:
        """Issue a ticket, to be redeemed with ``lock(ticket=...)`` or finished by its number.

        Args:
            conversation_id: The conversation.
            lock_lifetime: Seconds until the ticket expires, unless it is redeemed before; as it is
                set on the store, else 60.

        Returns:
            The ticket's number; it also carries what makes it unmistakable.

        Raises:
            LockError: Whatever went wrong.
        """
        issuing = self._issuing(conversation_id, lock_lifetime)
        try:
            return self._runtime.run(issuing.take())
        except BaseException as error:
            issuing.undo(error)
            if not isinstance(error, Exception):
                raise
            raise LockError(f"Error while acquiring lock. Error:\n{error}") from error

    def update_lock(self, conversation_id: str) -> None:
        """Remove the expired tickets of a conversation; the next live one is served."""
        self._runtime.run(self._runtime.queue.line(self._name(conversation_id)))

    def get_or_create_lock(self, conversation_id: str) -> TicketLock:
        """Fetch a conversation's lock, or make a new one if there is none."""
        return self.get_lock(conversation_id) or self.create_lock(conversation_id)

    def is_someone_waiting(self, conversation_id: str) -> bool:
        """Return whether a live ticket is in a conversation's line, the holder's included."""
        lock = self.get_lock(conversation_id)
        return lock is not None and lock.is_someone_waiting()

    def finish_serving(self, conversation_id: str, ticket_number: int) -> None:
        """Take a ticket out of the line and serve the next one.

        Args:
            conversation_id: The conversation.
            ticket_number: A number from ``issue_ticket``. A bare number touches only a ticket
                that nobody claimed, or one of this store object: it may be a stale one.
        """
        self._finish(conversation_id, ticket_number, keep=True)

    def cleanup(self, conversation_id: str, ticket_number: int) -> None:
        """Take a ticket out of the line; without a ticket left, there is no lock any more."""
        self._finish(conversation_id, ticket_number, keep=False)

    def _finish(self, conversation_id: str, ticket_number: int, *, keep: bool) -> None:
        ticket = IssuedTicket.parse(ticket_number)
        name = self._name(conversation_id)
        queue = self._runtime.queue
        self._runtime.run(queue.finish(name, int(ticket), ticket.secret, keep=keep))

    def _name(self, conversation_id: object) -> str:
        """Check the name of a conversation."""
        return checks.conversation(conversation_id)

    def _issuing(self, conversation_id: str, lock_lifetime: float) -> Issuing:
        defaults = self._defaults
        lifetime = lock_lifetime if is_given(lock_lifetime) else defaults.lock_lifetime
        return Issuing(self._runtime, defaults, conversation_id, lifetime, self._name)
