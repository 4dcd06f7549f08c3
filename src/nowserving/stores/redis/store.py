"""``RedisLockStore``: for any number of processes and machines over one Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from nowserving._config import options
from nowserving._config.history import history_of
from nowserving.errors import ConfigurationError
from nowserving.stores.queued import QueueLockStore
from nowserving.stores.redis.connection_settings import connection_settings
from nowserving.stores.redis.settings import (
    ADDRESSES,
    ARGUMENTS,
    BROUGHT_BY_CLIENT,
    DEFAULT_REDIS_LOCK_STORE_KEY_PREFIX,
    DEFAULTS,
    READERS,
    RedisSettings,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping, Sequence
    from os import PathLike

    from typing_extensions import Unpack

    from nowserving._config.endpoints import Endpoint
    from nowserving._config.options import Defaults
    from nowserving._config.readers import Reader
    from nowserving._config.urls import StoreUrl
    from nowserving.protocol.examination import Finding
    from nowserving.protocol.queue import TicketQueue
    from nowserving.stores.redis.topologies.topology import Topology

_FAMILIES = {"redis": False, "rediss": True, "valkey": False, "valkeys": True}
"""What URL schemes begin with, and whether it means TLS."""

_SCHEMES = (
    *(family + more for family in _FAMILIES for more in ("", "+sentinel", "+cluster")),
    *("redis+unix", "valkey+unix", "unix"),
)


class RedisLockStore(QueueLockStore, kinds=("redis", "concurrent_redis"), schemes=_SCHEMES):
    """Lines in Redis (6.2 or newer) or Valkey: exact across processes and hosts, pushed wake-ups.

    Guarantees: mutual exclusion and order as long as the primary keeps its data. Nothing is
    connected before the first lock is asked for. ``docs/redis.md`` tells how to reach sentinels
    and clusters, and what each fault ends in.

    Pickled or copied, it is a store with the same settings and connections of its own.

    Args:
        host: The server's host.
        port: Its port.
        db: The number of the database; 1 if it is not given, as in the reference. (A URL that
            names none means 0, as everywhere.) A cluster has only one, and takes no number.
        password: The password, if it has one.
        use_ssl: Whether to speak TLS.
        key_prefix: Put before every key as ``<key_prefix>:lock:``; letters, digits and ``_-.:``.
            Two applications that share a Redis database need two prefixes.
        socket_timeout: Seconds within which every call is answered or raises
            ``StoreUnavailable``, reconnecting and repeating included.
        username: The ACL user, if not the default one.
        ssl_certfile: A client certificate (PEM file).
        ssl_keyfile: Its key (PEM file).
        ssl_ca_certs: The certificates to trust beside the system's (PEM file).
        ssl_cert_reqs: ``"required"`` (the default), ``"optional"`` or ``"none"``: whether the
            server's certificate is verified. ``"none"`` trusts whoever answers.
        ssl_check_hostname: Whether the server's certificate must name the host; True unless
            certificates are not verified at all.
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
            the same, with a warning, and counted in :attr:`unconfirmed`. 0 waits for none.
        history: Keep the last so many events of each conversation, at most 10,000, for
            ``events()``, ``nowserving why`` and others; 0 keeps none. See ``docs/history.md``.
        history_total: Keep so many of all conversations together, at most 1,000,000.
        history_ttl: Seconds for which they are kept.
        client: A ready ``redis.asyncio`` client, whose connection settings are taken over. No
            argument that says where Redis is or how to be let in can stand beside it.
        endpoint_config: An ``endpoints.yml`` section, as Rasa makes the store; its keys are the
            arguments' names, and its ``url`` is a host or a URL. Arguments beside it win.
        **defaults: Options of ``lock()`` for every turn that does not say otherwise (see
            :class:`~nowserving.Options`): ``lock_lifetime=10``, ``auto_renew=True``, ...

    Raises:
        ConfigurationError: For an unknown key, an unusable value, settings that contradict each
            other, or a missing package. No secret is in its message.
        TypeError: If an argument is unknown, or an option has the wrong type.
        ValueError: If an option is out of range.
    """

    _title = "The Redis lock store"
    _readers: ClassVar[Mapping[str, Reader]] = {**READERS, **options.READERS}
    _argument_defaults = DEFAULTS
    _groups = (ADDRESSES | {"url"}, BROUGHT_BY_CLIENT | {"url"})

    def __init__(  # noqa: PLR0913 - the reference's signature, and what belongs beside it
        self,
        host: str = DEFAULTS["host"],
        port: int = DEFAULTS["port"],
        db: int = DEFAULTS["db"],
        password: str | None = None,
        use_ssl: bool = DEFAULTS["use_ssl"],  # noqa: FBT001 - the reference's signature
        key_prefix: str | None = None,
        socket_timeout: float = DEFAULTS["socket_timeout"],
        *,
        username: str | None = None,
        ssl_certfile: str | PathLike[str] | None = None,
        ssl_keyfile: str | PathLike[str] | None = None,
        ssl_ca_certs: str | PathLike[str] | None = None,
        ssl_cert_reqs: str | ssl.VerifyMode | None = None,
        ssl_check_hostname: bool | None = None,
        credential_provider: object = None,
        unix_socket: str | PathLike[str] | None = None,
        deployment_mode: str | None = None,
        endpoints: Sequence[str] | None = None,
        sentinel_service: str | None = None,
        sentinel_username: str | None = None,
        sentinel_password: str | None = None,
        sentinel_use_ssl: bool | None = None,
        min_replicas: int | None = None,
        history: int = DEFAULTS["history"],
        history_total: int = DEFAULTS["history_total"],
        history_ttl: float = DEFAULTS["history_ttl"],
        client: object = None,
        endpoint_config: Endpoint | None = None,
        **defaults: Unpack[Defaults],
    ) -> None:
        ours = locals()  # our arguments have the names of the settings
        arguments = {name: ours[name] for name in ARGUMENTS}
        given, defaults = self._read_settings(endpoint_config, arguments, defaults)
        settings = RedisSettings(**given, given=frozenset(given))
        prefix = "" if settings.key_prefix is None else f"{settings.key_prefix}:"
        self._prefix = prefix + DEFAULT_REDIS_LOCK_STORE_KEY_PREFIX
        self._timeout = settings.socket_timeout
        self._min_replicas = settings.min_replicas or 0
        self._history = history_of(given)
        self._client = settings.client
        beside = sorted(settings.given & BROUGHT_BY_CLIENT)
        if self._client is not None and beside:
            raise ConfigurationError(
                f"client= brings its own connection settings: leave {', '.join(beside)} out"
            )
        self._settings = connection_settings(settings)
        super().__init__(**defaults)

    @property
    def unconfirmed(self) -> int:
        """How many round trips granted locks although ``min_replicas`` was not reached."""
        replicas = getattr(self._runtime.queue, "replicas", None)
        return 0 if replicas is None else replicas.missed

    def _make_queue(self) -> TicketQueue[Any]:
        try:
            from nowserving.stores.redis.queue import RedisQueue  # noqa: PLC0415
        except ImportError as error:
            raise _extra_missing(error) from error
        return RedisQueue(
            self._topology(),
            key_prefix=self._prefix,
            timeout=self._timeout,
            min_replicas=self._min_replicas,
            history=self._history,
        )

    def _topology(self) -> Topology:
        """Return where Redis is and how it is reached; nothing is connected yet."""
        try:
            from nowserving.stores.redis.topologies import connect  # noqa: PLC0415
        except ImportError as error:
            raise _extra_missing(error) from error
        if self._client is None:
            return connect.topology_of(self._settings, self._timeout)
        return connect.topology_of_client(self._client, self._timeout)

    def _examined_as(self) -> str:
        return f"Redis, {self._topology().where}"

    async def _examine(self) -> Sequence[Finding]:
        from nowserving.stores.redis.examining import examine, place  # noqa: PLC0415 - an extra

        plan = place.Plan(
            key_prefix=self._prefix.encode(),
            timeout=self._timeout,
            lifetime=self._defaults.lock_lifetime,
            min_replicas=self._min_replicas,
            topology="standard",
            history=bool(self._history),
        )
        return await examine.examine(self._topology(), plan)

    def _read_keys(self, keys: Mapping[str, object]) -> dict[str, Any]:
        settings = super()._read_keys(keys)
        prefix = settings.get("key_prefix", "a")
        if not prefix.isalnum():
            raise ConfigurationError(
                f"key_prefix={prefix!r}: in endpoints.yml it is letters and digits only. Rasa's "
                "own store silently ignores any other one, so a bot that goes back to it would "
                "share its locks with every bot that has none."
            )
        return settings

    def _read_url(self, url: StoreUrl, beside: Mapping[str, Any]) -> dict[str, Any]:
        settings = super()._read_url(url, beside)
        family, _, variant = url.scheme.partition("+")
        implied: dict[str, Any] = {}
        if _FAMILIES.get(family):
            implied["use_ssl"] = True
        if variant in {"sentinel", "cluster"}:
            implied["deployment_mode"] = variant
        if "db" not in settings and "db" not in beside:
            implied["db"] = 0  # what a URL without one means to every other program
        for name, value in implied.items():
            if settings.setdefault(name, value) != value:
                raise ConfigurationError(f"The URL {url.scheme}://… contradicts its own {name}.")
        return settings

    def __getstate__(self) -> dict[str, Any]:
        if self._client is not None:
            raise TypeError(
                "A lock store made with client= can't be pickled or copied: a client belongs to "
                "its process. Give the store a URL or connection settings instead."
            )
        return super().__getstate__()


def _extra_missing(error: ImportError) -> ConfigurationError:
    return ConfigurationError(
        f"The Redis lock store needs the extra: pip install 'nowserving[redis]' ({error})"
    )
