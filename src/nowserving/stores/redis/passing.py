"""Which of the errors that Redis answers pass by themselves."""

from __future__ import annotations

import re

_WRITES = ("READONLY", "NOREPLICAS", "MISCONF")
"""It is a replica by now, has too few of its own (``min-replicas-to-write``), or can't save its
data. It still answers whoever only reads."""

_ALL = (*_WRITES, "LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "UNBLOCKED")
_TOO_MANY = "ERR max number of clients"

# Redis 6 puts the place in the script before the code.
_OF_ALL = re.compile(rf"(?:^|[\s:-])(?:{'|'.join(_ALL)})(?= |$)")
_OF_WRITES = re.compile(rf"(?:^|[\s:-])(?:{'|'.join(_WRITES)})(?= |$)")


def passes(text: str) -> bool:
    """Return whether a command that was refused like this may be carried out later.

    A restart or a failover is going on, replicas or the disk are gone for a while, or too many are
    connected; nothing of the command was done.
    """
    return text.startswith(_TOO_MANY) or ("CORRUPT " not in text and bool(_OF_ALL.search(text)))


def concerns_writes(text: str) -> bool:
    """Return whether only what writes is refused like this."""
    return bool(_OF_WRITES.search(text))
