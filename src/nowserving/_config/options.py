"""What a turn may be asked for: the arguments of ``lock()``, checked before anything is touched.

A new option is a new field of :class:`Options`, the one list of them. Where else it has to be named
(the typed dictionaries for type checkers, ``lock()``'s docstring, ``docs``), a test asks for it.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeVar

from nowserving._config import checks, readers
from nowserving._config.settings import readers_of
from nowserving.errors import ConfigurationError
from nowserving.protocol.limits import LONGEST
from nowserving.protocol.status import Admission, IssuedTicket, WhenBusy, WhenFull

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from nowserving._config.checks import Check
    from nowserving._config.readers import Reader
    from nowserving.held import HeldLock

_T = TypeVar("_T")

OnLost = Literal["warn", "cancel"]
"""What happens when a holder's lock is lost: a warning, or its body is cancelled."""

_LIFETIME_VARIABLE = "TICKET_LOCK_LIFETIME"
_DEFAULT_LIFETIME = 60.0
_MOST_REQUESTS = 16


def lifetime_from_environment() -> float:
    """Return the default lifetime in seconds: ``TICKET_LOCK_LIFETIME``, else 60.

    Raises:
        ConfigurationError: If the variable is set to anything but a positive number, or to more
            than ``LONGEST``.
    """
    text = os.environ.get(_LIFETIME_VARIABLE)
    if text is None:
        return _DEFAULT_LIFETIME
    try:
        return checks.seconds(_LIFETIME_VARIABLE, float(text))
    except (TypeError, ValueError):
        msg = (
            f"The environment variable {_LIFETIME_VARIABLE} is {text!r}; set it to a positive "
            f"number of seconds, at most {LONGEST} (ten years), or unset it for the default of 60."
        )
        raise ConfigurationError(msg) from None


LOCK_LIFETIME = lifetime_from_environment()
"""Seconds a ticket lives by default: ``TICKET_LOCK_LIFETIME`` from the environment, else 60."""

WAIT_TIME: float = 1
"""Seconds between two polls by default."""


class Overrides(TypedDict, total=False):
    """The keyword-only arguments of ``lock()``; each is described in :class:`Options`."""

    auto_renew: bool
    timeout: float | None
    max_hold: float | None
    on_lost: OnLost
    on_expiring: Callable[[HeldLock], Awaitable[None] | None] | None
    when_busy: WhenBusy
    max_waiting: int | None
    when_full: WhenFull
    settle: float | None
    settle_max: float | None
    ticket: IssuedTicket | int | str | None
    message_id: str | None
    remember_for: float | None
    keep_place: bool
    label: str | None
    reentrant: bool


class Defaults(Overrides, total=False):
    """What may be set once on a store, for every turn that does not say otherwise.

    All of ``lock()`` but ``ticket``, ``message_id`` and ``keep_place``, which are a single
    message's.
    """

    lock_lifetime: float
    wait_time_in_seconds: float


def _option(
    check: Check, read: Reader | None = None, *, default: _T, of_one_message: bool = False
) -> _T:
    """Make a field of :class:`Options`.

    Args:
        check: Checks what Python gives.
        read: Reads what a configuration gives, maybe as text; None if only Python can give it.
        default: What it is if nobody says it.
        of_one_message: Whether it belongs to one message, so that a store can't have it.
    """
    metadata = {"check": check, "read": read, "of_one_message": of_one_message}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Options:
    """How a turn behaves: the arguments of ``lock()``, with their defaults.

    Durations are in seconds, at most ten years (``LONGEST``).

    Attributes:
        lock_lifetime: Seconds the ticket lives: while it waits, and anew once it is served; more
            than 0.
        wait_time_in_seconds: The longest time between two polls; 0 for all the time.
        auto_renew: Renew the ticket every third of its lifetime while it waits and while it
            holds, from a thread of our own. Without it the lifetime is a limit.
        timeout: Seconds to wait at most, the body not included; 0 tries once; None waits on.
        max_hold: Seconds the body may hold the lock at most, renewed or not; None for no limit.
        on_lost: ``"warn"`` logs a lost lock; ``"cancel"`` cancels the body, and ``LockLost``
            leaves the ``async with``.
        on_expiring: Called once with the held lock when renewal fails and the lease is about to
            end; may be a coroutine function. It runs on the holder's event loop.
        when_busy: ``"queue"``, ``"reject"``, ``"latest"`` or ``"interrupt"``.
        max_waiting: How many may wait; None for no limit.
        when_full: When so many wait already: ``"reject"`` raises ``LockBusy``; with
            ``"drop_oldest"`` the one that has waited longest leaves with ``LockSuperseded``. Where
            nobody may wait (``max_waiting=0``), the new one is refused in any case.
        settle: Seconds for which nothing newer has to come before the turn begins; None for none.
        settle_max: Seconds since the first message of a burst after which it begins all the same;
            None for no limit.
        ticket: Redeem this ticket, issued earlier, instead of taking one.
        message_id: Raise ``DuplicateMessage`` when this message is known already.
        remember_for: Seconds for which a message that is done stays known, at most 604,800 (seven
            days); None for one lifetime of its ticket.
        keep_place: When the wait for ``ticket`` ends without a turn (``timeout`` is over, it is
            cancelled, the store is closed), leave the ticket in line, to be redeemed again by
            anybody within another ``lock_lifetime``. Needs ``ticket`` and ``timeout``.
        label: What the turn is called by whoever looks at the line, a trace id say; at most 200
            bytes; None for nothing.
        reentrant: Allow the task that holds the lock to take it again.
    """

    lock_lifetime: float = _option(checks.seconds, readers.seconds, default=LOCK_LIFETIME)
    wait_time_in_seconds: float = _option(
        checks.seconds_or_zero, readers.seconds_or_zero, default=WAIT_TIME
    )
    auto_renew: bool = _option(checks.flag, readers.flag, default=False)
    timeout: float | None = _option(checks.timeout, readers.seconds_or_zero, default=None)
    max_hold: float | None = _option(checks.seconds_or_none, readers.seconds, default=None)
    on_lost: OnLost = _option(checks.choice(OnLost), readers.choice(OnLost), default="warn")
    on_expiring: Callable[[HeldLock], Awaitable[None] | None] | None = _option(
        checks.callable_or_none, default=None
    )
    when_busy: WhenBusy = _option(
        checks.choice(WhenBusy), readers.choice(WhenBusy), default="queue"
    )
    max_waiting: int | None = _option(checks.count_or_none, readers.whole, default=None)
    when_full: WhenFull = _option(
        checks.choice(WhenFull), readers.choice(WhenFull), default="reject"
    )
    settle: float | None = _option(checks.seconds_or_none, readers.seconds, default=None)
    settle_max: float | None = _option(checks.seconds_or_none, readers.seconds, default=None)
    ticket: IssuedTicket | None = _option(checks.ticket_or_none, of_one_message=True, default=None)
    message_id: str | None = _option(checks.text_or_none, of_one_message=True, default=None)
    remember_for: float | None = _option(checks.up_to_a_week_or_none, readers.seconds, default=None)
    keep_place: bool = _option(checks.flag, of_one_message=True, default=False)
    label: str | None = _option(checks.label_or_none, readers.text, default=None)
    reentrant: bool = _option(checks.flag, readers.flag, default=False)

    has_moments: bool = field(init=False, repr=False, compare=False)
    """Whether a held turn has other moments to be minded than the end of its lease."""
    usual: Request = field(init=False, repr=False, compare=False)
    """What a turn asks for that says nothing of its own, as nearly all do."""

    _requests: dict[tuple[float, float], Request] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        """Check what only goes together, and note what every turn would work out anew.

        Raises:
            ValueError: If ``keep_place`` is asked for without ``ticket`` or ``timeout``.
        """
        if self.keep_place and (self.ticket is None or self.timeout is None):
            missing = "ticket" if self.ticket is None else "timeout"
            msg = (
                f"keep_place=True needs {missing}=: it keeps the place of a ticket that is not "
                "served in time. Give ticket= what take_ticket() returned, and timeout= the "
                "seconds to wait (0 tries once)"
            )
            raise ValueError(msg)
        moments = self.auto_renew or self.max_hold is not None
        object.__setattr__(self, "has_moments", moments)
        usual = self._request(self.lock_lifetime, self.wait_time_in_seconds)
        object.__setattr__(self, "usual", usual)

    def __reduce__(self) -> tuple[object, ...]:
        # What is asked for often stays behind: the other process finds out by itself.
        return (_remade, ({name: getattr(self, name) for name in NAMES},))

    def request(self, lifetime: float, wait_time: float) -> Request:
        """Return what a turn with these options asks for; the same object for the same seconds.

        Args:
            lifetime: Seconds the ticket lives.
            wait_time: Seconds between two polls at the most.

        Raises:
            ValueError: If the ticket would expire while it settles.
        """
        if self.settle is not None and self.ticket is None and not self.auto_renew:
            check_it_can_settle(self, lifetime)
        return self._request(lifetime, wait_time)

    def _request(self, lifetime: float, wait_time: float) -> Request:
        found = self._requests.get((lifetime, wait_time))
        if found is None:
            if len(self._requests) >= _MOST_REQUESTS:
                self._requests.clear()
            admission = Admission(
                lifetime=lifetime,
                renewed=self.auto_renew,
                when_busy=self.when_busy,
                max_waiting=self.max_waiting,
                when_full=self.when_full,
                settle=self.settle,
                settle_max=self.settle_max,
                message_id=self.message_id,
                remember_for=self.remember_for,
                redeem=self.ticket,
                label=self.label,
            )
            found = Request(lifetime, wait_time, self, admission)
            self._requests[lifetime, wait_time] = found
        return found

    def policies(self) -> list[str]:
        """Return the options that were changed which only a store that decides atomically has."""
        return [name for name in _POLICIES if getattr(self, name) != _POLICIES[name]]

    def but(self, **overrides: Any) -> Options:  # noqa: ANN401 - checked right here
        """Return these options with some changed, checked.

        Raises:
            TypeError: For a name that is no option, or a value of the wrong type.
            ValueError: For a value that is out of range.
        """
        for name, value in overrides.items():
            check = _CHECKS.get(name)
            if check is None:
                msg = f"{name!r} is not an option of lock(); known are {', '.join(NAMES)}"
                raise TypeError(msg)
            overrides[name] = check(name, value)
        changed = replace(self, **overrides)
        _check_settling(changed)
        return changed


# Derived from the fields

_FIELDS = [option for option in fields(Options) if option.metadata]
_CHECKS: dict[str, Check] = {option.name: option.metadata["check"] for option in _FIELDS}

NAMES = tuple(_CHECKS)
"""The arguments of ``lock()`` beside the conversation."""

OF_ONE_MESSAGE = tuple(option.name for option in _FIELDS if option.metadata["of_one_message"])
"""The options that only ``lock()`` takes; all others may be set on a store as well."""

_POLICIES = {
    option.name: option.default
    for option in _FIELDS
    if option.name
    in {"when_busy", "max_waiting", "when_full", "remember_for", "settle", "settle_max", "label"}
}

READERS = readers_of(Options)
"""The options that a configuration may hold, and how each is read."""


def _remade(chosen: dict[str, Any]) -> Options:
    return Options(**chosen)


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for with one ``lock()``; most turns of a store ask for the same.

    Attributes:
        lifetime: Seconds of a full lease.
        wait_time: The longest time between two polls, in seconds.
        options: How the turn behaves.
        admission: What the store's queue has to know of all that.
    """

    lifetime: float
    wait_time: float
    options: Options
    admission: Admission


def _check_settling(options: Options) -> None:
    """Refuse a longest time to settle without the usual one."""
    if options.settle_max is not None and options.settle is None:
        msg = (
            f"settle_max={options.settle_max!r} limits for how long a burst of messages settles, "
            "and there is no settle=, the seconds of silence that end it: give both"
        )
        raise ValueError(msg)


def check_it_can_settle(options: Options, lifetime: float) -> None:
    """Refuse a ticket that is not renewed, and would expire while it settles.

    Args:
        options: What is asked for.
        lifetime: Seconds the ticket lives, more than none.

    Raises:
        ValueError: If that is no longer than it has to settle in any case.
    """
    least = min(options.settle or 0.0, options.settle_max or math.inf)
    if least >= lifetime:
        msg = (
            f"settle={options.settle!r}: the ticket lives {lifetime:g} s, and would expire while "
            "it settles. Give a longer lock_lifetime=, or for a turn auto_renew=True"
        )
        raise ValueError(msg)
