"""``RedisLockStore``: for any number of processes and machines over one Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nowserving import endpoints, options
from nowserving.endpoints import read_settings, whole
from nowserving.errors import ConfigurationError
from nowserving.factory import settings_of
from nowserving.queues.redis.settings import check_settings, tls_settings
from nowserving.stores.base import TURN_SETTINGS, QueueLockStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Self, Unpack

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
    "ssl_check_hostname": endpoints.flag,
    "key_prefix": endpoints.text,
    "socket_timeout": endpoints.number,
    "min_replicas": endpoints.whole,
    "unix_socket": endpoints.text,
    "deployment_mode": endpoints.text,
    "endpoints": endpoints.addresses,
    "sentinel_service": endpoints.text,
    "sentinel_username": endpoints.text,
    "sentinel_password": endpoints.text,
    "sentinel_use_ssl": endpoints.flag,
    "concurrent_mode": endpoints.flag,
    **TURN_SETTINGS,
}

_SCHEMES = {
    "redis": ("standard", False),
    "rediss": ("standard", True),
    "redis+unix": ("standard", False),
    "unix": ("standard", False),
    "redis+sentinel": ("sentinel", False),
    "rediss+sentinel": ("sentinel", True),
    "redis+cluster": ("cluster", False),
    "rediss+cluster": ("cluster", True),
}
"""What a URL's scheme says: the deployment mode, and whether to speak TLS."""


class _Usual(int):
    """A default of the reference that was not said.

    Sentinels have another usual port, and a cluster has no databases.
    """


_USUAL_PORT, _USUAL_DB = _Usual(6379), _Usual(1)


class RedisLockStore(QueueLockStore, kinds=("redis", "concurrent_redis"), schemes=tuple(_SCHEMES)):
    """Lines in Redis (6.2 or newer) or Valkey: exact across processes and hosts, pushed wake-ups.

    Guarantees: mutual exclusion and order as long as the primary keeps its data. Nothing is
    connected before the first lock is asked for. ``docs/redis.md`` tells how to reach sentinels
    and clusters, and what each fault ends in.

    Args:
        host: The server's host.
        port: Its port.
        db: The number of the database. A cluster has only one, and takes no number.
        password: The password, if it has one.
        use_ssl: Whether to speak TLS.
        key_prefix: Put before every key as ``<key_prefix>:lock:``; letters and digits only.
            Two applications that share a Redis database need two prefixes.
        socket_timeout: Seconds within which every call is answered or raises
            ``StoreUnavailable``, reconnecting and repeating included.
        username: The ACL user, if not the default one.
        ssl_certfile: A client certificate (PEM file).
        ssl_keyfile: Its key (PEM file).
        ssl_ca_certs: The certificates to trust beside the system's (PEM file).
        ssl_check_hostname: Whether the server's certificate must name the host. The certificate
            is verified in any case.
        credential_provider: A redis-py ``CredentialProvider``, asked at each connection, instead
            of user and password.
        unix_socket: The path of the server's unix socket, instead of host and port.
        deployment_mode: ``standard``, ``sentinel`` or ``cluster``.
        endpoints: ``["host:port", …]``: the sentinels, or some nodes of the cluster.
        sentinel_service: The name under which the sentinels know the primary.
        sentinel_username: The sentinels' own user, if they have one.
        sentinel_password: Its password.
        sentinel_use_ssl: Whether the sentinels speak TLS; by default if Redis does.
        min_replicas: Wait (``WAIT``) until so many replicas have a ticket before it counts, a
            tenth of ``socket_timeout`` at most. If they have not by then the lock is granted all
            the same, with a warning, and counted in :attr:`unconfirmed`.
        client: A ready ``redis.asyncio`` client, whose connection settings are taken over in
            place of all of the above.
        endpoint_config: An ``endpoints.yml`` section, when Rasa makes the store by class path;
            its keys are the arguments' names (``url`` for ``host`` too).
        **defaults: Options of ``lock()`` for every turn (see ``Options``).

    Raises:
        ConfigurationError: For an unknown key, an unusable value, or a missing package.
    """

    def __init__(  # noqa: PLR0913 - the reference's signature, and what belongs beside it
        self,
        host: str = "localhost",
        port: int = _USUAL_PORT,
        db: int = _USUAL_DB,
        password: str | None = None,
        use_ssl: bool = False,  # noqa: FBT001, FBT002 - the reference's signature
        key_prefix: str | None = None,
        socket_timeout: float = DEFAULT_SOCKET_TIMEOUT_IN_SECONDS,
        *,
        username: str | None = None,
        ssl_certfile: str | None = None,
        ssl_keyfile: str | None = None,
        ssl_ca_certs: str | None = None,
        ssl_check_hostname: bool = True,
        credential_provider: object = None,
        unix_socket: str | None = None,
        deployment_mode: str = "standard",
        endpoints: Sequence[str] | None = None,
        sentinel_service: str | None = None,
        sentinel_username: str | None = None,
        sentinel_password: str | None = None,
        sentinel_use_ssl: bool | None = None,
        min_replicas: int = 0,
        client: object = None,
        endpoint_config: Endpoint | None = None,
        **defaults: Unpack[Overrides],
    ) -> None:
        if endpoint_config is not None:
            self.__init__(**_read(settings_of(endpoint_config)))  # type: ignore[misc]
            return
        self._prefix = _key_prefix(key_prefix)
        self._timeout = options.seconds("socket_timeout", socket_timeout)
        self._min_replicas = whole("min_replicas", min_replicas)
        self._client = client
        self._settings = check_settings(
            mode=deployment_mode,
            host=host,
            port=None if port is _USUAL_PORT else whole("port", port),
            endpoints=endpoints,
            unix_socket=unix_socket,
            db=None if db is _USUAL_DB else whole("db", db),
            service=sentinel_service,
            username=username,
            password=password,
            credential_provider=credential_provider,
            sentinel_username=sentinel_username,
            sentinel_password=sentinel_password,
            use_ssl=use_ssl,
            sentinel_use_ssl=sentinel_use_ssl,
            tls=tls_settings(
                use_ssl=use_ssl or sentinel_use_ssl is True,
                certfile=ssl_certfile,
                keyfile=ssl_keyfile,
                ca_certs=ssl_ca_certs,
                check_hostname=ssl_check_hostname,
            ),
        )
        super().__init__(**defaults)

    @property
    def unconfirmed(self) -> int:
        """How many round trips granted locks although ``min_replicas`` was not reached."""
        replicas = getattr(self._runtime.queue, "replicas", None)
        return 0 if replicas is None else replicas.missed

    def _make_queue(self) -> TicketQueue:
        try:
            from nowserving.queues.redis import connect  # noqa: PLC0415 - an extra
            from nowserving.queues.redis.queue import RedisQueue  # noqa: PLC0415
        except ImportError as error:
            raise ConfigurationError(
                f"The Redis lock store needs the extra: pip install 'nowserving[redis]' ({error})"
            ) from error
        if self._client is None:
            topology = connect.topology_of(self._settings, self._timeout)
        else:
            topology = connect.topology_of_client(self._client, self._timeout)
        return RedisQueue(
            topology,
            key_prefix=self._prefix,
            timeout=self._timeout,
            min_replicas=self._min_replicas,
        )

    @classmethod
    def from_settings(cls, given: dict[str, Any]) -> Self:
        """Make the store from a URL's or an endpoint's settings."""
        given = dict(given)
        mode, tls = _SCHEMES.get(given.pop("scheme", ""), ("", False))
        if mode:
            given.setdefault("deployment_mode", mode)
        if tls:
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
