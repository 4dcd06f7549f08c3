"""What the server is, of which version, and whether it may be written to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nowserving.protocol.examination import Finding
    from nowserving.stores.redis.examining.place import Told

OLDEST = (6, 2)
"""The oldest Redis with all that the script uses."""

_TRIED = frozenset({"Redis", "Valkey"})
_BY_FIELD = {
    "dragonfly_version": "Dragonfly",
    "valkey_version": "Valkey",
    "mvcc_depth": "KeyDB",
    "kvrocks_version": "Kvrocks",
    "garnet_version": "Garnet",
}
_BY_NAME = {"redis": "Redis", "valkey": "Valkey", "keydb": "KeyDB", "dragonfly": "Dragonfly"}


def examine(told: Told) -> list[Finding]:
    """Return what is found of version and role."""
    return [_version(told), *_role(told)]


def flavour(told: Told) -> tuple[str, str]:
    """Return what kind of server it is, and its version; empty where it does not say."""
    for field, name in _BY_FIELD.items():
        if field in told.info:
            own = told.info[field].removeprefix("df-").removeprefix("v")
            return name, own if "version" in field else told.info.get("redis_version", "")
    name = told.hello.get("server", "redis")
    version = told.hello.get("version") or told.info.get("redis_version", "")
    return _BY_NAME.get(name, name), version


def _version(told: Told) -> Finding:
    name, version = flavour(told)
    if not version:
        return told.finding(
            "version",
            "note",
            "could not be told: neither HELLO nor INFO is answered",
            "nowserving needs what Redis 6.2 has, and is tested over Redis and Valkey.",
        )
    found = f"{name} {version}"
    if name not in _TRIED:
        return told.finding(
            "version",
            "warning",
            found,
            "nowserving is not tested over it. It needs scripts that are atomic, HSET and PUBLISH "
            "within them, and EVALSHA.",
            "Run `nowserving verify --store URL` against it before you rely on it, or take Redis "
            "or Valkey.",
        )
    parts = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if name == "Redis" and parts < OLDEST:
        return told.finding(
            "version",
            "broken",
            found,
            "It is older than 6.2: commands that every call uses are missing, or mean less.",
            "Upgrade it to Redis 6.2 or newer, or to Valkey.",
        )
    return told.finding("version", "fine", found, "It has all that is needed.")


def _role(told: Told) -> list[Finding]:
    role = told.hello.get("role") or told.info.get("role", "")
    if role in {"", "master", "primary"}:
        return []
    if role not in {"slave", "replica"}:
        return [
            told.finding(
                "role",
                "broken",
                f"it calls itself {role!r}",
                "Where several servers take writes (active replicas), each serves lines of its "
                "own: messages of one conversation are handled side by side.",
                "Give the address of a server that alone takes writes.",
            )
        ]
    host, port = told.info.get("master_host", ""), told.info.get("master_port", "")
    of = f" of {host}:{port}" if host else ""
    return [
        told.finding(
            "role",
            "broken",
            f"it is a replica{of}",
            "It takes no writes: every call is answered READONLY, and raises StoreUnavailable.",
            "Give the address of the primary, or those of the sentinels "
            "(redis+sentinel://s1:26379,s2:26379/mymaster), which find it after each failover.",
        )
    ]
