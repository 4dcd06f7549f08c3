"""What this process is called by whoever looks at lines from elsewhere."""

from __future__ import annotations

import os
import socket
import time
from typing import NamedTuple


class Process(NamedTuple):
    """A process.

    Attributes:
        host: The name of its machine.
        pid: Its id there.
        started: Unix seconds at which it began to use its store, by its own clock.
    """

    host: str
    pid: int
    started: int


def this_process() -> Process:
    """Return the running process, as it is now: a fork is another one."""
    return Process(socket.gethostname(), os.getpid(), int(time.time()))
