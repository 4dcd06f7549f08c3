"""A store's URL, taken apart exactly as it was meant or refused: never another host.

A password that holds a character with a meaning in URLs, and was not percent-encoded, would be cut
off there and its rest taken for a host, a database or a parameter. So whatever can't be told from
that is an error. No error repeats anything that could be part of a password.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from nowserving.config import readers
from nowserving.errors import ConfigurationError

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_HARMLESS = re.compile(r"(://)?[\w.-]*")
_PARTS = re.compile(r"([^/?]*)([^?]*)\??(.*)", re.DOTALL)
_HALF_ENCODED = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ENCODE = "percent-encode the password: urllib.parse.quote(password, safe='')"

SECRETS = frozenset({"password", "sentinel_password"})
"""The settings whose values are told nobody."""


class StoreUrl:
    """A store's URL, taken apart.

    Args:
        url: For example ``redis://user:password@host:6379/1?key_prefix=bot``.

    Attributes:
        scheme: What comes before ``://``, in small letters.
        settings: All the rest, by the name of the setting, as text; ``endpoints`` is a list, and
            there when several hosts are named or the scheme is one that has several.
        shown: Scheme, hosts and path: what may be shown of it.
        tells_secrets: Whether a parameter is a secret, so that the name of an unknown one may be
            a piece of it.

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
        if "@" in path or "@" in query:
            raise self._refusal(f"a raw / or ? comes before an @, as if in its login; {_ENCODE}")
        login, _, hosts = authority.rpartition("@")
        if any(sign in login for sign in "@[]"):
            raise self._refusal(f"there is a raw @, [ or ] in its login; {_ENCODE}")
        username, _, password = login.partition(":")
        self.settings: dict[str, Any] = {
            "username": self._decoded(username),
            "password": self._decoded(password),
            **self._hosts(hosts),
            **self._path(hosts, self._decoded(path)),
        }
        self.settings = {name: value for name, value in self.settings.items() if value}
        self.shown = f"{self.scheme}://{hosts}{path}"
        pairs = [each.partition("=") for each in query.split("&")] if query else []
        self.tells_secrets = any(name in SECRETS for name, _, _ in pairs)
        for name, equals, value in pairs:
            self._take(self._decoded(name), equals, self._decoded(value))

    def _refusal(self, what: str) -> ConfigurationError:
        return ConfigurationError(f"The URL {self.scheme}://… can't be used: {what}")

    def _check_characters(self, rest: str) -> None:
        if any(sign.isspace() or not sign.isprintable() for sign in rest):
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

    def _hosts(self, text: str) -> dict[str, Any]:
        if self._variant == "unix" or self.scheme == "unix":
            return {}
        listed = [self._decoded(each) for each in text.split(",") if each]
        found = [self._address(each) for each in listed]  # checked, whatever becomes of them
        if len(found) > 1 or (found and self._variant in {"sentinel", "cluster"}):
            return {"endpoints": listed}
        name, port = found[0] if found else ("", None)
        return {"host": name, "port": port}

    def _address(self, text: str) -> tuple[str, int | None]:
        usual = f"localhost{text}" if text.startswith(":") else text  # redis://:6379
        try:
            return readers.address("its host", usual)
        except ValueError as error:
            what = str(error)
        raise self._refusal(what)

    def _path(self, hosts: str, path: str) -> dict[str, str]:
        if self._variant == "unix" or self.scheme == "unix":
            if hosts:
                raise self._refusal(
                    f"a socket's path begins with a third slash, {self.scheme}:///run/…"
                )
            if not path.strip("/"):
                raise self._refusal("it names no socket")
            return {"unix_socket": path}
        if self._variant == "sentinel":
            service, _, db = path.strip("/").partition("/")
            return {"sentinel_service": service, "db": db}
        return {"db": path.strip("/")}

    def _take(self, name: str, equals: str, value: str) -> None:
        named = "one of its parameters" if self.tells_secrets else repr(name)
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
        # With a login in it, it is not repeated.
        what = repr(url) if _HARMLESS.fullmatch(url) else "A text that may hold a password"
        raise ConfigurationError(
            f"{what} is not a store's URL; write for example memory:// or redis://localhost:6379/1"
        )
    return scheme.lower()


def shown(url: str) -> str:
    """Return what may be shown of a store's URL: nothing of its login and its parameters."""
    try:
        return StoreUrl(url).shown
    except ConfigurationError:
        return "that URL"


def _parts(rest: str) -> tuple[str, str, str]:
    found = _PARTS.fullmatch(rest)
    authority, path, query = found.groups() if found else ("", "", "")
    return authority, path, query
