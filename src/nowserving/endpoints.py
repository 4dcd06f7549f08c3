"""Configurations: Rasa's ``EndpointConfig`` and store URLs, read into checked settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from nowserving.errors import ConfigurationError

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
        settings: All the rest, by the name of the setting, as text.

    Raises:
        ConfigurationError: If it has no scheme, a bad port, or a parameter twice.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.scheme = parts.scheme.lower()
        if not self.scheme or "://" not in url:
            raise ConfigurationError(
                f"{_safe(url)!r} is not a store's URL; write for example memory:// or "
                "redis://localhost:6379/1"
            )
        try:
            port = parts.port
        except ValueError:
            raise ConfigurationError(f"{_safe(url)!r} has a port that is not a number") from None
        found: dict[str, Any] = {
            "host": parts.hostname,
            "port": port,
            "db": parts.path.strip("/") or None,
            "username": unquote(parts.username) if parts.username else None,
            "password": unquote(parts.password) if parts.password else None,
        }
        self.settings = {name: value for name, value in found.items() if value is not None}
        for name, value in parse_qsl(parts.query, keep_blank_values=True):
            if name in self.settings:
                raise ConfigurationError(f"{_safe(url)!r} says {name!r} twice")
            self.settings[name] = value


def _safe(url: str) -> str:
    """Return a URL without what may be a password in it."""
    head, at, tail = url.rpartition("@")
    if not at:
        return url.partition("?")[0]
    return head.partition("://")[0] + "://…@" + tail.partition("?")[0]


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
    """Read a string."""
    if not isinstance(value, str):
        raise TypeError(f"{name} is a {type(value).__name__}; it must be a text")
    return value


def whole(name: str, value: object) -> int:
    """Read a whole number, also from text."""
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{name}={value!r} must be a whole number of at least 0")
    return value


def number(name: str, value: object) -> float:
    """Read a number of seconds above 0, also from text."""
    try:
        read = float(value) if isinstance(value, (str, int, float)) else None
    except ValueError:
        read = None
    if isinstance(value, bool) or read is None or not 0 < read < float("inf"):
        raise ValueError(f"{name}={value!r} must be a number of seconds, more than 0")
    return read


def flag(name: str, value: object) -> bool:
    """Read a yes or no, also from text."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    raise ValueError(f"{name}={value!r} must be true or false")
