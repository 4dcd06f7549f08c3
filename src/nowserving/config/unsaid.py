"""Defaults that are known to be defaults: what was said can be told from what was left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

_T = TypeVar("_T", bool, int, float, str)


class _Unsaid:
    __slots__ = ()


class _Int(_Unsaid, int):
    __slots__ = ()


class _Float(_Unsaid, float):
    __slots__ = ()


class _Str(_Unsaid, str):
    __slots__ = ()


class _Flag(_Int):  # a bool can't be derived from
    __slots__ = ()

    def __repr__(self) -> str:
        return repr(bool(self))


def usual(value: _T) -> _T:
    """Return a value that equals ``value``, for a signature: there it stands for "not said".

    A reference's defaults can't be None in its signature, and yet ``lock(id, 60)`` is not
    ``lock(id)`` on a store whose own lifetime is 10.
    """
    made: Any
    if isinstance(value, bool):
        made = _Flag(value)
    else:
        made = {int: _Int, float: _Float, str: _Str}[type(value)](value)
    return made  # type: ignore[no-any-return]  # of the same type, as far as anybody can see


def is_said(value: object) -> bool:
    """Return whether an argument was given: neither None nor a default of :func:`usual`."""
    return value is not None and not isinstance(value, _Unsaid)


def said(arguments: Mapping[str, object]) -> dict[str, Any]:
    """Return those of some arguments that were given."""
    return {name: value for name, value in arguments.items() if is_said(value)}
