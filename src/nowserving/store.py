"""``LockStore``: the reference API, word for word, and what goes beyond it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from nowserving import options
from nowserving.errors import ConnectionException, LockError
from nowserving.factory import from_endpoint, from_url
from nowserving.issuing import Issuing
from nowserving.lock import TicketLock
from nowserving.options import Options
from nowserving.queues.snapshot import SnapshotQueue
from nowserving.runtime import Runtime
from nowserving.serialized import serialize
from nowserving.standing import IssuedTicket
from nowserving.turn import Turn

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self, Unpack

    from nowserving.factory import Endpoint
    from nowserving.options import Overrides
    from nowserving.queues.base import TicketQueue
    from nowserving.standing import WhenBusy

LOCK_LIFETIME = options.lifetime_from_environment()
"""Seconds a ticket lives by default: ``TICKET_LOCK_LIFETIME`` from the environment, else 60."""

_F = TypeVar("_F", bound="Callable[..., Any]")


class LockStore:
    """Takes, serves and gives back tickets; the base of every store.

    A subclass that defines only ``get_lock``, ``save_lock`` and ``delete_lock`` works by the
    reference's own algorithm (see ``queues/snapshot.py`` for what that lacks).

    Args:
        **defaults: Options of ``lock()`` for every turn that does not say otherwise.

    Raises:
        TypeError: For an unknown option or a value of the wrong type.
        ValueError: For a value that is out of range.
    """

    _kinds: ClassVar[dict[str, type[LockStore]]] = {}
    _schemes: ClassVar[dict[str, type[LockStore]]] = {}
    _made: Runtime | None = None

    def __init_subclass__(
        cls, *, kinds: tuple[str, ...] = (), schemes: tuple[str, ...] = ()
    ) -> None:
        """Register a store under its endpoint types and URL schemes."""
        super().__init_subclass__()
        LockStore._kinds.update(dict.fromkeys(kinds, cls))
        LockStore._schemes.update(dict.fromkeys(schemes, cls))

    def __init__(self, **defaults: Unpack[Overrides]) -> None:
        self._made = Runtime(self._make_queue(), Options().but(**defaults))

    def _make_queue(self) -> TicketQueue:
        return SnapshotQueue(self)

    @property
    def _runtime(self) -> Runtime:
        # A custom store written for the reference need not call our __init__.
        if self._made is not None:
            return self._made
        # One step, and no lock that a fork could inherit: the runtime of whichever thread is first
        # here is everybody's. Nothing was started yet of another that was made meanwhile.
        made: Runtime = vars(self).setdefault("_made", Runtime(self._make_queue()))
        return made

    @staticmethod
    def create(obj: LockStore | Endpoint | str | None) -> LockStore:
        """Make a lock store.

        Args:
            obj: A ``LockStore``, which is returned as it is; an ``EndpointConfig`` (Rasa's own
                or ours; without a type it means in memory); a URL (``memory://``, ``redis://``,
                ``rediss://``); or None for an in-memory store.

        Raises:
            ConfigurationError: If it names an unknown type, scheme, parameter or value.
            ConnectionException: If the store can't be reached while it is made.
        """
        if isinstance(obj, LockStore):
            return obj
        try:
            if isinstance(obj, str):
                return from_url(obj, LockStore._schemes)
            return from_endpoint(obj, LockStore._kinds)
        except ConnectionError as error:
            raise ConnectionException("Cannot connect to lock store.") from error

    @classmethod
    def from_settings(cls, given: dict[str, Any]) -> Self:
        """Make a store of this class from the settings of a URL or an endpoint.

        Args:
            given: The settings as they came, values maybe as text; a URL's has its ``scheme``.

        Raises:
            ConfigurationError: For an unknown setting or a value that can't be read.
        """
        raise NotImplementedError

    # The reference's synchronous methods

    @staticmethod
    def create_lock(conversation_id: str) -> TicketLock:
        """Make a new lock without tickets for a conversation; nothing is stored."""
        return TicketLock(conversation_id)

    def get_lock(self, conversation_id: str) -> TicketLock | None:
        """Fetch a picture of a conversation's line; None where there is no lock."""
        raise NotImplementedError

    def delete_lock(self, conversation_id: str) -> None:
        """Remove a conversation's lock with every ticket in it; their owners are told."""
        raise NotImplementedError

    def save_lock(self, lock: TicketLock) -> None:
        """Merge a picture of a line into the stored one (see ``TicketQueue.save``)."""
        raise NotImplementedError

    def issue_ticket(self, conversation_id: str, lock_lifetime: float = LOCK_LIFETIME) -> int:
        """Issue a ticket, to be redeemed with ``lock(ticket=...)`` or finished by its number.

        Args:
            conversation_id: The conversation.
            lock_lifetime: Seconds until the ticket expires, unless it is redeemed before.

        Returns:
            The ticket's number; it also carries what makes it unmistakable.

        Raises:
            LockError: Whatever went wrong.
        """
        issuing = Issuing(self._runtime, conversation_id, lock_lifetime)
        try:
            return self._runtime.run(issuing.take())
        except BaseException as error:
            issuing.undo(error)
            if not isinstance(error, Exception):
                raise
            raise LockError(f"Error while acquiring lock. Error:\n{error}") from error

    def update_lock(self, conversation_id: str) -> None:
        """Remove the expired tickets of a conversation; the next live one is served."""
        self._runtime.run(self._runtime.queue.line(options.conversation(conversation_id)))

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
        name = options.conversation(conversation_id)
        queue = self._runtime.queue
        self._runtime.run(queue.finish(name, int(ticket), ticket.secret, keep=keep))

    # Turns

    def lock(
        self,
        conversation_id: str,
        lock_lifetime: float = LOCK_LIFETIME,
        wait_time_in_seconds: float = 1,
        **overrides: Unpack[Overrides],
    ) -> Turn:
        """Wait for the turn of a message and hold the lock of its conversation.

        Use it as ``async with store.lock(...) as lock:`` or, in a thread without a running event
        loop, as ``with store.lock(...) as lock:``; it yields a ``HeldLock``.

        Args:
            conversation_id: Any non-empty string.
            lock_lifetime: Seconds the ticket lives: while it waits, and anew once it is served.
                With ``auto_renew`` it is renewed as long as the work lasts.
            wait_time_in_seconds: The longest time between two looks. Wake-ups are pushed, so it
                only bounds what a lost push costs.
            **overrides: See :class:`~nowserving.options.Options`.

        Raises:
            TypeError: If an argument has the wrong type.
            ValueError: If an argument is empty or out of range.

        Entering raises ``LockError`` when the ticket expired while it waited, and the child of it
        that says what else happened (``LockTimeout``, ``LockBusy``, ``LockSuperseded``,
        ``DuplicateMessage``, ``LockReentered``, ``StoreUnavailable``, ``StoreClosed``,
        ``CorruptLock``). Leaving raises ``LockInterrupted`` or ``LockLost`` if the body was
        cancelled for that, and never covers an exception of the body.
        """
        # What is nearly always given is not checked again at every turn.
        if type(conversation_id) is not str or not conversation_id:
            options.conversation(conversation_id)
        if lock_lifetime is not LOCK_LIFETIME:
            lock_lifetime = options.seconds("lock_lifetime", lock_lifetime)
        if wait_time_in_seconds != 1 or wait_time_in_seconds is True:
            wait_time_in_seconds = options.seconds(
                "wait_time_in_seconds", wait_time_in_seconds, zero=True
            )
        runtime = self._made or self._runtime
        chosen = runtime.defaults.but(**overrides) if overrides else runtime.defaults
        request = chosen.request(lock_lifetime, wait_time_in_seconds)
        return Turn(runtime, conversation_id, request)

    async def take_ticket(
        self,
        conversation_id: str,
        lock_lifetime: float = LOCK_LIFETIME,
        *,
        message_id: str | None = None,
        max_waiting: int | None = None,
        when_busy: WhenBusy | None = None,
    ) -> IssuedTicket:
        """Take a place in line now, to be redeemed later with ``lock(ticket=...)``.

        Until then the ticket is not renewed, survives ``aclose``, and blocks the line for its
        lifetime at the most.

        Args:
            conversation_id: The conversation.
            lock_lifetime: Seconds within which it must be redeemed.
            message_id: Refuse when the message with this id is known.
            max_waiting: Refuse when this many wait already; the store's default if None.
            when_busy: What the message does when the conversation is busy, as in :meth:`lock`,
                and at once: redeeming asks nothing more. The store's default if None.

        Returns:
            The ticket: an ``int`` that pickles and whose ``str()`` may travel.

        Raises:
            LockBusy: If ``max_waiting`` wait already, or somebody holds it and ``when_busy`` is
                ``"reject"``.
            DuplicateMessage: If the message is known.
            StoreUnavailable: If the store does not answer in time.
        """
        issuing = Issuing(self._runtime, conversation_id, lock_lifetime)
        return await issuing.take(
            message_id=message_id, max_waiting=max_waiting, when_busy=when_busy
        )

    def serialized(
        self,
        key: str | Callable[..., str],
        lock_lifetime: float = LOCK_LIFETIME,
        wait_time_in_seconds: float = 1,
        **overrides: Unpack[Overrides],
    ) -> Callable[[_F], _F]:
        """Decorate a handler so that its calls for one conversation run one at a time, in order.

        Args:
            key: The name of the parameter that holds the conversation's id, or a function that
                gets the handler's arguments and returns the id.
            lock_lifetime: As in :meth:`lock`.
            wait_time_in_seconds: As in :meth:`lock`.
            **overrides: As in :meth:`lock`.

        Raises:
            TypeError: If the handler has no parameter of that name, or is a generator function.
        """
        turn_of = functools.partial(
            self.lock,
            lock_lifetime=lock_lifetime,
            wait_time_in_seconds=wait_time_in_seconds,
            **overrides,
        )
        return serialize(turn_of, key)

    # The end

    async def aclose(self, drain: float = 0.0) -> None:
        """Close the store; leaves no ticket of its own behind. Idempotent.

        Args:
            drain: Seconds that running turns get to finish; then they are lost and released.
                Waiters get ``StoreClosed`` at once.
        """
        await self._runtime.aclose(options.seconds("drain", drain, zero=True))

    def close(self, drain: float = 0.0) -> None:
        """Do the same as :meth:`aclose` for a synchronous caller."""
        self._runtime.close(options.seconds("drain", drain, zero=True))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
