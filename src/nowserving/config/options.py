"""What a turn may be asked for: the arguments of ``lock()``, checked before anything is touched."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypedDict, get_args

from nowserving.errors import ConfigurationError
from nowserving.protocol.limits import LONGEST
from nowserving.protocol.status import Admission, IssuedTicket, WhenBusy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from nowserving.held import HeldLock

OnLost = Literal["warn", "cancel"]
"""What happens when a holder's lock is lost: a warning, or its body is cancelled."""

_LIFETIME_VARIABLE = "TICKET_LOCK_LIFETIME"
_DEFAULT_LIFETIME = 60.0
_MOST_REQUESTS = 16


def seconds(name: str, value: Any, *, zero: bool = False) -> float:  # noqa: ANN401 - checked
    """Check a duration in seconds.

    Raises:
        TypeError: If it is not a number.
        ValueError: If it is not positive (``zero`` allows 0) or more than ``LONGEST``.
    """
    kind = type(value)
    if (kind is float or kind is int) and 0 < value <= LONGEST:
        return value  # type: ignore[no-any-return]  # nearly always
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        msg = f"{name}={value!r} is a {type(value).__name__}; it must be a number of seconds"
        raise TypeError(msg)
    if not 0 <= value <= LONGEST or (value == 0 and not zero):
        msg = (
            f"{name}={value!r} must be {'at least 0' if zero else 'more than 0'} and at most "
            f"{LONGEST} seconds, which are ten years{_instead(name, value)}"
        )
        raise ValueError(msg)
    return float(value)


def _instead(name: str, value: float) -> str:
    """Return what to do, for whoever wants no limit or counts in another unit."""
    if not value > LONGEST:
        return ""
    without = {
        "lock_lifetime": "for as long as the work lasts, give a short one and auto_renew=True",
        "timeout": "for no limit, give None",
        "max_hold": "for no limit, give None",
    }
    return "; " + without.get(name, "is it in another unit?")


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
        return seconds(_LIFETIME_VARIABLE, float(text))
    except (TypeError, ValueError):
        msg = (
            f"The environment variable {_LIFETIME_VARIABLE} is {text!r}; set it to a positive "
            f"number of seconds, at most {LONGEST} (ten years), or unset it for the default of 60."
        )
        raise ConfigurationError(msg) from None


LOCK_LIFETIME = lifetime_from_environment()
"""Seconds a ticket lives by default: ``TICKET_LOCK_LIFETIME`` from the environment, else 60."""

WAIT_TIME: float = 1
"""Seconds between two looks by default."""


class Overrides(TypedDict, total=False):
    """The keyword-only arguments of ``lock()``; each is described in :class:`Options`."""

    auto_renew: bool
    timeout: float | None
    max_hold: float | None
    on_lost: OnLost
    on_expiring: Callable[[HeldLock], Awaitable[None] | None] | None
    when_busy: WhenBusy
    max_waiting: int | None
    ticket: IssuedTicket | int | str | None
    message_id: str | None
    reentrant: bool


class Defaults(Overrides, total=False):
    """What may be set once on a store, for every turn that does not say otherwise.

    All of ``lock()`` but ``ticket`` and ``message_id``, which are a single message's.
    """

    lock_lifetime: float
    wait_time_in_seconds: float


@dataclass(frozen=True)
class Options:
    """How a turn behaves: the arguments of ``lock()``, and what they are if nobody says them.

    Durations are in seconds, at most ten years (``LONGEST``).

    Attributes:
        lock_lifetime: Seconds the ticket lives: while it waits, and anew once it is served; more
            than 0.
        wait_time_in_seconds: The longest time between two looks; 0 for all the time.
        auto_renew: Renew the ticket every third of its lifetime while it waits and while it
            holds, from a thread of our own. Without it the lifetime is a limit.
        timeout: Seconds to wait at most, the body not included; 0 tries once; None waits on.
        max_hold: Seconds the body may hold the lock at most, renewed or not; None for no limit.
        on_lost: ``"warn"`` logs a lost lock; ``"cancel"`` cancels the body, and ``LockLost``
            leaves the ``async with``.
        on_expiring: Called once with the held lock when renewal fails and the lease is about to
            end; may be a coroutine function. It runs on the holder's event loop.
        when_busy: ``"queue"``, ``"reject"``, ``"latest"`` or ``"interrupt"``.
        max_waiting: Raise ``LockBusy`` when this many wait already; None for no limit.
        ticket: Redeem this ticket, issued earlier, instead of taking one.
        message_id: Raise ``DuplicateMessage`` when this message is known already.
        reentrant: Allow the task that holds the lock to take it again.
    """

    lock_lifetime: float = LOCK_LIFETIME
    wait_time_in_seconds: float = WAIT_TIME
    auto_renew: bool = False
    timeout: float | None = None
    max_hold: float | None = None
    on_lost: OnLost = "warn"
    on_expiring: Callable[[HeldLock], Awaitable[None] | None] | None = None
    when_busy: WhenBusy = "queue"
    max_waiting: int | None = None
    ticket: IssuedTicket | None = None
    message_id: str | None = None
    reentrant: bool = False
    has_moments: bool = field(init=False, repr=False, compare=False)
    """Whether a held turn has other moments to be minded than the end of its lease."""
    usual: Request = field(init=False, repr=False, compare=False)
    """What a turn asks for that says nothing of its own, as nearly all do."""

    _requests: dict[tuple[float, float], Request] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        """Note what every turn would work out anew."""
        moments = self.auto_renew or self.max_hold is not None
        object.__setattr__(self, "has_moments", moments)
        usual = self.request(self.lock_lifetime, self.wait_time_in_seconds)
        object.__setattr__(self, "usual", usual)

    def __reduce__(self) -> tuple[object, ...]:
        # What is asked for often stays behind: the other process finds out by itself.
        return (_remade, ({name: getattr(self, name) for name in _CHECKS},))

    def request(self, lifetime: float, wait_time: float) -> Request:
        """Return what a turn with these options asks for; the same object for the same seconds.

        Args:
            lifetime: Seconds the ticket lives.
            wait_time: Seconds between two looks at the most.
        """
        found = self._requests.get((lifetime, wait_time))
        if found is None:
            if len(self._requests) >= _MOST_REQUESTS:
                self._requests.clear()
            admission = Admission(
                lifetime=lifetime,
                renewed=self.auto_renew,
                when_busy=self.when_busy,
                max_waiting=self.max_waiting,
                message_id=self.message_id,
                redeem=self.ticket,
            )
            found = Request(lifetime, wait_time, self, admission)
            self._requests[lifetime, wait_time] = found
        return found

    def but(self, **overrides: Any) -> Options:  # noqa: ANN401 - checked right here
        """Return these options with some changed, checked.

        Raises:
            TypeError: For a name that is no option, or a value of the wrong type.
            ValueError: For a value that is out of range.
        """
        for name, value in overrides.items():
            check = _CHECKS.get(name)
            if check is None:
                msg = f"{name!r} is not an option of lock(); known are {', '.join(_CHECKS)}"
                raise TypeError(msg)
            overrides[name] = check(name, value)
        return replace(self, **overrides)


def _remade(chosen: dict[str, Any]) -> Options:
    return Options(**chosen)


class Request(NamedTuple):
    """What is asked for with one ``lock()``; most turns of a store ask for the same.

    Attributes:
        lifetime: Seconds of a full lease.
        wait_time: The longest time between two looks, in seconds.
        options: How the turn behaves.
        admission: What the store's queue has to know of all that.
    """

    lifetime: float
    wait_time: float
    options: Options
    admission: Admission


def conversation(conversation_id: object) -> str:
    """Check the name of a conversation.

    Raises:
        TypeError: If it is not a ``str``.
        ValueError: If it is empty.
    """
    if not isinstance(conversation_id, str):
        raise TypeError(
            f"conversation_id={conversation_id!r} is {_a(conversation_id)}; "
            f"{_as_text(conversation_id)}"
        )
    if not conversation_id:
        msg = "conversation_id is empty; every conversation needs a name of its own"
        raise ValueError(msg)
    return conversation_id


def _a(value: object) -> str:
    """Return "an int", "a float"."""
    kind = type(value).__name__
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def _as_text(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"pass str({value!r})"
    if isinstance(value, bytes):
        return "pass its .decode()"
    return "it must be a non-empty str"


def _optional_seconds(name: str, value: object) -> float | None:
    return None if value is None else seconds(name, value)


def _timeout(name: str, value: object) -> float | None:
    return None if value is None else seconds(name, value, zero=True)


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        msg = f"{name}={value!r} must be True or False"
        raise TypeError(msg)
    return value


def _choice(choices: object) -> Callable[[str, object], object]:
    def check(name: str, value: object) -> object:
        if value not in get_args(choices):
            known = ", ".join(repr(choice) for choice in get_args(choices))
            msg = f"{name}={value!r} is unknown; choose one of {known}"
            raise ValueError(msg)
        return value

    return check


def _count(name: str, value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        msg = f"{name}={value!r} must be a whole number or None"
        raise TypeError(msg)
    if value < 0:
        msg = f"{name}={value!r} must be at least 0"
        raise ValueError(msg)
    return value


def _callback(name: str, value: object) -> object:
    if value is not None and not callable(value):
        msg = f"{name}={value!r} must be callable or None"
        raise TypeError(msg)
    return value


def _ticket(_name: str, value: Any) -> IssuedTicket | None:  # noqa: ANN401 - parse() checks it
    return None if value is None else IssuedTicket.parse(value)


def _message(name: str, value: object) -> str | None:
    if value is not None and (not isinstance(value, str) or not value):
        msg = f"{name}={value!r} must be a non-empty str or None"
        raise TypeError(msg)
    return value


def _wait_time(name: str, value: object) -> float:
    return seconds(name, value, zero=True)


_CHECKS: dict[str, Callable[[str, Any], object]] = {
    "lock_lifetime": seconds,
    "wait_time_in_seconds": _wait_time,
    "auto_renew": _flag,
    "timeout": _timeout,
    "max_hold": _optional_seconds,
    "on_lost": _choice(OnLost),
    "on_expiring": _callback,
    "when_busy": _choice(WhenBusy),
    "max_waiting": _count,
    "ticket": _ticket,
    "message_id": _message,
    "reentrant": _flag,
}
NAMES = frozenset(_CHECKS)
"""The arguments of ``lock()`` beside the conversation."""

assert set(_CHECKS) == {option.name for option in fields(Options) if option.init}  # noqa: S101 - one list, not two
