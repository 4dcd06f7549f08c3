"""From checked settings, or from somebody's ready client, to a topology."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.asyncio import Redis, RedisCluster, connection
from redis.asyncio.sentinel import SentinelConnectionPool

from nowserving.errors import ConfigurationError
from nowserving.stores.redis.connection.dial import Dialler
from nowserving.stores.redis.topologies.sentinel import Sentinels
from nowserving.stores.redis.topologies.topology import Cluster, SentinelTopology, Standalone

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nowserving.stores.redis.connection_settings import ConnectionSettings
    from nowserving.stores.redis.topologies.topology import Topology


def topology_of(settings: ConnectionSettings, timeout: float) -> Topology:
    """Return what the settings describe; nothing is connected yet.

    Args:
        settings: The settings, checked.
        timeout: Seconds within which every call must be answered.
    """
    known = {
        "db": settings.db,
        "username": settings.username,
        "password": settings.password,
        "credential_provider": settings.credential_provider,
    }
    asked = {name: value for name, value in known.items() if value is not None}
    if settings.unix_socket is not None:
        dialler = Dialler(asked, connection.UnixDomainSocketConnection, timeout)
        return Standalone(dialler, settings.where, path=settings.unix_socket)
    kind: type[connection.AbstractConnection] = connection.Connection
    tls: dict[str, Any] = {}
    if settings.tls is not None:
        kind = connection.SSLConnection
        tls = settings.tls
    dialler = Dialler({**asked, **tls}, kind, timeout)
    if settings.mode == "cluster":
        return Cluster(dialler, settings.endpoints)
    if settings.mode == "sentinel":
        theirs: dict[str, Any] = {
            "username": settings.sentinel_username,
            "password": settings.sentinel_password,
        }
        if settings.sentinel_tls is not None:
            theirs |= {"ssl": True, **settings.sentinel_tls}
        sentinels = Sentinels(settings.endpoints, settings.service, theirs, dialler.timeout)
        return SentinelTopology(dialler, sentinels)
    host, port = settings.endpoints[0]
    return Standalone(dialler, settings.where, host=host, port=port)


# A ready client

_TAKEN_OVER = frozenset(
    {"db", "username", "password", "credential_provider", "client_name", "socket_type"}
)
"""Settings of a client's connections that are ours as well, beside those for TLS. The rest says
how a client speaks and waits, which a wire does in its own way."""


def topology_of_client(client: object, timeout: float) -> Topology:
    """Return what a ready ``redis.asyncio`` client connects to.

    Its settings are taken over; itself it is never used, since a client belongs to one loop.

    Args:
        client: A ``Redis``, also one that a ``Sentinel`` made, or a ``RedisCluster``.
        timeout: Seconds within which every call must be answered.

    Raises:
        ConfigurationError: If it is none of them.
    """
    _refuse_fakes(client)
    if isinstance(client, RedisCluster):
        return _of_cluster(client, timeout)
    if isinstance(client, Redis):
        pool = client.connection_pool
        if isinstance(pool, SentinelConnectionPool):
            return _of_sentinel(pool, timeout)
        settings = pool.connection_kwargs
        kind: Any = pool.connection_class
        dialler = Dialler(_settings(settings, kind), kind, timeout)
        if issubclass(kind, connection.UnixDomainSocketConnection):
            path = settings.get("path", "")
            return Standalone(dialler, path, path=path)
        host, port = settings.get("host", "localhost"), int(settings.get("port", 6379))
        where = f"{host}:{port}/{settings.get('db') or 0}"
        return Standalone(dialler, where, host=host, port=port)
    raise ConfigurationError(
        f"client={type(client).__module__}.{type(client).__qualname__} is not a redis.asyncio "
        "client; give a redis.asyncio.Redis (from a Sentinel, too) or RedisCluster"
    )


def _refuse_fakes(client: object) -> None:
    if any(kind.__module__.partition(".")[0] == "fakeredis" for kind in type(client).__mro__):
        raise ConfigurationError(
            "client= is fakeredis, which has no server to connect to. In tests use "
            'InMemoryLockStore() (LockStore.create("memory://")), which keeps the same promises '
            "within one process, or a real redis-server on a free port."
        )


def _settings(given: Mapping[str, Any], kind: type) -> dict[str, Any]:
    tls = issubclass(kind, connection.SSLConnection)
    taken = {
        name: value
        for name, value in given.items()
        if name in _TAKEN_OVER or (tls and name.startswith("ssl_"))
    }
    return {name: value for name, value in taken.items() if value is not None}


def _of_sentinel(pool: Any, timeout: float) -> Topology:  # noqa: ANN401 - redis-py's pool
    if not pool.is_master:
        raise ConfigurationError("client= is one for replicas; give one from master_for()")
    tls = issubclass(pool.connection_class, connection.SSLConnection)
    kind = connection.SSLConnection if tls else connection.Connection
    dialler = Dialler(_settings(pool.connection_kwargs, kind), kind, timeout)
    pools = [sentinel.connection_pool for sentinel in pool.sentinel_manager.sentinels]
    addresses = [(p.connection_kwargs["host"], int(p.connection_kwargs["port"])) for p in pools]
    their_kind = pools[0].connection_class
    theirs = _settings(pools[0].connection_kwargs, their_kind)
    if issubclass(their_kind, connection.SSLConnection):
        theirs["ssl"] = True
    return SentinelTopology(
        dialler, Sentinels(addresses, pool.service_name, theirs, dialler.timeout)
    )


def _of_cluster(client: Any, timeout: float) -> Topology:  # noqa: ANN401 - redis-py's client
    nodes = list(client.nodes_manager.startup_nodes.values())
    kind = nodes[0].connection_class
    settings = _settings(client.connection_kwargs, kind)
    settings.pop("db", None)
    return Cluster(Dialler(settings, kind, timeout), [(n.host, int(n.port)) for n in nodes])
