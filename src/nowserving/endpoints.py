"""Configurations: Rasa's ``EndpointConfig`` and store URLs, read into checked settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from nowserving.errors import ConfigurationError
from nowserving.options import LONGEST

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_TRUE, _FALSE = frozenset({"true", "yes", "on", "1"}), frozenset({"false", "no", "off", "0"})


class EndpointConfig:
    """What an ``endpoints.yml`` section says (``rasa.utils.endpoints.EndpointConfig``).

    Args:
        url: The server's host or address.
        params: Request parameters (unused by lock stores).
        headers: Request headers (unused by lock stores).
        basic_auth: Credentials (unused by lock stores).
        token: A token (unused by lock stores).
        token_name: The token's parameter name (unused by lock stores).
        cafile: A certificate bundle (unused by lock stores).
        **kwargs: Everything else of the section; ``type`` is taken from here.
    """

    def __init__(  # noqa: PLR0913 - the reference's signature
        self,
        url: str | None = None,
        params: dict[str, Any] | None = None,
        headers: dict[str, Any] | None = None,
        basic_auth: dict[str, str] | None = None,
        token: str | None = None,
        token_name: str = "token",  # noqa: S107 - a parameter's name
        cafile: str | None = None,
        **kwargs: Any,  # noqa: ANN401 - whatever the section holds
    ) -> None:
        self.url = url
        self.params = params or {}
        self.headers = headers or {}
        self.basic_auth = basic_auth or {}
        self.token = token
        self.token_name = token_name
        self.cafile = cafile
        self.type = kwargs.pop("type", None)
        self.kwargs = kwargs


class StoreUrl:
    """A store's URL, taken apart.

    Args:
        url: For example ``redis://user:password@host:6379/1?key_prefix=bot``.

    Attributes:
        scheme: What comes before ``://``.
        settings: All the rest, by the name of the setting, as text; ``endpoints`` is a list, and
            there when several hosts are named or the scheme is one that has several.

    Raises:
        ConfigurationError: If it has no scheme, a bad port, or a parameter twice.
    """

    def __init__(self, url: str) -> None:
        self.scheme, separator, rest = url.partition("://")
        self.scheme = self.scheme.lower()
        if not self.scheme or not separator:
            raise ConfigurationError(
                f"{_safe(url)!r} is not a store's URL; write for example memory:// or "
                "redis://localhost:6379/1"
            )
        parts = urlsplit(f"//{rest}")
        login, _, hosts = parts.netloc.rpartition("@")
        username, _, password = login.partition(":")
        path = unquote(parts.path)
        self.settings: dict[str, Any] = {
            name: value
            for name, value in {
                "username": unquote(username),
                "password": unquote(password),
                **self._hosts(hosts, url),
                **(_PATHS[self.scheme](path) if self.scheme in _PATHS else _database(path)),
            }.items()
            if value
        }
        for name, value in parse_qsl(parts.query, keep_blank_values=True):
            if name in self.settings:
                raise ConfigurationError(f"{_safe(url)!r} says {name!r} twice")
            self.settings[name] = value

    def _hosts(self, text: str, url: str) -> dict[str, Any]:
        endpoints = [each for each in text.split(",") if each]
        try:
            found = [address("host", each, 0) for each in endpoints]
        except ValueError:
            raise ConfigurationError(f"{_safe(url)!r} has a port that is not a number") from None
        if len(found) > 1 or (found and self.scheme in _SEVERAL_HOSTS):
            return {"endpoints": endpoints}
        host, port = found[0] if found else ("", 0)
        return {"host": host, "port": port}


def _database(path: str) -> dict[str, str]:
    return {"db": path.strip("/")}


def _service_and_database(path: str) -> dict[str, str]:
    service, _, db = path.strip("/").partition("/")
    return {"sentinel_service": service, "db": db}


def _socket(path: str) -> dict[str, str]:
    return {"unix_socket": path}


_PATHS = {
    "redis+sentinel": _service_and_database,
    "rediss+sentinel": _service_and_database,
    "redis+unix": _socket,
    "unix": _socket,
}
"""What the path of a URL says, where it is not the number or name of a database."""

_SEVERAL_HOSTS = frozenset({"redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"})


def address(name: str, text: object, usual_port: int) -> tuple[str, int]:
    """Read ``host``, ``host:port`` or ``[IPv6 address]:port``.

    Args:
        name: The setting's name, for messages.
        text: The address.
        usual_port: The port if it names none.

    Raises:
        ConfigurationError: If it is no address.
    """
    # A host without a port must not be taken for a port: "::1" is one address.
    parts = urlsplit(f"//{text}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not isinstance(text, str) or not host or parts.path or "@" in text:
        raise ConfigurationError(f"{name}: {text!r} must be written host:port")
    return host, usual_port if port is None else port


def _safe(url: str) -> str:
    """Return a URL without what may be a password in it."""
    head, at, tail = url.rpartition("@")
    if not at:
        return url.partition("?")[0]
    scheme, separator, _ = head.partition("://")
    return (scheme + separator if separator else "") + "…@" + tail.partition("?")[0]


def read_settings(
    given: Mapping[str, object], known: Mapping[str, Callable[[str, object], Any]], where: str
) -> dict[str, Any]:
    """Check settings by name and turn text into what each one is.

    Args:
        given: The settings as they came.
        known: How to read each setting.
        where: What the settings are of, for messages.

    Raises:
        ConfigurationError: For an unknown name (the known ones are listed) or a value that
            can't be read; a secret's value is not repeated.
    """
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ConfigurationError(
            f"{where} does not know {', '.join(map(repr, unknown))}; "
            f"known are {', '.join(sorted(known))}."
        )
    settings = {}
    for name, value in given.items():
        if value is None:
            continue
        try:
            settings[name] = known[name](name, value)
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"{where}: {error}") from None
    return settings


def text(name: str, value: object) -> str:
    """Read a string; a number stands for its digits, as YAML reads an unquoted password."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise TypeError(f"{name} is of type {type(value).__name__}; it must be a text")
    return value


def addresses(name: str, value: object) -> list[str]:
    """Read addresses: a list of them, or one text with commas."""
    found = value.split(",") if isinstance(value, str) else value
    if not isinstance(found, (list, tuple)) or not found:
        raise TypeError(f"{name} must be a list of host:port")
    for each in found:
        address(name, each.strip() if isinstance(each, str) else each, 0)
    return [each.strip() for each in found]


def whole(name: str, value: object) -> int:
    """Read a whole number, also from text."""
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{name}={value!r} must be a whole number of at least 0")
    return value


def number(name: str, value: object) -> float:
    """Read a number of seconds above 0 and up to ``LONGEST``, also from text."""
    try:
        read = float(value) if isinstance(value, (str, int, float)) else None
    except (ValueError, OverflowError):
        read = None
    if isinstance(value, bool) or read is None or not 0 < read <= LONGEST:
        raise ValueError(
            f"{name}={value!r} must be a number of seconds, more than 0 and at most {LONGEST}, "
            "which are ten years; leave it out for the default"
        )
    return read


def flag(name: str, value: object) -> bool:
    """Read a yes or no, also from text."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    raise ValueError(f"{name}={value!r} must be true or false")
