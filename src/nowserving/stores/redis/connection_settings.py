"""Where Redis is and how to be let in: what the settings of a store come to, if they make sense."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nowserving._config.readers import address
from nowserving.errors import ConfigurationError

if TYPE_CHECKING:
    from nowserving.stores.redis.settings import RedisSettings

_MODES = ("standard", "sentinel", "cluster")
_SENTINEL_PORT = 26379


@dataclass(frozen=True)
class ConnectionSettings:
    """Where Redis is and how to be let in. Its ``repr`` holds no secret.

    Attributes:
        mode: ``standard``, ``sentinel`` or ``cluster``.
        endpoints: The server's host and port, the sentinels', or some of the cluster's nodes'.
        unix_socket: The path of the server's socket instead.
        db: The number of the database; None in a cluster, which has only one.
        service: The name under which the sentinels know the primary.
        username: The ACL user.
        password: Its password.
        credential_provider: Whom to ask for both at each connection.
        sentinel_username: The sentinels' user.
        sentinel_password: Its password.
        sentinel_tls: redis-py's ``ssl_…`` arguments for talking to the sentinels; None for no TLS.
        tls: The same for talking to Redis.
    """

    mode: str
    endpoints: tuple[tuple[str, int], ...]
    unix_socket: str | None
    db: int | None
    service: str = ""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    credential_provider: object = field(default=None, repr=False)
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)
    sentinel_tls: dict[str, Any] | None = None
    tls: dict[str, Any] | None = None

    @property
    def where(self) -> str:
        """The address for messages."""
        if self.unix_socket is not None:
            return self.unix_socket
        listed = ", ".join(
            f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.endpoints
        )
        return listed if self.db is None else f"{listed}/{self.db}"


def connection_settings(settings: RedisSettings) -> ConnectionSettings:
    """Return where Redis is and how to be let in.

    Args:
        settings: The store's settings, each checked by itself.

    Raises:
        ConfigurationError: If they contradict each other; the message says what to change.
    """
    mode = "standard" if settings.deployment_mode is None else settings.deployment_mode
    _check_mode(mode, settings)
    _check_address(mode, settings)
    if settings.credential_provider is not None and settings.given & {"username", "password"}:
        raise ConfigurationError(
            "credential_provider gives user and password; leave username and password out"
        )
    tls = _tls(settings)
    use_ssl, sentinel_use_ssl = _use_ssl(settings)
    return ConnectionSettings(
        mode=mode,
        endpoints=_endpoints(mode, settings),
        unix_socket=settings.unix_socket,
        db=None if mode == "cluster" else settings.db,
        service=settings.sentinel_service or "",
        username=settings.username,
        password=settings.password,
        credential_provider=settings.credential_provider,
        sentinel_username=settings.sentinel_username,
        sentinel_password=settings.sentinel_password,
        sentinel_tls=tls if sentinel_use_ssl else None,
        tls=tls if use_ssl else None,
    )


def _check_mode(mode: str, settings: RedisSettings) -> None:
    if mode not in _MODES:
        raise ConfigurationError(f"deployment_mode={mode!r} must be one of {', '.join(_MODES)}")
    if mode == "sentinel" and settings.sentinel_service is None:
        raise ConfigurationError(
            "deployment_mode sentinel needs sentinel_service, the name under which the sentinels "
            "know the primary (often mymaster)"
        )
    of_sentinels = sorted(name for name in settings.given if name.startswith("sentinel_"))
    if mode != "sentinel" and of_sentinels:
        raise ConfigurationError(
            f"{', '.join(of_sentinels)} has no meaning in deployment_mode {mode}"
        )
    if mode == "cluster" and "db" in settings.given and settings.db != 0:
        raise ConfigurationError(
            f"db={settings.db} can't be used in a cluster, which has one database; use key_prefix "
            "to tell applications apart"
        )


def _check_address(mode: str, settings: RedisSettings) -> None:
    if mode == "standard" and len(settings.endpoints or ()) > 1:
        raise ConfigurationError(
            "Several endpoints need deployment_mode sentinel or cluster "
            "(redis+sentinel:// or redis+cluster://)"
        )
    has_socket = settings.unix_socket is not None
    if has_socket and (mode != "standard" or settings.endpoints or settings.use_ssl):
        raise ConfigurationError(
            "A unix socket leads to one server of this machine, without TLS: leave endpoints, "
            "deployment_mode and use_ssl out"
        )
    addresses = [name for name in ("host", "endpoints", "unix_socket") if name in settings.given]
    if addresses[1:]:
        raise ConfigurationError(f"{' and '.join(addresses)} both say where Redis is: keep one")
    if addresses and addresses != ["host"] and "port" in settings.given:
        raise ConfigurationError(f"port belongs to host; leave it out beside {addresses[0]}")


def _endpoints(mode: str, settings: RedisSettings) -> tuple[tuple[str, int], ...]:
    port = settings.port
    if mode == "sentinel" and "port" not in settings.given:
        port = _SENTINEL_PORT
    if not settings.endpoints:
        return ((settings.host, port),)
    found = (address("endpoints", each) for each in settings.endpoints)
    return tuple((host, port if own is None else own) for host, own in found)


def _use_ssl(settings: RedisSettings) -> tuple[bool, bool]:
    """Return whether to speak TLS with Redis, and whether with the sentinels."""
    of_sentinels = settings.sentinel_use_ssl
    return settings.use_ssl, settings.use_ssl if of_sentinels is None else of_sentinels


def _tls(settings: RedisSettings) -> dict[str, Any] | None:
    """Return redis-py's arguments for TLS; None for no TLS.

    Raises:
        ConfigurationError: If something is given that would not be used, or contradicts something
            else.
    """
    names = sorted(name for name in settings.given if name.startswith("ssl_"))
    if not any(_use_ssl(settings)):
        if names:
            raise ConfigurationError(
                f"{', '.join(names)} would not be used: set use_ssl (rediss://) as well"
            )
        return None
    tls = {name: getattr(settings, name) for name in names}  # they have redis-py's names
    if "ssl_certfile" in tls:
        tls.setdefault("ssl_keyfile", tls["ssl_certfile"])
    verified = tls.setdefault("ssl_cert_reqs", "required") != "none"
    if tls.setdefault("ssl_check_hostname", verified) and not verified:
        raise ConfigurationError(
            "ssl_check_hostname needs a certificate that is verified, and ssl_cert_reqs is none"
        )
    return tls
