"""From checked settings, or from somebody's ready client, to a topology."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from redis.asyncio import (
    Connection,
    Redis,
    RedisCluster,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.asyncio.sentinel import SentinelConnectionPool

from nowserving.errors import ConfigurationError
from nowserving.stores.redis.connection.credentials import Login
from nowserving.stores.redis.connection.dial import Dialler
from nowserving.stores.redis.connection.tls import Tls
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
    login = Login(
        settings.db or 0, settings.username, settings.password, settings.credential_provider
    )
    dialler = Dialler(login, _tls(settings.tls), timeout)
    if settings.unix_socket is not None:
        return Standalone(dialler, settings.where, path=settings.unix_socket)
    if settings.mode == "cluster":
        return Cluster(dialler, settings.endpoints)
    if settings.mode == "sentinel":
        theirs = Login(username=settings.sentinel_username, password=settings.sentinel_password)
        tls = _tls(settings.sentinel_tls)
        sentinels = Sentinels(settings.endpoints, settings.service, theirs, tls, dialler.timeout)
        return SentinelTopology(dialler, sentinels)
    host, port = settings.endpoints[0]
    return Standalone(dialler, settings.where, host=host, port=port)


def _tls(settings: Mapping[str, Any] | None) -> Tls | None:
    return None if settings is None else Tls(settings)


# A ready client

_KINDS = (Connection, SSLConnection, UnixDomainSocketConnection)
"""redis-py's own connections, of which all is in their settings: where, as whom, over which TLS.
What else is in a client's settings says how it speaks and waits, which is our matter."""


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
        return _of_server(pool, timeout)
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


def _of_server(pool: Any, timeout: float) -> Topology:  # noqa: ANN401 - redis-py's pool
    settings, kind = pool.connection_kwargs, pool.connection_class
    if kind not in _KINDS:
        raise ConfigurationError(
            f"client= has connections of a class of its own ({kind.__qualname__}), and what that "
            "does to connect can't be taken over: give host, username, use_ssl and so on instead"
        )
    dialler = Dialler(_login(settings), _tls_of(settings, kind), timeout)
    if kind is UnixDomainSocketConnection:
        path = settings.get("path", "")
        return Standalone(dialler, path, path=path)
    host, port = settings.get("host", "localhost"), int(settings.get("port", 6379))
    where = f"{host}:{port}/{settings.get('db') or 0}"
    return Standalone(dialler, where, host=host, port=port)


def _of_sentinel(pool: Any, timeout: float) -> Topology:  # noqa: ANN401
    if not pool.is_master:
        raise ConfigurationError("client= is one for replicas; give one from master_for()")
    settings = pool.connection_kwargs
    dialler = Dialler(_login(settings), _tls_of(settings, pool.connection_class), timeout)
    pools = [sentinel.connection_pool for sentinel in pool.sentinel_manager.sentinels]
    addresses = [(p.connection_kwargs["host"], int(p.connection_kwargs["port"])) for p in pools]
    theirs = pools[0].connection_kwargs
    tls = _tls_of(theirs, pools[0].connection_class)
    return SentinelTopology(
        dialler, Sentinels(addresses, pool.service_name, _login(theirs), tls, dialler.timeout)
    )


def _of_cluster(client: Any, timeout: float) -> Topology:  # noqa: ANN401 - redis-py's client
    nodes = list(client.nodes_manager.startup_nodes.values())
    settings = client.connection_kwargs
    login = replace(_login(settings), db=0)
    tls = _tls_of(settings, nodes[0].connection_class)
    return Cluster(Dialler(login, tls, timeout), [(n.host, int(n.port)) for n in nodes])


def _login(settings: Mapping[str, Any]) -> Login:
    """Return what a client introduces itself with."""
    told = {
        each.name: settings[each.name]
        for each in fields(Login)
        if settings.get(each.name) is not None
    }
    return Login(**told)


def _tls_of(settings: Mapping[str, Any], kind: type) -> Tls | None:
    """Return the TLS that a client's connections speak; of no use are settings without it."""
    if not issubclass(kind, SSLConnection):
        return None
    said = {name: value for name, value in settings.items() if name.startswith("ssl_")}
    try:
        return Tls(said)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"client= is set up with what can't be taken over: {error}"
        ) from None
