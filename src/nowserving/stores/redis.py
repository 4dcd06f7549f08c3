"""``RedisLockStore``: for any number of processes and machines over one Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nowserving import endpoints, options
from nowserving.endpoints import read_settings
from nowserving.errors import ConfigurationError
from nowserving.factory import settings_of
from nowserving.stores.base import TURN_SETTINGS, QueueLockStore

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from nowserving.factory import Endpoint
    from nowserving.options import Overrides
    from nowserving.queues.base import TicketQueue

DEFAULT_SOCKET_TIMEOUT_IN_SECONDS = 10.0
"""Seconds within which Redis has to answer, by default."""

DEFAULT_REDIS_LOCK_STORE_KEY_PREFIX = "lock:"
"""What every key begins with when no ``key_prefix`` is given."""

_SETTINGS = {
    "host": endpoints.text,
    "port": endpoints.whole,
    "db": endpoints.whole,
    "username": endpoints.text,
    "password": endpoints.text,
    "use_ssl": endpoints.flag,
    "ssl_certfile": endpoints.text,
    "ssl_keyfile": endpoints.text,
    "ssl_ca_certs": endpoints.text,
    "key_prefix": endpoints.text,
    "socket_timeout": endpoints.number,
    "concurrent_mode": endpoints.flag,
    **TURN_SETTINGS,
}


class RedisLockStore(
    QueueLockStore, kinds=("redis", "concurrent_redis"), schemes=("redis", "rediss")
):
    """Lines in Redis (6.2 or newer) or Valkey: exact across processes and hosts, pushed wake-ups.

    Guarantees: mutual exclusion and order as long as the primary keeps its data. Nothing is
    connected before the first lock is asked for.

    Args:
        host: The server's host.
        port: Its port.
        db: The number of the database.
        password: The password, if it has one.
        use_ssl: Whether to speak TLS.
        key_prefix: Put before every key as ``<key_prefix>:lock:``; letters and digits only.
            Two applications that share a Redis database need two prefixes.
        socket_timeout: Seconds within which every call is answered or raises
            ``StoreUnavailable``, reconnecting and repeating included.
        username: The ACL user, if not the default one.
        ssl_certfile: A client certificate (PEM file).
        ssl_keyfile: Its key (PEM file).
        ssl_ca_certs: The certificates to trust (PEM file).
        endpoint_config: An ``endpoints.yml`` section, when Rasa makes the store by class path;
            its keys are the arguments' names (``url`` for ``host`` too).
        **defaults: Options of ``lock()`` for every turn (see ``Options``).

    Raises:
        ConfigurationError: For an unknown key, an unusable value, or a missing package.
    """

    def __init__(  # noqa: PLR0913 - the reference's signature, and what belongs beside it
        self,
        host: str = "localhost",
        port: int = 6379,
        db: int = 1,
        password: str | None = None,
        use_ssl: bool = False,  # noqa: FBT001, FBT002 - the reference's signature
        key_prefix: str | None = None,
        socket_timeout: float = DEFAULT_SOCKET_TIMEOUT_IN_SECONDS,
        *,
        username: str | None = None,
        ssl_certfile: str | None = None,
        ssl_keyfile: str | None = None,
        ssl_ca_certs: str | None = None,
        endpoint_config: Endpoint | None = None,
        **defaults: Unpack[Overrides],
    ) -> None:
        if endpoint_config is not None:
            self.__init__(**_read(settings_of(endpoint_config)))  # type: ignore[misc]
            return
        self._where = f"{host}:{port}/{db}"
        self._prefix = _key_prefix(key_prefix)
        self._timeout = options.seconds("socket_timeout", socket_timeout)
        self._connection: dict[str, Any] = {
            "host": host,
            "port": endpoints.whole("port", port),
            "db": endpoints.whole("db", db),
            "username": username,
            "password": password,
        }
        self._tls: dict[str, Any] | None = None
        if use_ssl:
            self._tls = {
                "ssl_certfile": ssl_certfile,
                "ssl_keyfile": ssl_keyfile,
                "ssl_ca_certs": ssl_ca_certs,
            }
        super().__init__(**defaults)

    def _make_queue(self) -> TicketQueue:
        try:
            from nowserving.queues.redis import RedisQueue, dialler  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise ConfigurationError(
                f"The Redis lock store needs the extra: pip install 'nowserving[redis]' ({error})"
            ) from error
        return RedisQueue(
            dialler(self._connection, self._tls, self._timeout),
            key_prefix=self._prefix,
            timeout=self._timeout,
            where=self._where,
        )

    @classmethod
    def from_settings(cls, given: dict[str, Any]) -> RedisLockStore:
        """Make the store from a URL's or an endpoint's settings."""
        given = dict(given)
        if given.pop("scheme", None) == "rediss":
            given["use_ssl"] = True
        return cls(**_read(given))


def _read(given: dict[str, Any]) -> dict[str, Any]:
    settings = read_settings(given, _SETTINGS, "The Redis lock store")
    settings.pop("concurrent_mode", None)  # Rasa Pro's switch: we always are
    return settings


def _key_prefix(prefix: str | None) -> str:
    if prefix is None:
        return DEFAULT_REDIS_LOCK_STORE_KEY_PREFIX
    if not str(prefix).isalnum():
        raise ConfigurationError(
            f"key_prefix={prefix!r} must be letters and digits only: with another one you would "
            "share keys, and so locks, with whoever uses the default."
        )
    return f"{prefix}:{DEFAULT_REDIS_LOCK_STORE_KEY_PREFIX}"
