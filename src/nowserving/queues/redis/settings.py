"""What a Redis store may be told about where Redis is, checked before anything is connected."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nowserving.endpoints import address
from nowserving.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

MODES = ("standard", "sentinel", "cluster")

_PORT, _SENTINEL_PORT = 6379, 26379


@dataclass(frozen=True)
class RedisSettings:
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
        listed = ", ".join(f"{host}:{port}" for host, port in self.endpoints)
        return listed if self.db is None else f"{listed}/{self.db}"


def check_settings(  # noqa: PLR0913 - the keys of a configuration
    *,
    mode: str,
    host: str,
    port: int | None,
    endpoints: Sequence[str] | None,
    unix_socket: str | None,
    db: int | None,
    service: str | None,
    username: str | None,
    password: str | None,
    credential_provider: object,
    sentinel_username: str | None,
    sentinel_password: str | None,
    use_ssl: bool,
    sentinel_use_ssl: bool | None,
    tls: dict[str, Any] | None,
) -> RedisSettings:
    """Return the settings, if they make sense together.

    Args:
        mode: ``standard``, ``sentinel`` or ``cluster``.
        host: A host, used when there are no endpoints.
        port: Its port; None for the usual one.
        endpoints: Several of them, as ``host:port``.
        unix_socket: The path of a socket.
        db: The number of a database; None when it was not said.
        service: The sentinels' name of the primary.
        username: The ACL user.
        password: Its password.
        credential_provider: A redis-py ``CredentialProvider``.
        sentinel_username: The sentinels' user.
        sentinel_password: Its password.
        use_ssl: Whether Redis speaks TLS.
        sentinel_use_ssl: Whether sentinels speak TLS; None for as Redis does.
        tls: redis-py's ``ssl_…`` arguments for whoever speaks it; None for no TLS.

    Raises:
        ConfigurationError: If they make none; the message says what to change.
    """
    if mode not in MODES:
        raise ConfigurationError(f"deployment_mode={mode!r} must be one of {', '.join(MODES)}")
    if credential_provider is not None and (username is not None or password is not None):
        raise ConfigurationError(
            "credential_provider gives user and password; leave username and password out"
        )
    if mode == "sentinel" and not service:
        raise ConfigurationError(
            "deployment_mode sentinel needs sentinel_service, the name under which the sentinels "
            "know the primary (often mymaster)"
        )
    if mode != "sentinel" and service:
        raise ConfigurationError(f"sentinel_service has no meaning in deployment_mode {mode}")
    if mode == "cluster" and db is not None:
        raise ConfigurationError(
            f"db={db} can't be used in a cluster, which has one database; use key_prefix to tell "
            "applications apart"
        )
    if mode == "standard" and endpoints is not None and len(endpoints) > 1:
        raise ConfigurationError(
            "Several endpoints need deployment_mode sentinel or cluster "
            "(redis+sentinel:// or redis+cluster://)"
        )
    if unix_socket is not None and (mode != "standard" or endpoints or use_ssl):
        raise ConfigurationError(
            "A unix socket leads to one server of this machine, without TLS: leave endpoints, "
            "deployment_mode and use_ssl out"
        )
    usual = _SENTINEL_PORT if mode == "sentinel" else _PORT
    found = [address("endpoints", each, usual) for each in endpoints or ()]
    return RedisSettings(
        mode=mode,
        endpoints=tuple(found) or ((host, usual if port is None else port),),
        unix_socket=unix_socket,
        db=None if mode == "cluster" else 1 if db is None else db,
        service=service or "",
        username=username,
        password=password,
        credential_provider=credential_provider,
        sentinel_username=sentinel_username,
        sentinel_password=sentinel_password,
        sentinel_tls=tls if (use_ssl if sentinel_use_ssl is None else sentinel_use_ssl) else None,
        tls=tls if use_ssl else None,
    )


def tls_settings(
    *,
    use_ssl: bool,
    certfile: str | None,
    keyfile: str | None,
    ca_certs: str | None,
    check_hostname: bool,
) -> dict[str, Any] | None:
    """Return redis-py's arguments for TLS; None for no TLS. Certificates are always verified.

    Args:
        use_ssl: Whether to speak TLS, with Redis or the sentinels.
        certfile: A client certificate.
        keyfile: Its key, if it is not in the same file.
        ca_certs: The certificates to trust, beside the system's.
        check_hostname: Whether the server's certificate must name the host we connect to.

    Raises:
        ConfigurationError: If a file can't be read, or is given without ``use_ssl``.
    """
    files = {"ssl_certfile": certfile, "ssl_keyfile": keyfile, "ssl_ca_certs": ca_certs}
    given = {name: path for name, path in files.items() if path is not None}
    if not use_ssl:
        if given:
            raise ConfigurationError(
                f"{', '.join(given)} would not be used: set use_ssl (rediss://) as well"
            )
        return None
    for name, path in given.items():
        _check_readable(name, path)
    if certfile is not None and keyfile is None:
        given["ssl_keyfile"] = certfile
    return {**given, "ssl_check_hostname": check_hostname}


def _check_readable(name: str, path: str) -> None:
    try:
        Path(path).open("rb").close()
    except OSError as error:
        raise ConfigurationError(f"{name} can't be read: {error}") from error
