"""A server as shared code sees it: how to connect, what to expect of a connection, its outage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from nowserving.stores._remote.outage import Outage
    from nowserving.stores._remote.unreachable import Unreachable


class Connection(Protocol):
    """What shared code asks of a connection; how to send is between a store and its own class."""

    def take_over(
        self, on_reply: Callable[[Any], None], on_lost: Callable[[Exception | None], None]
    ) -> None:
        """Hand over each reply from now on, and tell once when the connection is gone.

        Args:
            on_reply: Called with each reply.
            on_lost: Called with the reason, if there is one; not called after :meth:`close`.

        Raises:
            ConnectionError: If it is broken already.
        """

    def abort(self, reason: Exception | None = None) -> None:
        """Cut it now, and tell so; what was sent may or may not have arrived.

        Args:
            reason: What is told.
        """

    def close(self) -> None:
        """Close it; what was written may still be sent."""

    def hang_up(self) -> None:
        """Have the server end it, on a loop that does not run; from any thread."""

    def abandon(self) -> None:
        """Close its socket; its loop is closed itself."""


ConnectionT = TypeVar("ConnectionT", bound=Connection)


@dataclass(frozen=True)
class Server(Generic[ConnectionT]):
    """One server to talk to, however it is found.

    Attributes:
        connect: Returns a connection that stands: nothing is left to do before the first call, a
            schema to be made included.
        outage: Whether it serves.
        timeout: Seconds for a connection with its handshake.
        diagnose: Says why an attempt failed, whatever was raised.
    """

    connect: Callable[[], Coroutine[Any, Any, ConnectionT]]
    outage: Outage
    timeout: float
    diagnose: Callable[[BaseException], Unreachable]

    @property
    def where(self) -> str:
        """The server's address for messages."""
        return self.outage.where
