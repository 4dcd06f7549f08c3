"""Whether the server drops keys, or refuses new ones, when its memory is full."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nowserving.stores.wording import size

if TYPE_CHECKING:
    from nowserving.protocol.examination import Finding
    from nowserving.stores.redis.examining.place import Told

_NEARLY_FULL = 0.9
_KEEPS_ALL = "noeviction"

_SAFE = "When memory is full nothing is dropped: new tickets are refused (StoreUnavailable)."
_EVICTED = (
    "Locks that are held and lines that wait may be dropped like any other key. Two messages of a "
    "conversation then run side by side; the first one finds lock.lost at its next poll."
)
_REMEDY = (
    "CONFIG SET maxmemory-policy noeviction (and in redis.conf), or give the locks a Redis of "
    "their own."
)


def examine(told: Told) -> Finding:
    """Return what is found of maxmemory and the eviction policy."""
    if not told.info:
        return told.untold("eviction", _EVICTED + " Unless the policy is noeviction.")
    most, used = told.number("maxmemory"), told.number("used_memory")
    policy = told.info.get("maxmemory_policy", _KEEPS_ALL)
    evicted = told.number("evicted_keys")
    figures = {"maxmemory_bytes": most, "used_bytes": used, "evicted_keys": evicted}
    limit = f"{size(used)} of {size(most)} used" if most else f"no maxmemory, {size(used)} used"
    found = f"{policy}, {limit}"
    full = most > 0 and used > _NEARLY_FULL * most
    if policy == _KEEPS_ALL:
        if full:
            return told.finding(
                "eviction",
                "warning",
                found,
                "Memory is nearly full. Then takes raise StoreUnavailable; holders still renew and "
                "leave, and waiters are served.",
                "Raise maxmemory, or find out what fills it (`redis-cli --bigkeys`).",
                figures,
            )
        return told.finding("eviction", "fine", found, _SAFE, figures=figures)
    if not most:
        return told.finding(
            "eviction",
            "note",
            found,
            "Without maxmemory nothing is ever dropped. Once somebody sets it, locks are.",
            "Set maxmemory-policy to noeviction all the same.",
            figures,
        )
    if evicted or full:
        dropped = f", {evicted} keys were dropped since it started" if evicted else ", nearly full"
        return told.finding("eviction", "broken", found + dropped, _EVICTED, _REMEDY, figures)
    return told.finding("eviction", "warning", found, _EVICTED, _REMEDY, figures)
