"""The settings of a Redis store, listed once: all other lists are derived from this one.

A new setting is a new field of :class:`RedisSettings`, used in ``connection_settings.py`` or in
``store.py``. Where else it has to be named (the signature and the docstring of ``RedisLockStore``,
``docs``), a test asks for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from nowserving._config import history as past
from nowserving._config import readers
from nowserving._config.defaults import as_default
from nowserving._config.settings import readers_of

if TYPE_CHECKING:
    from nowserving._config.readers import Reader

_T = TypeVar("_T")
_Part = Literal["address", "connection", "client", "store", "section"]

DEFAULT_SOCKET_TIMEOUT_IN_SECONDS = 10.0
"""Seconds within which Redis has to answer, by default."""

DEFAULT_REDIS_LOCK_STORE_KEY_PREFIX = "lock:"
"""What every key begins with, behind the ``key_prefix`` if one is given."""


def _setting(part: _Part, read: Reader, *, default: _T, secret: bool = False) -> _T:
    """Make a field of :class:`RedisSettings`.

    Args:
        part: ``"address"`` for what says where Redis is; ``"connection"`` for all else that a
            ready client brings along; ``"client"`` for that client; ``"store"`` for what is not
            about connections; ``"section"`` for what is no argument, but a key of a section.
        read: Reads what an argument, a section or a URL gives.
        default: What it is if nobody gives it; None if that depends on other settings.
        secret: Whether it may never be shown.
    """
    return field(default=default, repr=not secret, metadata={"part": part, "read": read})


@dataclass(frozen=True)
class RedisSettings:
    """The settings of a Redis store; ``RedisLockStore``, whose arguments they are, describes each.

    Attributes:
        given: The names of those that were given; the others are as they are by default.
    """

    host: str = _setting("address", readers.host, default="localhost")
    port: int = _setting("connection", readers.port, default=6379)
    db: int = _setting("connection", readers.whole, default=1)
    password: str | None = _setting("connection", readers.text, default=None, secret=True)
    use_ssl: bool = _setting("connection", readers.flag, default=False)
    key_prefix: str | None = _setting("store", readers.key_prefix, default=None)
    socket_timeout: float = _setting(
        "store", readers.seconds, default=DEFAULT_SOCKET_TIMEOUT_IN_SECONDS
    )
    username: str | None = _setting("connection", readers.text, default=None)
    ssl_certfile: str | None = _setting("connection", readers.readable_file, default=None)
    ssl_keyfile: str | None = _setting("connection", readers.readable_file, default=None)
    ssl_ca_certs: str | None = _setting("connection", readers.readable_file, default=None)
    ssl_cert_reqs: str | None = _setting("connection", readers.certificate, default=None)
    ssl_check_hostname: bool | None = _setting("connection", readers.flag, default=None)
    credential_provider: object = _setting(
        "connection", readers.python_object, default=None, secret=True
    )
    unix_socket: str | None = _setting("address", readers.path, default=None)
    deployment_mode: str | None = _setting("connection", readers.text, default=None)
    endpoints: list[str] | None = _setting("address", readers.addresses, default=None)
    sentinel_service: str | None = _setting("connection", readers.text, default=None)
    sentinel_username: str | None = _setting("connection", readers.text, default=None)
    sentinel_password: str | None = _setting("connection", readers.text, default=None, secret=True)
    sentinel_use_ssl: bool | None = _setting("connection", readers.flag, default=None)
    min_replicas: int | None = _setting("store", readers.whole, default=None)
    history: int = _setting("store", past.READERS["history"], default=0)
    history_total: int = _setting("store", past.READERS["history_total"], default=past.TOTAL)
    history_ttl: float = _setting("store", past.READERS["history_ttl"], default=past.TTL)
    client: object = _setting("client", readers.python_object, default=None, secret=True)
    concurrent_mode: bool | None = _setting("section", readers.flag, default=None)
    """Rasa Pro's switch. It changes nothing: this store always is concurrent."""

    given: frozenset[str] = frozenset()


# Derived from the fields


def _names(*parts: _Part) -> list[str]:
    return [each.name for each in fields(RedisSettings) if each.metadata.get("part") in parts]


READERS = readers_of(RedisSettings)
"""How each setting is read."""

DEFAULTS: dict[str, Any] = {
    name: as_default(value)
    for name, value in vars(RedisSettings()).items()
    if name in READERS and value is not None
}
"""The defaults in the signature that are not None; they count as not given."""

ARGUMENTS = _names("address", "connection", "client", "store")
"""The settings that are arguments of ``RedisLockStore``."""

ADDRESSES = frozenset(_names("address", "client"))
"""The settings of which each one says where Redis is."""

BROUGHT_BY_CLIENT = frozenset(_names("address", "connection"))
"""The settings that a ready client brings along."""
