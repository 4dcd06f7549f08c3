"""What the server keeps over a crash, and what is lost with the rest."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from nowserving.stores.wording import count, span

if TYPE_CHECKING:
    from nowserving.protocol.examination import Finding
    from nowserving.stores.redis.examining.place import Told

_LOST = (
    "A turn that was lost so may run beside the next one until it finds lock.lost; waiters get "
    "LockError, and numbers of new turns (fencing tokens) are higher all the same."
)
_ON = "Set appendonly yes and appendfsync everysec."

_BY_FSYNC = {
    "always": "Nothing that was answered is lost when it crashes.",
    "everysec": "A crash of the machine loses the last second or two. " + _LOST,
    "no": "A crash of the machine loses what the system had not written yet, some 30 seconds. "
    + _LOST,
}


def examine(told: Told) -> Finding:
    """Return what is found of AOF and RDB."""
    info = told.info
    if not info:
        return told.untold("persistence", "What a crash of the server loses is not known. " + _LOST)
    failed = _failing(told)
    if failed is not None:
        return failed
    if info.get("aof_enabled") == "1":
        fsync = told.config.get("appendfsync", "")
        known = f"appendfsync {fsync}" if fsync else "appendfsync could not be told"
        meaning = _BY_FSYNC.get(fsync, "What a crash loses depends on appendfsync. " + _LOST)
        if fsync == "no":
            return told.finding("persistence", "note", f"AOF, {known}", meaning, _ON)
        return told.finding("persistence", "fine", f"AOF, {known}", meaning)
    if told.config.get("save", "unknown"):
        return _snapshots(told)
    return told.finding(
        "persistence",
        "warning",
        "neither AOF nor RDB",
        "A restart of the server loses every line. " + _LOST + " If it starts again by itself "
        "before a failover, its replicas throw away theirs as well.",
        _ON,
    )


def _snapshots(told: Told) -> Finding:
    saved, unsaved = told.number("rdb_last_save_time"), told.number("rdb_changes_since_last_save")
    ago = max(0.0, time.time() - saved)
    rules = told.config.get("save")
    known = f"save {rules!r}" if rules else "`save` could not be told"
    return told.finding(
        "persistence",
        "note",
        f"RDB only, {known}; last saved {span(ago)} ago, {count(unsaved, 'change')} since",
        f"A crash of the server loses all since the last snapshot. {_LOST}",
        _ON,
        {"saved_seconds_ago": round(ago, 1), "unsaved_changes": unsaved},
    )


def _failing(told: Told) -> Finding | None:
    names = {
        "rdb_last_bgsave_status": "the last snapshot (RDB)",
        "aof_last_write_status": "the last write of the AOF",
        "aof_last_bgrewrite_status": "the last rewrite of the AOF",
    }
    failed = [words for field, words in names.items() if told.info.get(field, "ok") != "ok"]
    if not failed:
        return None
    return told.finding(
        "persistence",
        "broken" if told.info.get("aof_last_write_status", "ok") != "ok" else "warning",
        f"{' and '.join(failed)} failed",
        "Redis refuses all writes while it can't save (MISCONF), unless it was told not to: calls "
        "raise StoreUnavailable. What it can't save a crash loses.",
        "See the server's log: mostly its disk is full, or its folder can't be written.",
    )
