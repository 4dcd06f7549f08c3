"""Which processes that use the database are alive: each holds a lock that dies with it.

Beside ``locks.db`` stands a folder ``locks.db-peers``. In it, each process has a file that it keeps
locked as long as it lives. Whoever can lock somebody else's file knows that its process is dead,
however it died; a stopped one (``SIGSTOP``) is not dead. Nothing is concluded from a file that is
missing: somebody may have tidied up.

The lock is ``flock``'s, which belongs to the *open file*. A lock of ``fcntl`` (POSIX) belongs to
the process: closing any descriptor of the same file drops it, and two stores of one process could
not tell each other apart. An "open file description" lock of ``fcntl`` would do as well, but only
Linux has it. What ``flock`` asks for: a forked child shares the open file, and would keep the lock
of its dead parent; so it closes what it has inherited (:meth:`Peers.forked`), which unlocks
nothing as long as the parent has it open. A program that is started inherits none (``O_CLOEXEC``).

Whoever looks takes a shared lock for a moment: two that look at once do not take each other for
the owner. A file gets its name only once it is locked.

Nobody waits for such a lock in a thread: that thread could not be told to stop. Whoever has
tickets that wait looks every 40 ms instead, which costs a microsecond for each peer and touches no
database.
"""

from __future__ import annotations

import errno
import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator

HAS_LOCKS: bool = fcntl is not None
"""Whether this system has ``flock``."""

_LOCK, _SOCKET = ".lock", ".sock"

_PAUSE = 0.002
"""Seconds between two attempts to pass the turnstile by somebody who may not wait for long."""


class Peers:
    """The processes that use one database; to be used by one thread.

    Args:
        folder: Their folder, which exists.
        name: The name of this process.

    Attributes:
        folder: The same folder.
        name: The same name.
    """

    def __init__(self, folder: str, name: str) -> None:
        self.folder = folder
        self.name = name
        self._own: int | None = None
        self._others: dict[str, int] = {}

    def join(self) -> None:
        """Lock this process's file; where it was deleted, another one.

        Raises:
            OSError: If it can't be made.
        """
        path = self._path(self.name, _LOCK)
        if self._own is not None and _is_at(path, self._own):
            return
        if not HAS_LOCKS:
            raise OSError(errno.ENOSYS, "this system has no flock")
        fresh = os.open(f"{path}.new", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(fresh, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.replace(f"{path}.new", path)  # noqa: PTH105
        except OSError:
            os.close(fresh)
            with suppress(OSError):
                os.unlink(f"{path}.new")  # noqa: PTH108
            raise
        if self._own is not None:  # nobody sees this one any more
            os.close(self._own)
        self._own = fresh

    def find_dead(self) -> list[str]:
        """Return the names of processes that are dead."""
        if self._own is None:  # there are no such locks here
            return []
        try:
            files = os.listdir(self.folder)  # noqa: PTH208
        except OSError:
            return []
        names = _names_of(files)
        names.discard(self.name)
        for name in self._others.keys() - names:  # it has left
            os.close(self._others.pop(name))
        return [name for name in names if self._is_dead(name)]

    def _is_dead(self, name: str) -> bool:
        other, path = self._others.get(name), self._path(name, _LOCK)
        try:
            if other is None:
                other = self._others[name] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            fcntl.flock(other, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:  # locked, or gone by now
            return False
        if _is_at(path, other):
            fcntl.flock(other, fcntl.LOCK_UN)
            return True
        # It has let go of this file, but removed it before: it has left, or has another one.
        os.close(self._others.pop(name))
        return False

    def bury(self, name: str) -> None:
        """Remove the files of a dead process."""
        other = self._others.pop(name, None)
        if other is not None:
            os.close(other)
        self._unlink(name)

    def leave(self) -> None:
        """Remove this process's own files, which nobody ever sees unlocked, and let go of all."""
        if self._own is not None:
            self._unlink(self.name)
        self.forked()

    def forked(self) -> None:
        """Close what a child has inherited; the parent's locks stay."""
        own = [] if self._own is None else [self._own]
        for each in [*self._others.values(), *own]:
            with suppress(OSError):
                os.close(each)
        self._others, self._own = {}, None

    def socket_path(self) -> str:
        """Return where this process's socket belongs."""
        return self._path(self.name, _SOCKET)

    def _path(self, name: str, suffix: str) -> str:
        return f"{self.folder}/{name}{suffix}"

    def _unlink(self, name: str) -> None:
        for suffix in (_SOCKET, _LOCK):
            with suppress(OSError):
                os.unlink(self._path(name, suffix))  # noqa: PTH108


def _is_at(path: str, file: int) -> bool:
    """Return whether an open file is the one at this path."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(file))  # noqa: PTH116
    except OSError:
        return False


class Turnstile:
    """Lets one process write at a time, and wakes the next one at once.

    SQLite itself only tries again and again. It is a lock of the peers' folder, and only saves
    time: whether anybody else writes, SQLite decides. Where there are no such locks it does
    nothing.

    Args:
        folder: The peers' folder, which exists.
    """

    def __init__(self, folder: str) -> None:
        self._path = folder
        self._folder: int | None = None
        self.mend()

    def mend(self) -> None:
        """Take the folder that is there now."""
        if not HAS_LOCKS or (self._folder is not None and _is_at(self._path, self._folder)):
            return
        self.close()
        with suppress(OSError):
            self._folder = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)

    def __enter__(self) -> None:
        if self._folder is not None:
            with suppress(OSError):
                fcntl.flock(self._folder, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            with suppress(OSError):
                fcntl.flock(self._folder, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close it; in a forked child that leaves the parent's lock alone."""
        folder, self._folder = self._folder, None
        if folder is not None:
            os.close(folder)


# For whoever is no peer, and only looks


def names_in(folder: str) -> set[str]:
    """Return the names of the processes that have a file in a peers' folder, dead ones too."""
    try:
        return _names_of(os.listdir(folder))  # noqa: PTH208
    except OSError:
        return set()


def state_of(folder: str, name: str) -> bool:
    """Return whether a process lives: whether its file is locked, or can't be asked."""
    try:
        file = os.open(f"{folder}/{name}{_LOCK}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(file)
    return False


@contextmanager
def passed_within(folder: str, seconds: float) -> Iterator[None]:
    """Pass the turnstile, unless that takes too long; then do without.

    Args:
        folder: The peers' folder.
        seconds: For how long to wait: whoever has it may stand still.
    """
    file = None
    if HAS_LOCKS:
        with suppress(OSError):
            file = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        end = time.monotonic() + seconds
        while file is not None and _is_taken(file) and time.monotonic() < end:
            time.sleep(_PAUSE)
        yield
    finally:
        if file is not None:
            os.close(file)  # which unlocks it


def _is_taken(folder: int) -> bool:
    """Return whether somebody else has the turnstile; if not, it is ours."""
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # there are no such locks here
        return False
    return False


def _names_of(files: list[str]) -> set[str]:
    return {file[: -len(_LOCK)] for file in files if file.endswith(_LOCK)}
