"""On what kind of file system a file is: SQLite's write-ahead log needs one of this machine.

Its index is memory that processes share (``-shm``), which no network file system gives to two
machines; and locks there are slow, or none at all. SQLite itself notices only some of that.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
"""Only Linux has it (``proc_pid_mountinfo(5)``). Elsewhere nothing is known, nor refused."""

_OF_A_NETWORK = frozenset(
    (
        "afs",
        "ceph",
        "cifs",
        "fuse.ceph",
        "fuse.glusterfs",
        "fuse.s3fs",
        "fuse.sshfs",
        "gfs2",
        "glusterfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "smb3",
        "smbfs",
    )
)

_ESCAPED = re.compile(r"\\([0-7]{3})")


def network_kind(path: str) -> str | None:
    """Return the kind of network file system that a folder is on; None for any other.

    Args:
        path: The folder, without symbolic links.
    """
    kind = kind_at(path)
    return kind if kind in _OF_A_NETWORK else None


def kind_at(path: str) -> str | None:
    """Return the kind of file system that a folder is on; None where that can't be told.

    Args:
        path: The folder, without symbolic links.
    """
    with suppress(OSError):
        return kind_of(path, _MOUNTS.read_text("utf-8", "surrogateescape"))
    return None


def kind_of(path: str, mounts: str) -> str | None:
    """Return the kind of file system that a path is on.

    Args:
        path: The path, without symbolic links.
        mounts: What the kernel says of the mounts, a line each. A later one may hide an earlier.
    """
    found, longest = None, -1
    for line in mounts.splitlines():
        fields, _, described = line.partition(" - ")
        kind = described.split(" ", 1)[0]
        places = fields.split(" ")
        if len(places) > _PLACE and kind:
            place = _ESCAPED.sub(lambda code: chr(int(code[1], 8)), places[_PLACE])
            if len(place) >= longest and _is_below(path, place):
                found, longest = kind, len(place)
    return found


_PLACE = 4  # the field in which a line says where it is mounted


def _is_below(path: str, place: str) -> bool:
    return place in {os.sep, path} or path.startswith(place + os.sep)
