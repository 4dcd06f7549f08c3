"""Defaults that are marked as such: an argument that was given can be told from one left out.

The reference's signatures have defaults other than None, and yet ``lock(id, 60)`` is not
``lock(id)`` on a store whose own lifetime is 10.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

_T = TypeVar("_T", bool, int, float, str)


class _Default:
    __slots__ = ()


class _Int(_Default, int):
    __slots__ = ()


class _Float(_Default, float):
    __slots__ = ()


class _Str(_Default, str):
    __slots__ = ()


class _Flag(_Int):  # a bool can't be derived from
    __slots__ = ()

    def __repr__(self) -> str:
        return repr(bool(self))


def as_default(value: _T) -> _T:
    """Return ``value`` for a signature: equal to it, but where it arrives, it was not given."""
    made: Any
    if isinstance(value, bool):
        made = _Flag(value)
    else:
        made = {int: _Int, float: _Float, str: _Str}[type(value)](value)
    return made  # type: ignore[no-any-return]  # of the same type, as far as anybody can see


def is_given(value: object) -> bool:
    """Return whether an argument was given: it is neither None nor a :func:`as_default`."""
    return value is not None and not isinstance(value, _Default)


def given(arguments: Mapping[str, object]) -> dict[str, Any]:
    """Return those of some arguments that were given."""
    return {name: value for name, value in arguments.items() if is_given(value)}
