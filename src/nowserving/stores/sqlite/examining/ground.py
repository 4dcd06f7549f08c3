"""Where the file is: its folder and file system, who may write there, how much room is left."""

from __future__ import annotations

import os
import shutil
import stat
from typing import TYPE_CHECKING

from nowserving.protocol.examination import Finding
from nowserving.stores.sqlite import mounts
from nowserving.stores.wording import size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nowserving.protocol.examination import Verdict

_NONE = "No turn can be taken: calls raise StoreUnavailable."
_LITTLE, _NEARLY_NONE = 64 * 2**20, 2**20
"""Bytes that should be left: SQLite's log grows to 8 MB, and a copy of the file may be needed."""

_OF_A_CONTAINER = frozenset({"overlay", "aufs"})
_IN_MEMORY = frozenset({"tmpfs", "ramfs"})


def examine(path: str) -> list[Finding]:
    """Return what is found of the place; broken if there is nothing more to look at.

    Args:
        path: The file, without symbolic links in its path.
    """
    missing = _missing(path)
    if missing is not None:
        return [missing]
    found = [_file(path), _file_system(path)]
    denied = [*_denied(path)]
    found += denied or [
        Finding(
            "permissions",
            path,
            "fine",
            "this process may read and write the file and what is beside it",
            "Processes of another user need the same: a folder and a umask of a group they share.",
        )
    ]
    return [*found, _room(os.path.dirname(path))]  # noqa: PTH120 - paths are texts here


def _missing(path: str) -> Finding | None:
    folder = os.path.dirname(path)  # noqa: PTH120
    if not os.path.isdir(folder):  # noqa: PTH112
        return Finding(
            "file",
            path,
            "broken",
            f"there is no folder {folder}",
            _NONE,
            "Make the folder; the store makes the file. Or is it another path that the bot uses?",
        )
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116
    except FileNotFoundError:
        writable = os.access(folder, os.W_OK | os.X_OK)
        return Finding(
            "file",
            path,
            "broken",
            "there is no such file" + ("" if writable else ", and its folder can't be written"),
            "Nobody has taken a lock there yet, or that is not the path that the bot uses. Nothing "
            "was made.",
            "Compare the path with the bot's. The first lock makes the file."
            if writable
            else f"Let this user write to {folder}.",
        )
    except OSError as error:
        return Finding("file", path, "broken", str(error.strerror), _NONE, "See its folders.")
    if stat.S_ISREG(mode):
        return None
    return Finding("file", path, "broken", "it is no file", _NONE, "Give the path of a file.")


def _file(path: str) -> Finding:
    state = os.stat(path)  # noqa: PTH116
    log = _size_of(f"{path}-wal")
    figures = {"bytes": state.st_size, "log_bytes": log}
    found = f"{size(state.st_size)}, and {size(log)} of log"
    if state.st_nlink > 1:
        return Finding(
            "file",
            path,
            "warning",
            f"{found}; it has {state.st_nlink} names (hard links)",
            "Processes that use different names have logs and lines of their own: messages of one "
            "conversation are handled side by side, and the file may be damaged.",
            "Use one name; symbolic links are followed.",
            figures,
        )
    if log > _LITTLE:
        return Finding(
            "file",
            path,
            "warning",
            found,
            "The log can't be moved to the database while somebody reads an old state of it: it "
            "grows, and every turn gets slower.",
            "End what has a transaction open there: an sqlite3 shell, a backup that hangs "
            f"(`fuser {path}` shows who has it open).",
            figures,
        )
    return Finding("file", path, "fine", found, "All lines of this machine are in it.", "", figures)


def _size_of(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116
    except OSError:
        return 0


def _file_system(path: str) -> Finding:
    folder = os.path.dirname(path)  # noqa: PTH120
    kind = mounts.kind_at(folder)
    network = mounts.network_kind(folder)
    verdict: Verdict = "fine"
    remedy = ""
    if network is not None:
        verdict = "broken"
        meaning = "SQLite can't share its log there between machines: calls raise StoreUnavailable."
        remedy = "Put the file on a local disk; for several machines, take Redis."
    elif kind is None:
        verdict = "note"
        meaning = "On a network file system (NFS, SMB) SQLite can't share its log."
    elif kind in _OF_A_CONTAINER:
        verdict = "warning"
        meaning = (
            "It is in a container's own layer: processes of other containers have lines of their "
            "own, and the file goes with the container."
        )
        remedy = "Mount a volume that all containers of the bot share, and put the file there."
    elif kind in _IN_MEMORY:
        verdict = "note"
        meaning = (
            "It is in memory: a restart of the machine loses the lines, which are nobody's then, "
            "and the message ids that are remembered."
        )
    else:
        meaning = "All processes of this machine share it."
    return Finding("file system", folder, verdict, kind or "could not be told", meaning, remedy)


def _denied(path: str) -> Iterator[Finding]:
    folder = os.path.dirname(path)  # noqa: PTH120
    places = [
        (folder, os.W_OK | os.X_OK, "SQLite has to make files beside the database. "),
        (path, os.R_OK | os.W_OK, ""),
        (f"{path}-wal", os.R_OK | os.W_OK, ""),
        (f"{path}-shm", os.R_OK | os.W_OK, ""),
        (f"{path}-peers", os.R_OK | os.W_OK | os.X_OK, "Processes meet there. "),
    ]
    for place, wanted, why in places:
        if os.path.exists(place) and not os.access(place, wanted):  # noqa: PTH110
            state = os.stat(place)  # noqa: PTH116
            user = f"user {os.geteuid()}" if hasattr(os, "geteuid") else "this user"
            yield Finding(
                "permissions",
                place,
                "broken",
                f"{user} may not read and write it (owner {state.st_uid}, group {state.st_gid}, "
                f"mode {stat.S_IMODE(state.st_mode):o})",
                why + _NONE,
                "Run all processes as one user, or as users of one group, with umask 0002 and "
                "these files of that group.",
            )


def _room(folder: str) -> Finding:
    free = shutil.disk_usage(folder).free
    files = os.statvfs(folder).f_favail if hasattr(os, "statvfs") else 1
    figures = {"free_bytes": free}
    full = (
        "New tickets raise StoreUnavailable when the disk is full; those that are in line can be "
        "given back as long as SQLite finds room in its log."
    )
    if free < _NEARLY_NONE or not files:
        found = f"{size(free)} free" if files else "no file can be made: no inodes are left"
        return Finding("space", folder, "broken", found, full, "Make room.", figures)
    if free < _LITTLE:
        return Finding(
            "space", folder, "warning", f"{size(free)} free", full, "Make room.", figures
        )
    return Finding("space", folder, "fine", f"{size(free)} free", full, figures=figures)
