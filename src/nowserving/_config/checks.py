"""Arguments that Python gives, checked. What a configuration gives is read by ``readers.py``.

Each check takes the argument's name, for its error, and the value, which it returns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from nowserving.protocol import names
from nowserving.protocol.limits import LONGEST, LONGEST_REMEMBERED, MOST_LABEL_BYTES
from nowserving.protocol.status import IssuedTicket

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    Check: TypeAlias = Callable[[str, Any], object]


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


def seconds_or_zero(name: str, value: object) -> float:
    """Check a duration in seconds that may be 0."""
    return seconds(name, value, zero=True)


def seconds_or_none(name: str, value: object) -> float | None:
    """Check a duration in seconds; None stands for no limit."""
    return None if value is None else seconds(name, value)


def up_to_a_week_or_none(name: str, value: object) -> float | None:
    """Check a duration in seconds of at most seven days, or None."""
    checked = seconds_or_none(name, value)
    if checked is not None and checked > LONGEST_REMEMBERED:
        msg = f"{name}={value!r} must be at most {LONGEST_REMEMBERED} seconds, which are seven days"
        raise ValueError(msg)
    return checked


def timeout(name: str, value: object) -> float | None:
    """Check a time to wait in seconds; 0 stands for one try, None for no limit."""
    return None if value is None else seconds(name, value, zero=True)


def flag(name: str, value: object) -> bool:
    """Check a bool."""
    if not isinstance(value, bool):
        msg = f"{name}={value!r} must be True or False"
        raise TypeError(msg)
    return value


def choice(choices: object) -> Check:
    """Return a check of one of some words: the arguments of a ``Literal``."""

    def check(name: str, value: object) -> object:
        if value not in get_args(choices):
            known = ", ".join(repr(choice) for choice in get_args(choices))
            msg = f"{name}={value!r} is unknown; choose one of {known}"
            raise ValueError(msg)
        return value

    return check


def count_or_none(name: str, value: object) -> int | None:
    """Check a whole number of at least 0; None stands for no limit."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        msg = f"{name}={value!r} must be a whole number or None"
        raise TypeError(msg)
    if value < 0:
        msg = f"{name}={value!r} must be at least 0"
        raise ValueError(msg)
    return value


def callable_or_none(name: str, value: object) -> object:
    """Check something that can be called, or None."""
    if value is not None and not callable(value):
        msg = f"{name}={value!r} must be callable or None"
        raise TypeError(msg)
    return value


def ticket_or_none(_name: str, value: Any) -> IssuedTicket | None:  # noqa: ANN401 - parse() checks
    """Read a ticket that was issued, its ``str()`` or its number; None stands for a new one."""
    return None if value is None else IssuedTicket.parse(value)


def text_or_none(name: str, value: object) -> str | None:
    """Check a text that is not empty, or None."""
    if value is not None and (not isinstance(value, str) or not value):
        msg = f"{name}={value!r} must be a non-empty str or None"
        raise TypeError(msg)
    return value


def label_or_none(name: str, value: object) -> str | None:
    """Check a text of 200 bytes at most, as UTF-8, or None."""
    text = text_or_none(name, value)
    if text is not None and len(names.encode(text)) > MOST_LABEL_BYTES:
        msg = f"{name}={text[:20]!r}… is longer than {MOST_LABEL_BYTES} bytes (as UTF-8)"
        raise ValueError(msg)
    return text


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
