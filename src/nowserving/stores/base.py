"""``LockStore``: the reference API, word for word, and what goes beyond it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from nowserving._config import checks, options
from nowserving._config.defaults import as_default
from nowserving._config.factory import from_endpoint, from_url
from nowserving._config.options import WAIT_TIME, Options
from nowserving._host.libraries import refuse_other_libraries
from nowserving._runtime.runtime import Runtime
from nowserving._turns.serialized import serialize
from nowserving._turns.turn import Turn
from nowserving.errors import ConfigurationError, ConnectionException
from nowserving.stores.custom import SnapshotQueue
from nowserving.stores.issued import IssuedTickets
from nowserving.stores.reference import DEFAULT_LIFETIME

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Unpack

    from nowserving._config.endpoints import Endpoint
    from nowserving._config.options import Defaults, Overrides, Request
    from nowserving.protocol.queue import TicketQueue
    from nowserving.protocol.status import IssuedTicket, WhenBusy, WhenFull

LOCK_LIFETIME = options.LOCK_LIFETIME
"""Seconds a ticket lives by default: ``TICKET_LOCK_LIFETIME`` from the environment, else 60."""

_LIFETIME, _WAIT_TIME = DEFAULT_LIFETIME, as_default(WAIT_TIME)
"""The reference's defaults, in signatures. There they mean: as it is set on the store."""

_F = TypeVar("_F", bound="Callable[..., Any]")


class LockStore(IssuedTickets):
    """Takes, serves and gives back tickets; the base of every store.

    A subclass that defines only ``get_lock``, ``save_lock`` and ``delete_lock`` works by the
    reference's own algorithm (see ``custom.py`` for what that lacks).

    It pickles (and copies) as its settings, and opens anew wherever it comes to.

    Args:
        **defaults: Options of ``lock()`` for every turn that does not say otherwise (see
            :class:`~nowserving.Options`).

    Raises:
        TypeError: For an unknown option, one of a single message, or a value of the wrong type.
        ValueError: For a value that is out of range.
        ConfigurationError: For an option that the store can't honour.
    """

    _kinds: ClassVar[dict[str, type[LockStore]]] = {}
    _schemes: ClassVar[dict[str, type[LockStore]]] = {}

    def __init_subclass__(
        cls, *, kinds: tuple[str, ...] = (), schemes: tuple[str, ...] = ()
    ) -> None:
        """Register a store under its endpoint types and URL schemes."""
        super().__init_subclass__()
        LockStore._kinds.update(dict.fromkeys(kinds, cls))
        LockStore._schemes.update(dict.fromkeys(schemes, cls))

    def __init__(self, **defaults: Unpack[Defaults]) -> None:
        for name in options.OF_ONE_MESSAGE:
            if defaults.get(name) is not None:
                raise TypeError(f"{name} belongs to one message: give it to lock(), not to a store")
        self._defaults = Options().but(**defaults)
        self._made = Runtime(self._make_queue())
        asked = self._defaults.policies()
        if asked and not self._made.queue.guarantees.policies:
            needs = "needs" if len(asked) == 1 else "need"
            raise ConfigurationError(
                f"{' and '.join(asked)} {needs} a store that decides atomically; "
                f"{type(self).__name__} defines only get_lock, save_lock and delete_lock."
            )

    def _make_queue(self) -> TicketQueue[Any]:
        return SnapshotQueue(self)

    @staticmethod
    def create(obj: LockStore | Endpoint | str | None) -> LockStore:
        """Make a lock store.

        Args:
            obj: A ``LockStore``, which is returned as it is; a URL (``memory://``,
                ``redis://host:6379/1``, ``rediss://``, ``valkey://``, ``unix://``,
                ``redis+sentinel://``, ``redis+cluster://``; see docs/redis.md;
                ``sqlite:///relative.db``, ``sqlite:////absolute.db``), whose parameters
                are the store's arguments, ``?auto_renew=true&lock_lifetime=10``; an
                ``EndpointConfig`` (Rasa's own or ours), which without a type means what its URL
                says, else in memory; or None for an in-memory store.

        Raises:
            ConfigurationError: If it names an unknown type, scheme, parameter or value, or a
                package is missing. No secret is in its message.
            ConnectionException: If the store can't be reached while it is made. (Ours connect
                when the first lock is asked for.)
        """
        if isinstance(obj, LockStore):
            return obj
        try:
            if isinstance(obj, str):
                return from_url(obj, LockStore._schemes)
            return from_endpoint(obj, LockStore._kinds, LockStore._schemes)
        except ConnectionError as error:
            raise ConnectionException("Cannot connect to lock store.") from error

    # Turns

    def lock(
        self,
        conversation_id: str,
        lock_lifetime: float = _LIFETIME,
        wait_time_in_seconds: float = _WAIT_TIME,
        **overrides: Unpack[Overrides],
    ) -> Turn:
        """Wait for the turn of a message and hold the lock of its conversation.

        Use it as ``async with store.lock(...) as lock:`` or, in a thread without a running event
        loop, as ``with store.lock(...) as lock:``; it yields a ``HeldLock``. What is not said is as
        it is set on the store, else as it stands here. Durations are in seconds, at most ten years.

        Args:
            conversation_id: Any non-empty string.
            lock_lifetime: Seconds the ticket lives: while it waits, and anew once it is served.
                With ``auto_renew`` it is renewed as long as the work lasts. More than 0; 60, or
                ``TICKET_LOCK_LIFETIME`` from the environment.
            wait_time_in_seconds: The longest time between two polls, in seconds. Wake-ups are
                pushed, so it only bounds what a lost push costs. At least 0; 1.
            **overrides: The options, each by its name (see
                :class:`~nowserving.Options`):

                ``auto_renew`` (False): renew the ticket every third of its lifetime, while it
                waits and while it holds. Without it the lifetime is a limit.

                ``timeout`` (None, no limit): seconds to wait at most, the body not included, then
                ``LockTimeout``; 0 tries once.

                ``max_hold`` (None, no limit): seconds the body may hold the lock at most, renewed
                or not; then it is lost.

                ``on_lost`` (``"warn"``): ``"warn"`` logs a lost lock; ``"cancel"`` cancels the
                body as well, and ``LockLost`` leaves the ``async with``.

                ``on_expiring`` (None): called once with the held lock when renewal fails and the
                lease is about to end; may be a coroutine function.

                ``when_busy`` (``"queue"``): what the message does while the conversation is busy.
                ``"queue"`` waits; ``"reject"`` raises ``LockBusy``; ``"latest"`` takes the place of
                all waiters, who get ``LockSuperseded``; ``"interrupt"`` also cancels the holder,
                who leaves with ``LockInterrupted``.

                ``max_waiting`` (None, no limit): how many may wait; then ``when_full`` holds.

                ``when_full`` (``"reject"``): when ``max_waiting`` wait already, ``"reject"`` raises
                ``LockBusy``; with ``"drop_oldest"`` the one that has waited longest leaves with
                ``LockSuperseded``. Where nobody may wait (0), the new one is refused in any case.

                ``settle`` (None, begin at once): seconds for which nothing newer has to come before
                a turn begins, counted from arrival: people write three short messages. With
                ``when_busy="latest"`` the newest then answers for all. Less than ``lock_lifetime``,
                unless the ticket is renewed.

                ``settle_max`` (None, no limit): seconds since the first message of a burst after
                which a turn begins all the same.

                ``ticket`` (None, a new one): redeem this ticket of ``take_ticket`` or
                ``issue_ticket``, with the place it took.

                ``message_id`` (None, no check): raise ``DuplicateMessage`` when the message with
                this id waits, works, or was done less than ``remember_for`` ago.

                ``remember_for`` (None, one lifetime): seconds for which a message that is done
                stays known, at most 604,800 (seven days).

                ``keep_place`` (False): with ``ticket`` and ``timeout``; a wait that ends without a
                turn leaves the ticket in line, to be redeemed again, by anybody who has it, within
                another ``lock_lifetime``. ``LockTimeout`` then tells its ``position``.

                ``label`` (None): what the turn is called by whoever looks at the line, a trace id
                say; at most 200 bytes as UTF-8.

                ``reentrant`` (False): allow the task that holds the lock to take it again.

        Raises:
            TypeError: If an argument has the wrong type.
            ValueError: If an argument is empty or out of range.

        Entering raises ``LockError`` when the ticket expired while it waited, and the child of it
        that says what else happened (``LockTimeout``, ``LockBusy``, ``LockSuperseded``,
        ``LockReleased``, ``DuplicateMessage``, ``LockReentered``, ``StoreUnavailable``,
        ``StoreClosed``, ``CorruptLock``, ``IncompatibleRecord``). Leaving raises
        ``LockInterrupted`` or ``LockLost`` if the body was cancelled for that, and never covers an
        exception of the body.
        """
        # What is nearly always given is not checked again at every turn.
        if type(conversation_id) is not str or not conversation_id:
            conversation_id = self._name(conversation_id)
        runtime = self._made or self._runtime
        chosen = self._defaults.but(**overrides) if overrides else self._defaults
        request = chosen.usual
        if (
            lock_lifetime is not _LIFETIME
            or wait_time_in_seconds is not _WAIT_TIME
            or chosen.settle is not None
        ):
            request = _request(chosen, lock_lifetime, wait_time_in_seconds)
        return Turn(runtime, conversation_id, request)

    async def take_ticket(  # noqa: PLR0913 - each of them public, and by name only
        self,
        conversation_id: str,
        lock_lifetime: float = _LIFETIME,
        *,
        message_id: str | None = None,
        max_waiting: int | None = None,
        when_busy: WhenBusy | None = None,
        when_full: WhenFull | None = None,
        remember_for: float | None = None,
        settle: float | None = None,
        settle_max: float | None = None,
        label: str | None = None,
    ) -> IssuedTicket:
        """Take a place in line now, to be redeemed later with ``lock(ticket=...)``.

        Until then the ticket is not renewed, survives ``aclose``, and blocks the line for its
        lifetime at the most.

        Args:
            conversation_id: The conversation.
            lock_lifetime: Seconds within which it must be redeemed, at most ten years; as it is
                set on the store, else 60.
            message_id: Refuse when the message with this id is known.
            max_waiting: How many may wait; the store's default if None.
            when_busy: What the message does when the conversation is busy, as in :meth:`lock`,
                and at once: redeeming asks nothing more. The store's default if None.
            when_full: What it does when ``max_waiting`` wait already; the store's default if None.
            settle: As in :meth:`lock`, counted from now: redeeming waits for nothing more. The
                store's default if None.
            settle_max: As in :meth:`lock`; the store's default if None.
            remember_for: Seconds for which the message stays known once it is done, unless whoever
                redeems the ticket says otherwise; the store's default if None.
            label: What it is called by whoever looks at the line, at most 200 bytes as UTF-8; the
                store's default if None. Whoever redeems it may give it another one.

        Returns:
            The ticket: an ``int`` that pickles and whose ``str()`` may travel.

        Raises:
            LockBusy: If ``max_waiting`` wait already and ``when_full`` is ``"reject"``, or if
                somebody holds it and ``when_busy`` is ``"reject"``.
            DuplicateMessage: If the message is known.
            StoreClosed: If the store is closed.
            StoreUnavailable: If the store does not answer in time.
        """
        refuse_other_libraries()
        issuing = self._issuing(conversation_id, lock_lifetime)
        return await issuing.take(
            message_id=message_id,
            max_waiting=max_waiting,
            when_busy=when_busy,
            when_full=when_full,
            remember_for=remember_for,
            settle=settle,
            settle_max=settle_max,
            label=label,
        )

    def serialized(
        self,
        key: str | Callable[..., str],
        lock_lifetime: float = _LIFETIME,
        wait_time_in_seconds: float = _WAIT_TIME,
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
            TypeError: If the handler has no parameter of that name, or is a generator function
                (its body would run after the call, and so after the turn).
        """
        turn_of = functools.partial(
            self.lock,
            lock_lifetime=lock_lifetime,
            wait_time_in_seconds=wait_time_in_seconds,
            **overrides,
        )
        return serialize(turn_of, key)


def _request(chosen: Options, lifetime: float, wait_time: float) -> Request:
    """Return what is asked for by a turn that says something of its own, checked."""
    if lifetime is _LIFETIME:
        lifetime = chosen.lock_lifetime
    else:
        lifetime = checks.seconds("lock_lifetime", lifetime)
    if wait_time is _WAIT_TIME:
        wait_time = chosen.wait_time_in_seconds
    else:
        wait_time = checks.seconds("wait_time_in_seconds", wait_time, zero=True)
    return chosen.request(lifetime, wait_time)
