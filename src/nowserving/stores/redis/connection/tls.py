"""TLS to Redis: redis-py's ``ssl_…`` settings, read as redis-py reads them, as an SSL context."""

from __future__ import annotations

import inspect
import ssl
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redis.asyncio import SSLConnection

from nowserving.errors import ConfigurationError
from nowserving.stores.redis.connection.diagnosis import Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_KNOWN = frozenset(
    f"ssl_{name}"
    for name in (
        *("ca_certs", "ca_data", "ca_path", "certfile", "keyfile", "password"),
        *("cert_reqs", "check_hostname", "ciphers", "min_version"),
        *("include_verify_flags", "exclude_verify_flags"),
    )
)
"""What redis-py 4.6 to 8 knows of TLS on asyncio."""

_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")

_VERIFIED = {
    "none": ssl.CERT_NONE,
    "optional": ssl.CERT_OPTIONAL,
    "required": ssl.CERT_REQUIRED,
}


class Tls:
    """The SSL context of all connections of one dialler.

    Reading the system's certificates takes as long as some hundred turns, in the event loop. So it
    is done once, and again when a file was replaced by a newer certificate.

    Args:
        settings: redis-py's ``ssl_…`` arguments; those that are missing are as in the redis-py
            that is installed.

    Raises:
        ConfigurationError: If one of them is unknown, or says nothing.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        unknown = sorted(settings.keys() - _KNOWN)
        if unknown:
            raise ConfigurationError(f"{', '.join(unknown)} can't be used: leave it out")
        self._settings: dict[str, Any] = {**_defaults(), **settings}
        self._verified = _verify_mode(self._settings["ssl_cert_reqs"])
        if self._settings.get("ssl_keyfile") and not self._settings.get("ssl_certfile"):
            raise ConfigurationError("ssl_keyfile is the key of a certificate: set ssl_certfile")
        self._made: tuple[list[int], ssl.SSLContext] | None = None

    def context(self) -> ssl.SSLContext:
        """Return the context.

        Raises:
            OSError: If a file can't be read.
            Unreachable: If it holds something else.
        """
        files = [self._settings.get(name) for name in _FILES]
        changed = [Path(file).stat().st_mtime_ns for file in files if file]
        if self._made is None or self._made[0] != changed:
            self._made = (changed, self._make())
        return self._made[1]

    def _make(self) -> ssl.SSLContext:
        said: Callable[[str], Any] = self._settings.get
        context = ssl.create_default_context()
        verified = self._verified != ssl.CERT_NONE
        context.check_hostname = bool(said("ssl_check_hostname")) and verified
        context.verify_mode = self._verified
        for flag in said("ssl_include_verify_flags") or ():
            context.verify_flags |= flag
        for flag in said("ssl_exclude_verify_flags") or ():
            context.verify_flags &= ~flag
        if said("ssl_certfile"):
            # Without any password, OpenSSL would ask for one at the terminal.
            password = said("ssl_password") or ""
            with _naming("ssl_certfile, ssl_keyfile or ssl_password"):
                context.load_cert_chain(said("ssl_certfile"), said("ssl_keyfile"), password)
        authorities = said("ssl_ca_certs"), said("ssl_ca_path"), said("ssl_ca_data")
        if any(authorities):
            with _naming("ssl_ca_certs or ssl_ca_data"):
                context.load_verify_locations(*authorities)
        if said("ssl_min_version") is not None:
            context.minimum_version = said("ssl_min_version")
        if said("ssl_ciphers") is not None:
            context.set_ciphers(said("ssl_ciphers"))
        return context


@contextmanager
def _naming(settings: str) -> Iterator[None]:
    """Name the settings that OpenSSL has something against; it says only "PEM lib", if that."""
    try:
        yield
    except ssl.SSLError:
        words = f"TLS failed: {settings} can't be used: is it the right file?"
        raise Unreachable(words, hopeless=True) from None


def _defaults() -> dict[str, Any]:
    """Return what the redis-py that is installed does where nothing is said.

    Before version 6 it did not look at the name in a certificate: a client that is given to us must
    not be refused by the server that it has always spoken to.
    """
    parameters = inspect.signature(SSLConnection).parameters
    return {name: each.default for name, each in parameters.items() if name in _KNOWN}


def _verify_mode(said: object) -> ssl.VerifyMode:
    if isinstance(said, ssl.VerifyMode):
        return said
    try:
        return _VERIFIED["none" if said is None else str(said)]
    except KeyError:
        raise ConfigurationError(
            f"ssl_cert_reqs={said!r} must be one of {', '.join(_VERIFIED)}"
        ) from None
