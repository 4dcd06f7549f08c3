"""What a Redis store may be told about where Redis is, checked before anything is connected."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nowserving.config.readers import address
from nowserving.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

MODES = ("standard", "sentinel", "cluster")

PLACES = frozenset({"host", "endpoints", "unix_socket", "client"})
"""The settings of which each one says where Redis is."""

CONNECTION = (PLACES - {"client"}) | {
    *("port", "db", "username", "password", "credential_provider", "use_ssl", "deployment_mode"),
    *("ssl_certfile", "ssl_keyfile", "ssl_ca_certs", "ssl_cert_reqs", "ssl_check_hostname"),
    *("sentinel_service", "sentinel_username", "sentinel_password", "sentinel_use_ssl"),
}
"""The settings that a ready client brings along."""

_PORT, _SENTINEL_PORT, _DB = 6379, 26379, 1
_FILES = frozenset({"ssl_certfile", "ssl_keyfile", "ssl_ca_certs"})


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
        listed = ", ".join(
            f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.endpoints
        )
        return listed if self.db is None else f"{listed}/{self.db}"


def check_settings(said: Mapping[str, Any]) -> RedisSettings:
    """Return the settings, if they make sense together.

    Args:
        said: Those that were said, each read and checked by itself; by the names of
            ``RedisLockStore``'s arguments.

    Raises:
        ConfigurationError: If they make none; the message says what to change.
    """
    mode = said.get("deployment_mode", "standard")
    _check_mode(mode, said)
    _check_place(mode, said)
    if "credential_provider" in said and ("username" in said or "password" in said):
        raise ConfigurationError(
            "credential_provider gives user and password; leave username and password out"
        )
    port = said.get("port", _SENTINEL_PORT if mode == "sentinel" else _PORT)
    listed = [address("endpoints", each) for each in said.get("endpoints", ())]
    found = [(host, port if own is None else own) for host, own in listed]
    use_ssl = said.get("use_ssl", False)
    sentinel_use_ssl = said.get("sentinel_use_ssl", use_ssl)
    tls = tls_settings(said, use_ssl=use_ssl or sentinel_use_ssl)
    return RedisSettings(
        mode=mode,
        endpoints=tuple(found) or ((said.get("host", "localhost"), port),),
        unix_socket=said.get("unix_socket"),
        db=None if mode == "cluster" else said.get("db", _DB),
        service=said.get("sentinel_service", ""),
        username=said.get("username"),
        password=said.get("password"),
        credential_provider=said.get("credential_provider"),
        sentinel_username=said.get("sentinel_username"),
        sentinel_password=said.get("sentinel_password"),
        sentinel_tls=tls if sentinel_use_ssl else None,
        tls=tls if use_ssl else None,
    )


def _check_mode(mode: str, said: Mapping[str, Any]) -> None:
    if mode not in MODES:
        raise ConfigurationError(f"deployment_mode={mode!r} must be one of {', '.join(MODES)}")
    if mode == "sentinel" and "sentinel_service" not in said:
        raise ConfigurationError(
            "deployment_mode sentinel needs sentinel_service, the name under which the sentinels "
            "know the primary (often mymaster)"
        )
    theirs = sorted(name for name in said if name.startswith("sentinel_"))
    if mode != "sentinel" and theirs:
        raise ConfigurationError(f"{', '.join(theirs)} has no meaning in deployment_mode {mode}")
    if mode == "cluster" and said.get("db"):
        raise ConfigurationError(
            f"db={said['db']} can't be used in a cluster, which has one database; use key_prefix "
            "to tell applications apart"
        )


def _check_place(mode: str, said: Mapping[str, Any]) -> None:
    if mode == "standard" and len(said.get("endpoints", ())) > 1:
        raise ConfigurationError(
            "Several endpoints need deployment_mode sentinel or cluster "
            "(redis+sentinel:// or redis+cluster://)"
        )
    if "unix_socket" in said and (mode != "standard" or "endpoints" in said or said.get("use_ssl")):
        raise ConfigurationError(
            "A unix socket leads to one server of this machine, without TLS: leave endpoints, "
            "deployment_mode and use_ssl out"
        )
    places = [name for name in ("host", "endpoints", "unix_socket") if name in said]
    if places[1:]:
        raise ConfigurationError(f"{' and '.join(places)} both say where Redis is: keep one")
    if places and places != ["host"] and "port" in said:
        raise ConfigurationError(f"port belongs to host; leave it out beside {places[0]}")


def tls_settings(said: Mapping[str, Any], *, use_ssl: bool) -> dict[str, Any] | None:
    """Return redis-py's arguments for TLS; None for no TLS.

    Args:
        said: The settings that were said, those for TLS begin with ``ssl_``.
        use_ssl: Whether to speak TLS, with Redis or the sentinels.

    Raises:
        ConfigurationError: If a file can't be read, or something is given without ``use_ssl`` or
            contradicts something else.
    """
    given = {name: value for name, value in said.items() if name.startswith("ssl_")}
    if not use_ssl:
        if given:
            raise ConfigurationError(
                f"{', '.join(given)} would not be used: set use_ssl (rediss://) as well"
            )
        return None
    for name in _FILES & given.keys():
        _check_readable(name, given[name])
    if "ssl_certfile" in given:
        given.setdefault("ssl_keyfile", given["ssl_certfile"])
    verified = given.setdefault("ssl_cert_reqs", "required") != "none"
    if given.setdefault("ssl_check_hostname", verified) and not verified:
        raise ConfigurationError(
            "ssl_check_hostname needs a certificate that is verified, and ssl_cert_reqs is none"
        )
    return given


def _check_readable(name: str, path: str) -> None:
    try:
        Path(path).open("rb").close()
    except OSError as error:
        raise ConfigurationError(f"{name} can't be read: {error}") from error
