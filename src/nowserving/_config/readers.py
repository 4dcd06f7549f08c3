"""Settings that a configuration gives, maybe as text, read into what each one is.

Each reader takes the setting's name, for its error, and the value. An error does not repeat a value
that may be a secret, for example an address: somebody may have mixed two settings up.
"""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from nowserving.protocol.limits import LONGEST

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    Reader: TypeAlias = Callable[[str, object], Any]

_TRUE, _FALSE = frozenset({"true", "yes", "on", "1"}), frozenset({"false", "no", "off", "0"})
_NAME = re.compile(r"[\w-]+(\.[\w-]+)*\.?")
_WITH_PORT = re.compile(r"[\w.-]+:\d*")
_LAST_PORT = 65_535


def text(name: str, value: object) -> str:
    """Read a string; a number stands for its digits, as YAML reads an unquoted password."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise TypeError(f"{name} is of type {type(value).__name__}; it must be a text")
    return value


def path(name: str, value: object) -> str:
    """Read the path of a file, as text or a ``pathlib.Path``."""
    read = text(name, os.fspath(value) if isinstance(value, os.PathLike) else value)
    if not read or "\0" in read:
        raise ValueError(f"{name} is empty or has a NUL in it; it must be the path of a file")
    return read


def readable_file(name: str, value: object) -> str:
    """Read the path of a file, and check that the file can be read."""
    read = path(name, value)
    try:
        Path(read).open("rb").close()
    except OSError as error:
        raise ValueError(f"{name} can't be read: {error}") from None
    return read


def python_object(name: str, value: object) -> object:
    """Take an object that only Python can give."""
    if isinstance(value, (str, int, float, list, dict)):
        raise TypeError(f"{name} is a {type(value).__name__}; it is an object given in Python")
    return value


def key_prefix(name: str, value: object) -> str:
    """Read a prefix of keys: letters, digits, ``_``, ``-``, ``.`` and ``:``."""
    read = text(name, value)
    if not read or not all(each.isalnum() or each in "_-.:" for each in read):
        raise ValueError(f"{name}={read!r} must be of letters, digits and _ - . : and not empty")
    return read


def certificate(name: str, value: object) -> str:
    """Read how a server's certificate is verified, by the names of redis-py or of ``ssl``."""
    read = text(name, getattr(value, "name", value)).lower().removeprefix("cert_")
    if read not in {"required", "optional", "none"}:
        raise ValueError(f"{name}={value!r} is unknown; choose required, optional or none")
    return read


def choice(choices: object) -> Reader:
    """Return a reader of one of some words: the arguments of a ``Literal``."""
    known = get_args(choices)

    def read(name: str, value: object) -> object:
        if value not in known:
            listed = ", ".join(map(repr, known))
            raise ValueError(f"{name}={value!r} is unknown; choose one of {listed}")
        return value

    return read


def whole(name: str, value: object) -> int:
    """Read a whole number, also from text."""
    if isinstance(value, str) and re.fullmatch(r"\s*[0-9]+\s*", value):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{name}={value!r} must be a whole number of at least 0")
    return value


def port(name: str, value: object) -> int:
    """Read a port, 1 to 65535, also from text."""
    read = whole(name, value)
    if not 1 <= read <= _LAST_PORT:
        raise ValueError(f"{name}={value!r} must be from 1 to {_LAST_PORT}")
    return read


def seconds(name: str, value: object) -> float:
    """Read a number of seconds above 0 and up to ``LONGEST``, also from text."""
    read = _number(value)
    if read is None or not 0 < read <= LONGEST:
        raise ValueError(
            f"{name}={value!r} must be a number of seconds, more than 0 and at most {LONGEST}, "
            "which are ten years; leave it out for the default"
        )
    return read


def seconds_or_zero(name: str, value: object) -> float:
    """Read a number of seconds as :func:`seconds` does; it may be 0."""
    return 0.0 if _number(value) == 0 else seconds(name, value)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def flag(name: str, value: object) -> bool:
    """Read a yes or no, also from text."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    raise ValueError(f"{name}={value!r} must be true or false")


def host(name: str, value: object) -> str:
    """Read a server's name or IP address, without a port; IPv6 with or without brackets."""
    read = text(name, value)
    inside = read[1:-1] if read.startswith("[") and read.endswith("]") else read
    if _is_ip_address(inside):
        return inside
    if _NAME.fullmatch(read):
        return read
    if "://" in read:
        what = "holds a URL; it is a host's name. A URL is for LockStore.create(), or for `url`"
    elif re.search(r"\s", read) or not read:
        what = "is empty or has a blank in it; it must be a host's name"
    elif _WITH_PORT.fullmatch(read):
        what = "holds a port as well; that is a setting of its own, `port`"
    else:
        what = "is neither a host's name nor an IP address"
    raise ValueError(f"{name} {what}")


def address(name: str, value: object) -> tuple[str, int | None]:
    """Read ``host``, ``host:port`` or ``[IPv6 address]:port``."""
    read = text(name, value).strip()
    if read.startswith("["):
        found, closed, rest = read[1:].partition("]")
        if not (closed and _is_ip_address(found)) or (rest and not rest.startswith(":")):
            raise ValueError(f"{name}: what is in brackets must be an IPv6 address")
        digits = rest[1:]
    elif read.count(":") > 1:
        raise ValueError(f"{name}: an IPv6 address stands in brackets, as in [::1]:6379")
    else:
        found, _, digits = read.partition(":")
        found = host(name, found)
    if digits and not (digits.isascii() and digits.isdecimal() and 0 < int(digits) <= _LAST_PORT):
        raise ValueError(f"{name} must be written host:port, its port from 1 to {_LAST_PORT}")
    return found, int(digits) if digits else None


def addresses(name: str, value: object) -> list[str]:
    """Read addresses: a list of them, or one text with commas."""
    found = value.split(",") if isinstance(value, str) else value
    if not isinstance(found, (list, tuple)) or not found:
        raise TypeError(f"{name} must be a list of host:port")
    for each in found:
        address(name, each)
    return [each.strip() for each in found]


def _is_ip_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
