"""How the owner of a ticket is told in another process: by a datagram to that process's socket.

A datagram is lost if its receiver is dead, or so far behind that its queue stays full. That costs
one poll, never more: nobody relies on it. Nobody waits for a receiver either.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import socket
import sys
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from nowserving._host.background import detached
from nowserving._host.clock import monotonic
from nowserving.protocol.status import State, TicketStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nowserving.stores.sqlite.handle import SQLiteHandle

logger = logging.getLogger("nowserving.stores.sqlite.post")

_PROTOCOL = 1
"""Stands before everything in a datagram; whoever does not know it looks by himself."""

_LONGEST_PATH = 100
"""Bytes. A socket's path has 108 of them on Linux, and 104 elsewhere."""

_LARGEST = 200_000
"""Bytes of a datagram that are read."""

_A_PACK = 100
"""Notices in one datagram at the most."""

_PATIENCE = 0.1
"""Seconds for which a notice is tried again whose receiver is full."""

_ENDS_WITHIN = 1.0
"""Seconds for which the end of the thread is waited for."""

_FULL = (errno.EAGAIN, errno.ENOBUFS)

Notice = tuple[str, TicketStatus]


class Bells:
    """The handles of this process by their owners, for as long as somebody has them."""

    def __init__(self) -> None:
        self._handles: WeakValueDictionary[str, SQLiteHandle] = WeakValueDictionary()
        self._waiting: WeakValueDictionary[str, SQLiteHandle] = WeakValueDictionary()

    def add(self, handle: SQLiteHandle) -> None:
        """Ring this handle when there is news of its owner."""
        self._handles[handle.owner] = handle

    def ring(self, owner: str, news: TicketStatus) -> None:
        """Tell an owner, if somebody still has the handle; from any thread."""
        handle = self._handles.get(owner)
        if handle is not None:
            self.note(handle, news)
            handle.ring(news)

    def ring_all(self) -> None:
        """Have everybody look for himself."""
        for reference in self._handles.valuerefs():
            handle = reference()
            if handle is not None:
                handle.ring()

    def note(self, handle: SQLiteHandle, status: TicketStatus) -> None:
        """Note where a ticket stands: whether anybody waits is asked at :meth:`anybody_waits`."""
        if status.state is not State.WAITING:
            self.forget(handle)
        elif handle.owner in self._handles:  # else it is to be redeemed, and nobody waits for it
            self._waiting[handle.owner] = handle

    def forget(self, handle: SQLiteHandle) -> None:
        """Note that a ticket does not wait any more."""
        if self._waiting:
            self._waiting.pop(handle.owner, None)

    def anybody_waits(self) -> bool:
        """Return whether a ticket of this process waits."""
        return bool(self._waiting)


class Mailbox:
    """This process's socket, and the thread that reads it.

    Args:
        path: Where it belongs in the peers' folder.
        bells: Whom to tell.

    Attributes:
        address: Where others send to; empty if there can be no socket.
    """

    def __init__(self, path: str, bells: Bells) -> None:
        self._bells = bells
        self._closed = False
        self._socket: socket.socket | None = None
        self.address = b""
        try:
            self._socket, self.address = bind(path)
        except OSError as error:
            logger.warning(
                "No socket can be made at %s (%s): waiting messages of other processes are not "
                "woken, but look for their turn every wait_time_in_seconds.",
                path,
                error,
            )
            return
        name = "nowserving-sqlite-post"
        self._thread = threading.Thread(target=self._read, name=name, daemon=True)
        detached(self._thread.start)

    def is_in_place(self) -> bool:
        """Return whether its file is still there, if it ever was."""
        return not self.address.startswith(b"/") or os.path.exists(self.address)  # noqa: PTH110

    def close(self) -> None:
        """End the thread, and wait for that."""
        self._closed = True
        if self._socket is not None:
            with suppress(OSError):  # Linux ends a read so; elsewhere a datagram has to
                self._socket.shutdown(socket.SHUT_RDWR)
            with suppress(OSError):
                self._socket.sendto(b"", socket.MSG_DONTWAIT, self.address)
            self._thread.join(_ENDS_WITHIN)

    def forked(self) -> None:
        """Close what a child has inherited: it is not to be told of its parent's tickets."""
        if self._socket is not None:
            self._socket.close()

    def _read(self) -> None:
        used = self._socket
        if used is None:
            return
        with used:
            while not self._closed:
                try:
                    data = used.recv(_LARGEST)
                except OSError:
                    return
                if not data:
                    continue
                try:
                    self._deliver(data)
                except Exception:
                    logger.exception("A notice could not be delivered; the thread goes on")

    def _deliver(self, data: bytes) -> None:
        try:
            protocol, *notices = json.loads(data)
            read = [(owner, _status(fields)) for owner, *fields in notices]
        except (ValueError, TypeError):
            protocol, read = None, []
        if protocol != _PROTOCOL:
            self._bells.ring_all()
            return
        for owner, news in read:
            self._bells.ring(owner, news)


def bind(path: str) -> tuple[socket.socket, bytes]:
    """Return a socket and its address: its path, or a name of Linux's own if that is too long."""
    if not hasattr(socket, "AF_UNIX"):
        raise OSError(errno.EAFNOSUPPORT, "this system has no Unix sockets")
    addresses = []
    encoded = os.fsencode(path)
    if len(encoded) <= _LONGEST_PATH:
        addresses.append(encoded)
    if sys.platform == "linux":
        # A digest: names of this kind are shown to everybody, and an owner's is a secret.
        digest = hashlib.blake2b(encoded, digest_size=16).hexdigest()
        addresses.append(b"\0nowserving-" + digest.encode())
    failure = OSError(errno.ENAMETOOLONG, "its path is too long")
    for address in addresses:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            made.bind(address)
        except OSError as error:
            made.close()
            failure = error
        else:
            return made, address
    raise failure


class Sender:
    """Sends notices without waiting; to be used by one thread.

    Attributes:
        pending: What is still to be sent, since its receiver was full.
    """

    def __init__(self) -> None:
        self.pending: deque[tuple[float, bytes, bytes]] = deque()
        self._socket: socket.socket | None = None

    def send(self, address: bytes, notices: Sequence[Notice]) -> None:
        """Send notices to one process."""
        for first in range(0, len(notices), _A_PACK):
            pack = [[owner, *_fields(news)] for owner, news in notices[first : first + _A_PACK]]
            data = json.dumps([_PROTOCOL, *pack]).encode()
            if not self._try(address, data):
                self.pending.append((monotonic() + _PATIENCE, address, data))

    def try_again(self) -> None:
        """Send what could not be sent before."""
        now = monotonic()
        for _ in range(len(self.pending)):
            until, address, data = self.pending.popleft()
            if not self._try(address, data) and now < until:
                self.pending.append((until, address, data))

    def close(self) -> None:
        """Close the socket."""
        self.pending.clear()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _try(self, address: bytes, data: bytes) -> bool:
        """Return whether there is nothing more to be done."""
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.settimeout(0.0)
        try:
            self._socket.sendto(data, address)
        except OSError as error:  # full; or nobody is there any more
            return error.errno not in _FULL
        return True


def _fields(news: TicketStatus) -> tuple[Any, ...]:
    return (news.state.value, *news[1:])


def _status(fields: list[Any]) -> TicketStatus:
    state, *others = fields
    return TicketStatus(State(state), *others)
