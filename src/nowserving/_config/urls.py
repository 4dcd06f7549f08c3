"""A store's URL, read exactly as it was meant or refused: it never leads to another host.

A password with a character that has a meaning in URLs, not percent-encoded, would be cut off there,
and its rest taken for a host, a database or a parameter. So every URL that could be such a mistake
is an error. No error repeats anything that could be part of a password.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from nowserving._config import readers
from nowserving.errors import ConfigurationError

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_HARMLESS = re.compile(r"(://)?[\w.-]*")
_PARTS = re.compile(r"([^/?]*)([^?]*)\??(.*)", re.DOTALL)
_HALF_ENCODED = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ENCODE = "percent-encode the password: urllib.parse.quote(password, safe='')"

_FILE_SCHEMES = frozenset({"sqlite"})
"""Schemes of stores that keep everything in one file."""

SECRETS = frozenset({"password", "sentinel_password"})
"""Settings whose values are never shown."""


class StoreUrl:
    """A store's URL, taken apart.

    Args:
        url: For example ``redis://user:password@host:6379/1?key_prefix=bot``, or for a file
            ``sqlite:////var/lib/locks.db``. As in SQLAlchemy, a file's path begins after the third
            slash, so an absolute path makes it four, and ``sqlite:///locks.db`` is relative.

    Attributes:
        scheme: What comes before ``://``, in small letters.
        settings: All the rest by the name of the setting, as text. ``endpoints`` is a list; it
            replaces ``host`` if several hosts are named or the scheme is one with several.
        shown: Scheme, hosts and path: what may be shown of it.
        has_secret_parameter: Whether a parameter is a secret. Then the name of an unknown
            parameter may be a piece of that secret, and must not be shown.

    Raises:
        ConfigurationError: If it can't be read exactly as it was meant; the message says what to
            change.
    """

    def __init__(self, url: str) -> None:
        self.scheme = scheme_of(url)
        rest = url.partition("://")[2]
        self._check_characters(rest)
        self._variant = self.scheme.partition("+")[2]
        authority, path, query = _parts(rest)
        login, _, hosts = authority.rpartition("@")
        if self.scheme in _FILE_SCHEMES:
            self.settings = {"path": self._file(authority, self._decoded(path))}
        else:
            self._check_login(login, path, query)
            self.settings = self._server(login, hosts, self._decoded(path))
        self.shown = f"{self.scheme}://{hosts}{path}"
        pairs = [each.partition("=") for each in query.split("&")] if query else []
        self.has_secret_parameter = any(name in SECRETS for name, _, _ in pairs)
        for name, equals, value in pairs:
            self._add_parameter(self._decoded(name), equals, self._decoded(value))

    def _refusal(self, what: str) -> ConfigurationError:
        return ConfigurationError(f"The URL {self.scheme}://… can't be used: {what}")

    def _check_characters(self, rest: str) -> None:
        if any(each.isspace() or not each.isprintable() for each in rest):
            raise self._refusal(
                "there is a blank, a line break or a control character in it, maybe at its end; "
                f"if that is meant, {_ENCODE}"
            )
        if "://" in rest:
            raise self._refusal(f"there is a second :// in it; a host is a name alone; {_ENCODE}")
        if "#" in rest:
            raise self._refusal(f"there is a raw # in it; {_ENCODE}")
        if _HALF_ENCODED.search(rest):
            raise self._refusal(f"there is a raw % in it (written %25); {_ENCODE}")

    def _decoded(self, text: str) -> str:
        try:
            return unquote(text, errors="strict")
        except UnicodeDecodeError:
            pass
        raise self._refusal("what is percent-encoded in it is not UTF-8")  # with nothing chained

    def _check_login(self, login: str, path: str, query: str) -> None:
        if "@" in path or "@" in query:
            raise self._refusal(f"a raw / or ? comes before an @, as if in its login; {_ENCODE}")
        if any(each in login for each in "@[]"):
            raise self._refusal(f"there is a raw @, [ or ] in its login; {_ENCODE}")

    def _file(self, authority: str, path: str) -> str:
        if authority:
            raise self._refusal(
                f"a file's path begins after a third slash, {self.scheme}:///relative.db or "
                f"{self.scheme}:////absolute.db"
            )
        path = path.removeprefix("/")
        if not path or path.endswith("/"):
            raise self._refusal("it names no file")
        return path

    def _server(self, login: str, hosts: str, path: str) -> dict[str, Any]:
        username, _, password = login.partition(":")
        settings = {"username": self._decoded(username), "password": self._decoded(password)}
        if self._variant == "unix" or self.scheme == "unix":
            settings |= {"unix_socket": self._socket(hosts, path)}
        else:
            settings |= {**self._hosts(hosts), **self._database(path)}
        return {name: value for name, value in settings.items() if value}

    def _socket(self, hosts: str, path: str) -> str:
        if hosts:
            raise self._refusal(
                f"a socket's path begins with a third slash, {self.scheme}:///run/…"
            )
        if not path.strip("/"):
            raise self._refusal("it names no socket")
        return path

    def _hosts(self, text: str) -> dict[str, Any]:
        listed = [self._decoded(each) for each in text.split(",") if each]
        found = [self._address(each) for each in listed]  # each is checked, even if not used
        if len(found) > 1 or (found and self._variant in {"sentinel", "cluster"}):
            return {"endpoints": listed}
        name, port = found[0] if found else ("", None)
        return {"host": name, "port": port}

    def _database(self, path: str) -> dict[str, str]:
        if self._variant == "sentinel":
            service, _, db = path.strip("/").partition("/")
            return {"sentinel_service": service, "db": db}
        return {"db": path.strip("/")}

    def _address(self, text: str) -> tuple[str, int | None]:
        if text.startswith(":"):
            text = f"localhost{text}"  # redis://:6379
        try:
            return readers.address("its host", text)
        except ValueError as error:
            what = str(error)
        raise self._refusal(what)

    def _add_parameter(self, name: str, equals: str, value: str) -> None:
        named = "one of its parameters" if self.has_secret_parameter else repr(name)
        if not equals:
            raise self._refusal(f"{named} has no value; in a value, & is written %26")
        if name in self.settings:
            raise self._refusal(f"it says {named} twice")
        self.settings[name] = value


def scheme_of(url: str) -> str:
    """Return what comes before a URL's ``://``, in small letters.

    Raises:
        ConfigurationError: If there is none.
    """
    scheme, separator, _ = url.partition("://")
    if not separator or not _SCHEME.fullmatch(scheme):
        # It is not repeated if there may be a login in it.
        what = repr(url) if _HARMLESS.fullmatch(url) else "A text that may hold a password"
        raise ConfigurationError(
            f"{what} is not a store's URL; write for example memory:// or redis://localhost:6379/1"
        )
    return scheme.lower()


def shown(url: str) -> str:
    """Return what may be shown of a store's URL: all but its login and its parameters."""
    try:
        return StoreUrl(url).shown
    except ConfigurationError:
        return "that URL"


def _parts(rest: str) -> tuple[str, str, str]:
    found = _PARTS.fullmatch(rest)
    authority, path, query = found.groups() if found else ("", "", "")
    return authority, path, query
